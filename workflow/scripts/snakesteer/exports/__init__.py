"""Vectors as files of other tools: one module a format.

`write(vector, path, use=ADDED, folder=None)` writes a `SteeringVector` to `path`, and returns in
sentences what the file does not hold. `folder` is that of the vector's model, where it is there.
StudyError in one sentence for a vector, or a use of it, that the format cannot hold. What a format
can hold stands in constants, which are read without importing the module:

    ENDING           of the file's name
    FOLDER = True    what is written is a folder of files; the rule is one file
    SITES            the sites that it can name; any if left out
    OPERATORS        the operators that what reads it has; any if left out
    EVERYWHERE       True where what reads it changes every token, so that positions cannot be said
    FIRST_LAYER = 1  the first layer that it can hold; the rule is 0
    COUNTS           how it counts layers, in a sentence

Bytes depend on what is written alone.
"""
