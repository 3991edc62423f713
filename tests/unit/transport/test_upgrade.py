"""The ordinary upgrade that is accepted at once, against the library."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.transport.upgrade import accepting, request_of

PATH = "/v1/opamp"
KEY = base64.b64encode(bytes(16)).decode()
ORDINARY = {
    "host": "server",
    "user-agent": "Go-http-client/1.1",
    "connection": "Upgrade",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
    "upgrade": "websocket",
}


def asked(*more: tuple[str, str], first: str = f"GET {PATH} HTTP/1.1", **instead: str | None) -> bytes:
    """Return a request: the ordinary headers with `instead` in the place of some, then `more`."""
    changed = {name: instead.get(name.replace("-", "_"), value) for name, value in ORDINARY.items()}
    headers = [(name, value) for name, value in changed.items() if value is not None]
    lines = [first, *(f"{name}: {value}" for name, value in (*headers, *more))]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def by_library(data: bytes) -> list[bytes] | None:
    """Return the lines of the library's acceptance but for the date; None if it accepts nothing."""
    library, request = request_of(data)
    if request is None or request.path != PATH:
        return None
    response = library.accept(request)
    return _without_date(response.serialize()) if response.status_code == 101 else None


def _without_date(response: bytes) -> list[bytes]:
    return [line for line in response.split(b"\r\n") if not line.startswith(b"Date: ")]


def test_ordinary_request_is_accepted_as_by_the_library() -> None:
    """Header for header, with a date beside."""
    found = accepting(asked(), PATH)
    assert found is not None
    assert found.count(b"\r\nDate: ") == 1
    assert _without_date(found) == by_library(asked())


@pytest.mark.parametrize(
    "data",
    [
        asked(first=f"POST {PATH} HTTP/1.1"),
        asked(first=f"GET {PATH} HTTP/1.0"),
        asked(first="GET /other HTTP/1.1"),
        asked(upgrade="h2c"),
        asked(upgrade=None),
        asked(connection="keep-alive"),
        asked(connection="keep-alive, Upgrade"),
        asked(sec_websocket_version="12"),
        asked(sec_websocket_key=None),
        asked(sec_websocket_key="short"),
        asked(sec_websocket_key=base64.b64encode(bytes(15)).decode()),
        asked(user_agent="\xe9"),
        asked(("authorization", "Enrollment t1.secret")),
        asked(("sec-websocket-extensions", "permessage-deflate")),
        asked(("origin", "https://somewhere.example")),
        asked(("sec-websocket-key", KEY)),
        asked(("content-length", "3")),
        asked(("x", "y\r\n folded")),
        asked()[:-2],
        asked() + b"more",
        b"",
    ],
)
def test_any_other_request_is_the_librarys(data: bytes) -> None:
    """Whatever has a say, is said twice, or is missing."""
    assert accepting(data, PATH) is None


@given(
    name=st.sampled_from([*ORDINARY, "first"]),
    value=st.text(st.characters(min_codepoint=1, max_codepoint=0xFF), max_size=30),
    more=st.lists(st.tuples(st.sampled_from([*ORDINARY, "x", "origin"]), st.sampled_from(["", "a", KEY]))),
)
def test_nothing_is_accepted_that_the_library_refuses(
    name: str, value: str, more: list[tuple[str, str]]
) -> None:
    """What is taken at once the library would have taken, with the same answer."""
    instead = {name.replace("-", "_"): value}
    data = asked(*more, **instead)
    found = accepting(data, PATH)
    if found is not None:
        assert _without_date(found) == by_library(data)
