"""Clamping: the component along the vector's direction is set to the coefficient.

The coefficient is in units of the residual stream. The components of all tokens become the same
(Templeton et al. 2024, "Scaling monosemanticity", clamp a feature so).
"""

from __future__ import annotations

import torch

DIRECTION = True
UNSTEERED_AT_0 = False


def apply(states: torch.Tensor, vector: torch.Tensor, coefficient: float) -> torch.Tensor:
    """`states` [batch, tokens, hidden] with `coefficient` as their component along `vector`.

    All is taken in float32, the result is in the states' dtype.
    """
    unit = (vector / vector.norm()).to(states.device)
    component = states.float() @ unit
    return (states + (coefficient - component)[..., None] * unit).to(states.dtype)
