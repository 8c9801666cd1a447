"""What fails for the moment only, as networks do, is tried a few times."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PAUSES = (1, 3, 9)  # seconds between the attempts

Result = TypeVar("Result")


def attempt(call: Callable[[], Result], passes: Callable[[Exception], bool]) -> Result:
    """What `call` returns, called again after each of the pauses while it raises what `passes`.

    Raises what the last call raises, or the first that does not pass.
    """
    for pause in PAUSES:
        try:
            return call()
        except Exception as error:
            if not passes(error):
                raise
        time.sleep(pause)
    return call()
