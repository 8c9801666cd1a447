"""Activation addition: coefficient × vector is added (paper: activation addition)."""

from __future__ import annotations

import torch


def apply(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    """`states` [batch, tokens, hidden] + `coefficient` × `vector` [hidden].

    The product is taken in float32, the sum in the states' dtype.
    """
    return states + (coefficient * vector).to(states)
