"""Documents kept by the unsteered model's own answer: by the log-odds of its first token.

So the code of Arditi et al. filters instructions, at a bound of 0 ("Refusal in Language Models Is
Mediated by a Single Direction", 2024).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa

from snakesteer.core.errors import StudyError
from snakesteer.core.progress import Progress
from snakesteer.engine.batches import batches_of
from snakesteer.engine.models import LanguageModel
from snakesteer.engine.steering import Injection
from snakesteer.measures import first_token
from snakesteer.measures.first_token import Prompts
from snakesteer.measures.selection_settings import Bound
from snakesteer.storage.points import Points, digest

SCORE = "log_odds"
COLUMNS = ("document", "text", "completion")
UNSTEERED = (Injection(()), None)


def log_odds(
    model: LanguageModel,
    source: str,
    prompts: Prompts,
    batch_tokens: int,
    points: Points,
    progress: Progress,
) -> np.ndarray:
    """The log-odds [n_prompts] of the first token on the unsteered model, in nats.

    They are kept among `points`, so that another bound runs nothing. Raises StudyError for NaN or
    infinity.
    """
    tokens = sum(map(len, prompts.sequences))
    progress.start(tokens)
    read = digest(source, prompts.names, prompts.sequences, prompts.wanted, prompts.epsilon)

    def rows() -> pa.Table:
        batches = batches_of(model, prompts.sequences, batch_tokens, prompts.marks)
        return first_token.rows(model, *UNSTEERED, source, prompts, batches, progress)

    found = points.table({"prompts": read}, rows, partial(progress.skip, tokens))
    return found[SCORE].to_numpy()


def kept(documents: pa.Table, scores: np.ndarray, bound: Bound) -> pa.Table:
    """The documents whose score is inside the bound, with the scores in the column `log_odds`.

    `scores` are [n_documents], in the order of the documents.

    Raises StudyError if there is none.

    Columns, a row for each document that is kept:
        * (as corpora.drawing.documents)
        log_odds (number): The log-odds by which it was selected, in nats.
    """
    columns = [name for name in COLUMNS if name in documents.schema.names]
    scored = documents.select(columns).append_column(SCORE, pa.array(scores, pa.float64()))
    inside = scored.filter(pa.array(bound.passed(scores)))
    if not inside.num_rows:
        raise StudyError(
            f"none of {len(scores)} documents has log-odds {bound} (they range from "
            f"{scores.min():.4g} to {scores.max():.4g}); set another bound, or draw other "
            "documents."
        )
    return inside
