"""Whether two ways of running a model give the same, found by trying them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from snakesteer.core.errors import StudyError


def why_not(same: Callable[[], bool]) -> str | None:
    """Why a trial fails, None if it does not: `same` says that values differ, or raises something.

    Whatever an architecture raises is a reason. What the device raises (out of memory, a failed
    kernel) says nothing about the model, and is raised here, too; so is a StudyError.
    """
    try:
        return None if same() else "other values"
    except (StudyError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def agree(found: torch.Tensor, expected: torch.Tensor, most: float) -> bool:
    """Whether each vector [..., n] is the expected one but for `most` of that one's length."""
    error = found.float() - expected.float()
    return bool((error.norm(dim=-1) <= most * expected.float().norm(dim=-1)).all())
