"""What is measured under an injection: one module a measure.

A measure is a module with

- `Settings`, a frozen dataclass of what it is asked beside what every measure is;
- `SCHEMA`, the columns of its rows, of which `SOURCE` names the corpus or behaviour and `SAMPLE`
  the sample; `SECTION`, the section of a study that its sources are entries of, unless its
  samples say in `of` what they are called and what their section is;
- `samples(tokenizer, files, read, settings)`, what is read (`measures.read`), by source: frozen
  dataclasses whose fields tell samples from any others, with `names`, `sequences`, `marks`
  (`engine.positions`) and `taken(places)`; several sequences of one sample follow each other and
  have its name; `files` are those of the sources by role: `documents`, `questions` or another;
- `arranged(model, source, samples)`, where the model decides what it reads of them as one sequence:
  the samples in this arrangement, some perhaps with `forks` (`engine.branches`);
- `counted(sequence)`, the tokens that progress is counted in;
- `rows(model, injection, coefficient, source, samples, batches, progress)`, one point: a row for
  each of the samples, by their names, in their order; `coefficient` is None for the unsteered
  model where 0 is not;
- `SEVERAL = True`, where points of several coefficients are measured at once: then it is
  `rows(model, injection, coefficients, source, samples, kept_bytes, progress)`, which yields one
  point after the other, and `MOST_SAMPLES`, how many samples a chunk has at most;
- `written(samples, rows)`, where its settings have `scores`: the texts of a point, for scorers;
- `Reader(model, source, samples)`, where it reads nothing but logits (`measures.together`): such
  measures of the same texts share each pass;
- `kept_bytes(model, samples, sequence)`, where it keeps something of a sample's unsteered outputs
  on its batch: what a chunk may keep includes it;
- `advance(stopping, unsteered, here)`, where its settings have `stopping`: from the rows of a
  curve's first source unsteered and at a coefficient, how many places to advance in the list
  of coefficients, 0 where the curve ends;
- `hits(rows)`, where a precision may be asked for: the counts that it is of, one for each row.
"""
