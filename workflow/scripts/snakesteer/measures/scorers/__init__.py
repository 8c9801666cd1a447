"""What is said of a text in numbers: one module a scorer, with one function `score`.

`score(written, settings, model)` gives for the texts (`measures.written`) a number each, in their
order, NaN where a text has none. `settings` are those of the study, `model` is the unsteered
`LanguageModel`. A scorer that gives several numbers per text returns them by name. It lists the
names in `COLUMNS`, a literal tuple at its top; the name "" is the score itself.
"""
