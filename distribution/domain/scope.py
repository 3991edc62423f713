"""What a token of the operators' API may do: four fixed scopes, and nothing that is put together from them.

- `read`: see everything the API shows.
- `publish:<publisher>`: bring that publisher's files and signed roles; see trust, releases and publishers.
- `fleet`: set channels, label agents; see everything.
- `security`: enrollment tokens, revocation, publishers, operators, the journal's check; see everything. It
  makes tokens of any scope, so it is the administrator: what others cannot do, it can let itself do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from distribution.domain.package import require_name
from distribution.errors import ForbiddenError, InvalidError


class Right(Enum):
    """The four kinds of scope."""

    READ = "read"
    PUBLISH = "publish"
    FLEET = "fleet"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope; `publisher` is given with PUBLISH and with nothing else."""

    right: Right
    publisher: str | None = None

    def __post_init__(self) -> None:
        if (self.publisher is not None) is not (self.right is Right.PUBLISH):
            raise InvalidError(f"scope {self.right.value!r} with publisher {self.publisher!r} is not a scope")
        if self.publisher is not None:
            require_name(self.publisher)

    @classmethod
    def parse(cls, text: str) -> "Scope":
        """Read `read`, `fleet`, `security` or `publish:<publisher>`. Raises InvalidError."""
        right, colon, publisher = text.partition(":")
        if right not in {known.value for known in Right}:
            raise InvalidError(f"scope {text!r} is not one of read, fleet, security, publish:<publisher>")
        return cls(Right(right), publisher if colon else None)

    def __str__(self) -> str:
        return self.right.value if self.publisher is None else f"{self.right.value}:{self.publisher}"


READ: frozenset[Scope] = frozenset({Scope(Right.READ), Scope(Right.FLEET), Scope(Right.SECURITY)})
"""Any of these sees everything."""

FLEET: frozenset[Scope] = frozenset({Scope(Right.FLEET)})
SECURITY: frozenset[Scope] = frozenset({Scope(Right.SECURITY)})


def publish(publisher: str) -> frozenset[Scope]:
    """Return what suffices to bring `publisher`'s files and roles. Raises InvalidError for a bad name."""
    return frozenset({Scope(Right.PUBLISH, publisher)})


def require_any(held: Iterable[Scope], sufficient: frozenset[Scope], *, holder: str) -> None:
    """Refuse a token that holds none of the scopes that suffice.

    Raises:
        ForbiddenError: it names the holder, what it holds and what is needed.
    """
    scopes = frozenset(held)
    if not scopes & sufficient:
        has, needs = _listed(scopes), _listed(sufficient)
        raise ForbiddenError(f"operator {holder!r} holds {has}, this needs {needs}")


def _listed(scopes: frozenset[Scope]) -> str:
    return " or ".join(sorted(str(scope) for scope in scopes)) or "nothing"
