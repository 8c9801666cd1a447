"""Directional ablation: the component along the vector is taken out (paper: refusal direction)."""

from __future__ import annotations

import torch

DIRECTION = True
ZERO_IS_NOTHING = True


def apply(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    """`states` [batch, tokens, hidden] - `coefficient` × their component along `vector` [hidden].

    At 1 nothing is left of it. All is taken in float32, the result is in the states' dtype. A
    vector that is 0 has no component, so that states stay as they are.
    """
    if not vector.any():
        return states.clone()
    unit = (vector / vector.norm()).to(states.device)
    component = states.float() @ unit
    return (states - coefficient * component[..., None] * unit).to(states.dtype)
