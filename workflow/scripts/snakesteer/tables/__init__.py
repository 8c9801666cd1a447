"""From the rows of sweeps to tidy tables with intervals.

Columns:
    sweep (text): The sweep's name in the study, with its measure (`SWEEP.MEASURE`) where it has
        several.
    kind (text): How the sweep injects: `grid` (each vector by itself), `single` (each with its
        chosen multipliers), `combined` (several vectors as one) or `simultaneous` (several vectors
        at layers of their own).
    vector (text): The vector's name in the study. Several vectors together are `all`, or in a table
        without the columns `direction`, `combine` and `weighted` these words: `mean weighted add`.
    layer (text): The layers injected at, counted from 0: `3`, or `2+4` for several together.
    coefficient (number): The injection coefficient. Empty for the unsteered model where coefficient
        0 changes activations, as with `clamp`.
    unsteered (true or false): Whether the row is the unsteered model's.
    corpus (text): The corpus that was read.
    behaviour (text): The behaviour whose questions were asked.
    source (text): The corpus or behaviour that was read, or `prompts` for a list in the study.
    split (text): The split of the questions: `train`, `validation` or `test`.
    category (text, only with `by_category` or published categories): Which questions the row is of:
        a category, empty text for all questions, or `mean` for the mean over categories, in which
        each category counts the same. Counts of questions and answers in that row are sums.
    draw (whole number, only with a control that is drawn several times): The draw of the control,
        from 0. Empty in the rows of other vectors and of means over draws.
    draws (whole number, only with a control that is drawn several times): How many draws the row is
        the mean of. Empty in the rows of other vectors and of single draws. A row of means has no
        `…_low` and `…_high`, and the least of its draws' counts of samples.
    source_layer (whole number, only with `source_layer` or `source_layers` in `inject`): The layer,
        from 0, that the vector is read at. Its direction there is injected at all layers of the
        row.
    source_position (whole number, only with vectors read at several positions): The position that
        the vector is read at; -1 is the last token.
    …_vector_low, …_vector_high (number, only with `resamples` of the vectors): Student's interval
        over resampled vectors, of the value before the ending.
    …_min, …_max (number, only with a control that is drawn several times): The least and the
        greatest value of the draws, in the rows of their means.
"""
