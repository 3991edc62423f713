"""How Python's garbage collector is kept from stopping the event loop.

A full collection looks at every object that there is, and with 10,000 agents that takes longer than an
answer may. So what exists when serving begins is put aside for good; young garbage is looked for often and in
small portions; and a full collection waits until more objects have come than so many agents bring.
"""

import gc
from typing import Final

YOUNG: Final = 5_000
"""Objects that came, less those that went, between two looks at the young ones: a millisecond's work."""

MIDDLE: Final = 5
"""Looks at the young ones between two at those that survived one."""

FULL: Final = 200
"""Looks at the survivors between two at everything: five million objects, more than 50,000 agents bring."""


def settle() -> None:
    """Collect once, put aside what is left, and collect in small portions from now on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, FULL)
