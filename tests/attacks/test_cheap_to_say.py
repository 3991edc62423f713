"""Threat: what is cheap to say is dear to look at, so that one peer holds up all the others.

A pattern that looks back again and again holds every thread, the event loop's too, until it is done.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from distribution.domain.configuration import Agreement, ConfigObject, ConfigVersion
from distribution.domain.secrets import REDACTED, TEXT_MAX_CHARS
from distribution.errors import InvalidError
from distribution.flows.configuration import text
from distribution.flows.configuration.effective import compare, safe
from distribution.flows.configuration.render import ready
from distribution.flows.configuration.text import Form
from distribution.flows.configuration.validator import CommandValidator
from tests.fakes.configured import intended, yaml

SPACES = " " * (TEXT_MAX_CHARS - 1) + "x"
TOKENS = "-eyJ" * (TEXT_MAX_CHARS // 4)


@contextmanager
def soon(seconds: float = 5.0) -> Iterator[None]:
    """Measure this thread alone: the machine may be busy with other things."""
    begun = time.thread_time()
    yield
    assert time.thread_time() - begun < seconds


@pytest.mark.parametrize("value", [SPACES, TOKENS], ids=["spaces", "nearly tokens"])
def test_a_secret_that_is_mostly_nothing(value: str) -> None:
    """What hides in long values is hidden in a moment, however they are made up."""
    lines = f'  - "{value}"\n' * 64
    with soon():
        shown = safe(yaml(f"headers:\n{lines}plain:\n{lines}"))
    assert shown.count(REDACTED) >= 64


def test_a_list_that_grows_with_every_object() -> None:
    """Lists that supervisors put together are put together in one go; what was intended is not found."""
    reported = {
        f"o{part}": yaml(
            "service:\n  extensions:\n" + "".join(f"  - x{part}y{number}\n" for number in range(20_000))
        )
        for part in range(4)
    }
    with soon():
        agreement, why = compare(reported, intended(_="a: 1"))
    assert (agreement, why) == (Agreement.DIFFERS, "a is missing")


def test_a_merge_of_very_many_maps() -> None:
    """A merge key with thousands of maps is taken at once, or refused for its size, as any other list."""
    maps = "".join(f"  - {{k{number}: {number}}}\n" for number in range(12_000))
    with soon():
        found = text.read(f"a:\n  <<:\n{maps}".encode(), Form.YAML)
    assert found == {"a": {f"k{number}": number for number in range(12_000)}}
    again = "  - *m\n" * 40_000
    with soon(), pytest.raises(InvalidError, match="more than 50000 values"):
        text.read(f"a:\n  <<:\n{maps}  - &m {{z: 1}}\n{again}".encode(), Form.YAML)


@pytest.mark.parametrize(
    ("text", "judged"),
    [("$" * 200_000, True), ("${" + ":-" * 100_000, True), ("$" * 200_000 + "{qm:uid}", True)],
    ids=["dollars", "defaults", "an escaped variable"],
)
def test_a_configuration_that_is_nearly_a_reference(text: str, *, judged: bool) -> None:
    """An operator who may write configurations cannot stop the server with one that looks like references."""
    version = ConfigVersion("base", 1, {"": ConfigObject(text.encode(), "text/plain")})
    with soon():
        found = CommandValidator(("true", "{file}"), 10).judge(ready(version))
    assert found.valid is judged


@pytest.mark.parametrize("text", ["${qm:" * 50_000, "$" * 100_001 + "{qm:nobody}"], ids=["not closed", "odd"])
def test_a_configuration_that_is_nearly_a_variable(text: str) -> None:
    """What is no variable of ours is refused, however long it takes to be none."""
    with soon(), pytest.raises(InvalidError, match="is not"):
        ready(ConfigVersion("base", 1, {"": ConfigObject(text.encode(), "text/plain")}))
