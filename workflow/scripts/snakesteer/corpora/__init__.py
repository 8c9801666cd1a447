"""Corpora: where the documents of a study come from, one module a source.

A source has two functions of its settings (plain JSON types out of the study). `documents(settings,
split, workers, repository, apart)` makes the (id, text) pairs of a split, or (id, text, completion)
of instructions that have one, without texts that are among `apart`. `identity(settings,
repository)` names, without network, what determines them beside the settings (versions, hashes),
for the key of the cached corpus. A source that reads files has `readers(settings)` as well, the
names of the readers that it needs (`corpora.readers`). One of a repository's files has
`paths(settings)`, those of its files; a job's settings say by path where each is `located`.
"""
