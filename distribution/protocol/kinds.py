"""Agents of one kind: of which the same is known, as far as a plan depends on it, and what a plan leads to.

A kind is looked up once after an agent said something. From then on its conversation points to it, and what
is decided for one of the kind is found for the next by that pointer. Who was made an offer is of another
kind afterwards; that is found once for all of them too.

What is each agent's own is no part of a kind: its uid, a configuration, an order. Where a plan depends on
these, kinds MUST NOT be asked for it.
"""

from datetime import datetime
from typing import Final, TypeAlias

from distribution.protocol.alike import Push
from distribution.protocol.asking import is_unsure
from distribution.protocol.pacing import NEVER
from distribution.protocol.session import Session, Standing

KINDS_MAX: Final = 1000
"""Kinds that are found again by what they are; beyond, all are made anew, and those in use stay good."""

_Key: TypeAlias = tuple[object, ...]

_NOBODY: Final = frozenset[tuple[str, str]]()


class Kind:
    """One kind of agents, and what was decided for it last. It is compared by identity."""

    __slots__ = ("after", "decided_in", "found", "key", "until")

    def __init__(self, key: _Key) -> None:
        self.key = key
        """All that is known of these agents; the last two parts are what they were offered."""
        self.decided_in: object = None
        """The round in which it was; None: in none yet."""
        self.found: Push | None = None
        """What it led to; None: it is each one's own affair."""
        self.until = NEVER
        """Until when nothing is due after `found`, and no plan is old (aware UTC)."""
        self.after: Kind | None = None
        """Of which kind they are after `found`; None: of the same."""


class Kinds:
    """The kinds that are known. Belongs to the event loop."""

    def __init__(self) -> None:
        self._known: dict[_Key, Kind] = {}

    def of(self, session: Session, before: Push | None) -> Kind | None:
        """Return the kind of an agent that speaks for itself; None of one that is yet to be greeted.

        Args:
            session: its state, before `before`.
            before: what a wake-up led to that is not in `session` yet, if one did.
        """
        if session.standing is not Standing.CURRENT or not session.greeted:
            return None
        view, offered, config = session.view, session.offered, session.config
        if before is not None:
            offered, config = before.offered, before.config
        labels = frozenset(view.labels.items()) if view.labels else _NOBODY
        key = (
            labels,
            view.platform,
            view.description is None,
            int(view.capabilities),
            view.problem,
            view.packages,
            is_unsure(view, session.asked),
            view.connections,
            session.connections,
            session.earlier,
            offered,
            config,
        )
        return self._named(key)

    def note(self, kind: Kind, found: Push | None, until: datetime, decided_in: object) -> None:
        """Note what was decided for a kind, in which round, and until when that is enough (aware UTC)."""
        kind.decided_in, kind.found, kind.until = decided_in, found, until
        kind.after = None
        if found is not None:
            after = self._named((*kind.key[:-2], found.offered, found.config))
            kind.after = None if after.key == kind.key else after  # what points to itself is not let go of

    def _named(self, key: _Key) -> Kind:
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= KINDS_MAX:
                self._known = {}
            known = self._known[key] = Kind(key)
        return known
