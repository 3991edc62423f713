"""A small packed body must not cost its reader more than its size says: of either side, over plain HTTP."""

import gzip

import pytest

from distribution.errors import MalformedError
from distribution.protocol.wire import gunzip

NOTHING = gzip.compress(b"", mtime=0)
CAP = 4 << 20


def test_a_body_of_many_empty_members() -> None:
    """200,000 members of nothing took 20 s of the event loop, though neither size is over the cap."""
    with pytest.raises(MalformedError, match="more than 16 members"):
        gunzip(NOTHING * (CAP // len(NOTHING)), CAP)


def test_a_body_in_a_few_parts() -> None:
    """Members of an honest encoder are joined as ever (RFC 1952 2.2)."""
    assert gunzip(gzip.compress(b"a") + NOTHING + gzip.compress(b"b"), CAP) == b"ab"
