"""What an agent can be found by: labels, what it says of itself, whether it is there and well, its packages.

A fact is a number of 64 bits made of a source, a name and a value, so that a long value costs no more than a
short one. Two that fall together by chance would show one agent too many in a list; nothing is decided by it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from distribution.domain.agent import Description
from distribution.domain.liveness import Delivery, Liveness, Wellbeing

ATTRIBUTES_MAX: Final = 64
"""Attributes of one agent that it can be found by: identifying ones first, each kind in their order."""

_BYTES: Final = 8


def fact(source: str, name: str, value: str = "") -> int:
    """Return the number of one fact."""
    said = f"{source}\0{name}\0{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(said, digest_size=_BYTES).digest(), "big", signed=True)


def label(name: str, value: str) -> int:
    """Return the fact that an agent carries this label."""
    return fact("label", name, value)


def attribute(name: str, value: str) -> int:
    """Return the fact that an agent says this of itself."""
    return fact("attribute", name, value)


def platform(name: str) -> int:
    """Return the fact that an agent runs on this platform."""
    return fact("platform", name)


EVERY: Final = fact("known", "")
"""The fact that there is such an agent."""

LIVE: Final = {state: fact("live", state.value) for state in Liveness}
WELL: Final = {state: fact("health", state.value) for state in Wellbeing}
DELIVERED: Final = {state: fact("packages", state.value) for state in Delivery}
"""Who has none of these was put into the index by a program that did not know them."""


def of_labels(labels: Mapping[str, str]) -> frozenset[int]:
    """Return the facts of an agent's labels."""
    return frozenset(label(name, value) for name, value in labels.items())


def of_description(description: Description | None) -> frozenset[int]:
    """Return the facts of what an agent says of itself."""
    if description is None:
        return frozenset()
    told = {**description.identifying, **description.attributes, **description.identifying}
    found = {attribute(name, value) for name, value in islice(told.items(), ATTRIBUTES_MAX)}
    if description.platform is not None:
        found.add(platform(description.platform))
    return frozenset(found)


def packed(found: Iterable[int]) -> bytes:
    """Return facts as bytes, in order."""
    return b"".join(one.to_bytes(_BYTES, "big", signed=True) for one in sorted(found))


def unpacked(data: bytes | None) -> frozenset[int]:
    """Return the facts that `packed` made these bytes of; none for None."""
    data = data or b""
    return frozenset(
        int.from_bytes(data[at : at + _BYTES], "big", signed=True) for at in range(0, len(data), _BYTES)
    )
