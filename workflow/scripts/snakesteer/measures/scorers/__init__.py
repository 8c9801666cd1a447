"""What is said of a text in numbers: one module a scorer, with one function `score`.

`score(written, settings, model)` gives for the texts (`measures.written`) a number each, in their
order, NaN where a text has none. `settings` are those of the study, `model` is the unsteered
`LanguageModel`. A scorer that gives several numbers of each text returns them by name, and names
them in `COLUMNS`, a tuple written out at its top; the name "" is that of the score itself.
"""
