"""Behaviours: where the questions of a study come from, one module a source.

A source has one function `questions(settings, repository)`: from its settings (plain JSON types)
to the `question.Question`s of one behaviour. Files are looked for in the working directory, then in
`repository`, the workflow's folder.
"""
