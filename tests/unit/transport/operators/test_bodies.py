"""transport/operators/bodies.py."""

import asyncio

import pytest
from starlette.requests import Request

from distribution.errors import InvalidError, OversizedError
from distribution.transport.operators.bodies import Body, Labels, parse_body, read_body, whole_number


def asked(text: str) -> Request:
    return Request({"type": "http", "query_string": f"limit={text}".encode(), "headers": []})


@pytest.mark.parametrize(
    "text", ["000000000000999999", "0" * 12 + "9" * 30, "0" * 5000 + "1", "-1", "1001", "x"]
)
def test_number_is_held_against_its_limit_as_a_whole(text: str) -> None:
    """Leading zeros must not hide what follows them."""
    with pytest.raises(InvalidError):
        whole_number(asked(text), "limit", default=100, highest=1000)


def test_number_within_its_limit_is_read() -> None:
    """0007 is 7."""
    assert whole_number(asked("0007"), "limit", default=100, highest=1000) == 7


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("0", "limit '0' is not a number from 1 to 9"),
        ("10", "limit '10' is not a number from 1 to 9"),
        ("1&limit=2", "limit is given twice, as '1' and '2'"),
    ],
)
def test_what_a_number_may_be_is_told(query: str, said: str) -> None:
    """Both ends, and neither of two is chosen silently."""
    with pytest.raises(InvalidError, match=said):
        whole_number(asked(query), "limit", default=5, highest=9, lowest=1)


def test_a_pattern_is_told_as_it_is() -> None:
    """Capitals that a name may have are not hidden by the words around it."""
    with pytest.raises(InvalidError, match=r"labels.a b.*: string should match pattern '\^\[A-Za-z0-9\]"):
        parse_body(b'{"labels": {"a b": "c"}}', Labelled)


class Labelled(Body):
    """A body with labels."""

    labels: Labels


class Small(Body):
    """A body as most are."""

    labels: dict[str, str]


def test_most_bodies_are_small_whatever_the_setting_says() -> None:
    """The setting is for what offline keys signed; a million faults would stop the loop for seconds."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b" " * 70_000, "more_body": False}

    request = Request({"type": "http", "headers": [], "method": "PUT"}, receive)  # type: ignore[arg-type]
    with pytest.raises(OversizedError):
        asyncio.run(read_body(request, Small, 16 << 20))
