"""Kinds of files, one module each: `ENDINGS` of names, and how their records are read.

`read(stream, shown, settings, spoilt)` yields the records of a file: where each stands, in words,
and its fields. `stream` is the file unpacked and behind its byte order mark, or with `SEEKS = True`
the file as it is. `settings` are those of the corpus. `spoilt` decides on a single record that is
invalid.
"""
