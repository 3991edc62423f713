"""The story of a call at the operators' listener: whose token it is, whether it still counts, what it may do.

Whoever is refused is told why, and the refusal is journalled as `operator.refused`, in the bounds of
`keys.refusals`. What counts as the same refusal:

1. Every token that is not ours, whatever name it carries: the name is a stranger's, and a note that depended
   on it would show by its delay which operators exist.
2. One operator's token that was revoked or has expired.
3. One operator's token that lacks one kind of scope, wherever it was tried.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from distribution.domain.scope import Scope, require_any
from distribution.errors import ForbiddenError, UnauthenticatedError
from distribution.fleet import operators
from distribution.fleet.operators import Operator
from distribution.flows.ports import Clock
from keys.refusals import Refusals
from storage.database import Database

KIND: Final = "operator.refused"
UNKNOWN: Final = "unknown token"


class Entry:
    """Lets operators in. Blocking; safe to use from any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._refusals = Refusals(database)

    def admit(self, presented: str, sufficient: Callable[[], frozenset[Scope]], *, where: str) -> Operator:
        """Return whose call it is.

        Args:
            presented: the token's text, from whoever called.
            sufficient: gives the scopes of which one is needed, none if any live token will do; it is asked
                only for a live token, and what it raises is passed on.
            where: what was called and from where, for the journal.

        Raises:
            UnauthenticatedError: the token is not ours, was revoked or has expired.
            ForbiddenError: it holds none of the sufficient scopes.
        """
        now = self._clock()
        operator = self._recognise(presented, where, now)
        name = f"operator:{operator.name}"
        try:
            operators.require_live(operator, now)
        except UnauthenticatedError as exc:
            self._note(f"{exc} ({where})", now, key=name, actor=name, subject=name)
            raise
        needed = sufficient()
        try:
            if needed:
                require_any(operator.scopes, needed, holder=operator.name)
        except ForbiddenError as exc:
            rights = sorted(scope.right.value for scope in needed)
            self._note(f"{exc} ({where})", now, key=f"{name} without {rights}", actor=name, subject=name)
            raise
        return operator

    def _recognise(self, presented: str, where: str, now: datetime) -> Operator:
        try:
            with self._database.read() as connection:
                return operators.recognise(connection, presented)
        except UnauthenticatedError as exc:
            self._note(f"{exc} ({where})", now, key=UNKNOWN, actor="peer", subject=UNKNOWN)
            raise

    def _note(self, why: str, now: datetime, *, key: str, actor: str, subject: str) -> None:
        self._refusals.note(KIND, key=key, actor=actor, subject=subject, why=why, now=now)
