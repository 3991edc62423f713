"""Reading what operators send: JSON bodies with a cap, into models that refuse unknown fields."""

import json
import re
from datetime import UTC, datetime
from typing import Annotated, ClassVar, TypeVar

import anyio
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request

from distribution.domain.states import PATTERN
from distribution.errors import InvalidError, OversizedError
from keys.errors import RefusedError
from keys.identity import AgentId

BODY_SECONDS = 60
"""How long a body that is read whole may take to come."""

_DIGITS_MAX = 16  # as many as 2^53 has

LABELS_MAX = 64
"""Labels of one agent, token or selector at most."""


class Body(BaseModel):
    """A JSON body. Unknown fields are refused; nothing is converted silently."""

    max_bytes: ClassVar[int] = 65_536
    """Largest one. It is read and judged on the event loop, and each fault in it costs."""

    is_shown: ClassVar[bool] = True
    """Whether a refusal may show what was sent; not of a body that may carry a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


BodyT = TypeVar("BodyT", bound=Body)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("has no zone, expected one such as 2026-01-31T12:00:00Z")
    return moment.astimezone(UTC)


def _few(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > LABELS_MAX:
        raise ValueError(f"has {len(labels)} labels, at most {LABELS_MAX} are kept")
    return labels


LabelKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$")]
LabelValue = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{0,63}$")]
Labels = Annotated[dict[LabelKey, LabelValue], AfterValidator(_few)]
Moment = Annotated[datetime, AfterValidator(_aware)]
"""RFC 3339 with a zone; aware UTC once read."""

AtState = Annotated[str, StringConstraints(pattern=PATTERN)] | None
"""The `state` that the caller saw, `new` for none: refused if it is another by now; None replaces any."""


async def read_bytes(request: Request, max_bytes: int) -> bytes:
    """Read the whole body. Raises OversizedError as soon as it is larger than `max_bytes`, TimeoutError."""
    found = bytearray()
    with anyio.fail_after(BODY_SECONDS):
        async for chunk in request.stream():
            found += chunk
            if len(found) > max_bytes:
                raise OversizedError(f"body is larger than {max_bytes} bytes")
    return bytes(found)


async def read_body(request: Request, model: type[BodyT], max_bytes: int) -> BodyT:
    """Read a JSON body into `model`.

    Raises:
        InvalidError: it is not JSON, or a field is unknown, missing or wrong; the first one is named.
        OversizedError: it is larger than `max_bytes`.
    """
    return parse_body(await read_bytes(request, min(max_bytes, model.max_bytes)), model)


def parse_body(raw: bytes, model: type[BodyT]) -> BodyT:
    """Read bytes of JSON into `model`; a large body is for a thread. Raises InvalidError, as `read_body`."""
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as exc:
        if not model.is_shown:
            raise InvalidError(_first_fault(exc, shown=False)) from None  # the cause shows what was sent
        raise InvalidError(_first_fault(exc)) from exc


def whole_number(request: Request, name: str, *, default: int, highest: int, lowest: int = 0) -> int:
    """Read a number of the query, `lowest` to `highest`. Raises InvalidError, also for one given twice."""
    given = request.query_params.getlist(name) or [str(default)]
    if len(given) > 1:
        raise InvalidError(
            f"query parameter {name} is given twice, as {given[0][:40]!r} and {given[1][:40]!r}"
        )
    text = given[0]
    digits = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not digits or not lowest <= int(text) <= highest:
        raise InvalidError(f"query parameter {name} {text[:40]!r} is not a number from {lowest} to {highest}")
    return int(text)


def at_state(request: Request) -> str | None:
    """Read the `at_state` of a query that has no other word, None without one. Raises InvalidError."""
    only(request, "at_state")
    given = request.query_params.getlist("at_state")
    if not given:
        return None
    if len(given) > 1 or re.fullmatch(PATTERN, given[0]) is None:
        raise InvalidError(f"query parameter at_state {given[-1][:40]!r} is given twice, or is no state")
    return given[0]


def only(request: Request, *known: str) -> None:
    """Refuse a query with a parameter that is none of `known`. Raises InvalidError naming it."""
    for name in request.query_params:
        if name not in known:
            raise InvalidError(
                f"query parameter {name[:40]!r} is unknown, expected {', '.join(known) or 'none'}"
            )


def pairs(request: Request, name: str) -> dict[str, str]:
    """Read repeated `name=key=value` of the query. Raises InvalidError, also for a key given twice."""
    found: dict[str, str] = {}
    for text in request.query_params.getlist(name):
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise InvalidError(f"query parameter {name} {text[:80]!r} is not key=value")
        if key in found:
            raise InvalidError(f"query parameter {name} asks for {key[:80]!r} twice, one agent has one value")
        found[key] = value
    return found


def agent_of(request: Request) -> AgentId:
    """Read the agent of the path. Raises InvalidError."""
    try:
        return AgentId.parse(request.path_params["uid"])
    except RefusedError as exc:
        raise InvalidError(str(exc)) from exc


def _first_fault(error: ValidationError, *, shown: bool = True) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    said = first["msg"][:1].lower() + first["msg"][1:]  # the rest may be a pattern, whose case counts
    if not shown:
        return f"{where}: {said}"
    value = json.dumps(first["input"], default=str)
    return f"{where} {value[:80]}: {said}"
