"""A poll that is the one before again, but for its number: answered without being parsed.

Rules: a request is taken here only if its head is, byte for byte, that of an earlier one on its connection,
which was parsed, judged and answered; if it is whole, alone and where a message may begin; and if its body is
the heartbeat that follows on (`flows.talk`), for which its sender is admitted anew. Everything else goes to
the parser, which never hears of what was taken here.
"""

from collections.abc import Callable
from typing import Final

from distribution.protocol.wire import CONTENT_TYPE

_END_OF_HEAD: Final = b"\r\n\r\n"

Headers = list[tuple[bytes, bytes]]


def head_of(request: bytes, body: bytes) -> bytes | None:
    """Return the head of a request that came in one piece, None unless it is a plain one with this body."""
    head = request[: len(request) - len(body)]
    plain = head.startswith(b"POST ") and head.find(_END_OF_HEAD) == len(head) - len(_END_OF_HEAD)
    if not body or not plain or not request.endswith(body) or b"\nexpect:" in head.lower():
        return None
    return head


class QuickPoll:
    """What the next poll of a connection looks like, and its answer."""

    __slots__ = ("_answer", "_body", "_head", "_headers", "_size", "take")

    def __init__(self, head: bytes, body: bytes, take: Callable[[bytes], bool]) -> None:
        """Make it from a request that was just answered.

        Args:
            head: of the request, to its end.
            body: of the bare answer.
            take: takes the body of a poll if it is the heartbeat that follows on, and says whether it is.
        """
        self.take = take
        self._head, self._body = head, body
        self._size = len(head)
        self._headers: Headers | None = None
        self._answer = b""

    def beat_in(self, request: bytes) -> bytes | None:
        """Return the body of a request with the same head, None for any other request."""
        return request[self._size :] if request.startswith(self._head) else None

    def answer(self, headers: Headers) -> bytes:
        """Return the response. `headers` are uvicorn's own; they are another list each second."""
        if headers is not self._headers:
            self._headers = headers
            more = [
                (b"content-length", b"%d" % len(self._body)),
                (b"content-type", CONTENT_TYPE.encode()),
            ]
            lines = b"".join(b"%s: %s\r\n" % header for header in (*headers, *more))
            self._answer = b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + self._body
        return self._answer
