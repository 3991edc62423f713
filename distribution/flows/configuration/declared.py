"""What operators declared secret, now or before: what agents report may hold it long after it was replaced.

Rules:

1. Every secret version counts that any step of any assignment ever named: an agent keeps what it runs when
   its assignment is changed or taken away, and may report it anew.
2. What a version that is assigned now says openly is none, nor is the name of a part (a key is shown anyway):
   what stands in every configuration would be hidden everywhere.
3. Of a text with variables or references, known is what stands around them.
4. Of one agent alone: the values that operators gave it, now or before.
5. `former` is memory alone; `reload` reads, and is told by the board, in a worker thread. Versions never
   change, so each is read once; one that cannot be read is logged once, and holds up nothing.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from sqlalchemy import Connection

from distribution.domain.configuration import ConfigVersion, RemoteConfig
from distribution.domain.known_secrets import (
    KNOWN_LEAST_CHARS,
    PIECE_LEAST_CHARS,
    TEXT_APART,
    Known,
    Sought,
    as_reported,
    longest_first,
    pieces_of,
    with_dollars,
)
from distribution.domain.secrets import REDACTED
from distribution.errors import DistributionError
from distribution.fleet import config_assignments, configurations, earlier_values
from distribution.flows.configuration.text import Told, told
from keys.errors import CustodyError
from keys.identity import AgentId
from keys.sealing import Seal

logger = logging.getLogger(__name__)

_Version: TypeAlias = tuple[str, int]
_ALIKE_MAX: Final = 64
"""Agents that are to run the same share what is known of them; of so many kinds it is kept."""


class Declared:
    """What operators declared secret. Thread-safe; who calls `reload` lets nobody else do so meanwhile."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._told: dict[_Version, Told] = {}
        self._basis = frozenset[_Version](), frozenset[_Version]()
        self._former = Known()
        self._alike: tuple[Known, dict[frozenset[str], Known]] = self._former, {}

    @property
    def former(self) -> Known:
        """What was declared of versions; the same object until another version counts."""
        return self._former

    def reload(self, connection: Connection, assigned: Mapping[_Version, ConfigVersion]) -> None:
        """Read what is new.

        Args:
            connection: reads.
            assigned: the versions that are assigned now, by name and number.

        Raises: as `Database.read`; all then stays as it was.
        """
        secret = config_assignments.ever_named(connection) & configurations.secret_ones(connection)
        openly = frozenset(key for key, found in assigned.items() if not found.secret)
        if (secret, openly) == self._basis:
            return
        found = {
            key: self._told.get(key) or self._read(connection, key, assigned.get(key))
            for key in sorted(secret | openly)
        }
        self._former = former_of((found[key] for key in secret), (found[key] for key in openly))
        self._told, self._basis = found, (secret, openly)

    def given(self, connection: Connection, agent: AgentId) -> tuple[str, ...]:
        """Return the values that operators gave an agent, now or before, that are long enough to be known."""
        sealed = config_assignments.ever_set(connection, agent)
        found = [earlier_values.opened(one, self._seal) for one in sealed]
        if None in found:
            logger.warning("values of an agent cannot be read to be hidden", extra={"agent": str(agent)})
        return tuple(sorted({one for one in found if one is not None and len(one) >= KNOWN_LEAST_CHARS}))

    def known_of(self, connection: Connection, agent: AgentId, intended: RemoteConfig | None) -> Known:
        """Return all that is to be hidden in what an agent reports."""
        return all_known(self.former, self.given(connection, agent), intended)

    def known_of_all(self, intended: RemoteConfig | None) -> Known:
        """Return what is to be hidden of agents that never had values of their own; asked for in lists."""
        if intended is None or intended.secret_parts:
            return all_known(self.former, (), intended)
        former, alike = self._alike
        if former is not self._former or len(alike) >= _ALIKE_MAX:
            former, alike = self._alike = self._former, {}
        if (found := alike.get(intended.secrets)) is None:
            found = alike[intended.secrets] = all_known(former, (), intended)
        return found

    def _read(self, connection: Connection, which: _Version, found: ConfigVersion | None) -> Told:
        try:
            version = found or configurations.read(connection, *which, self._seal)
            return told(version.objects.values())
        except (DistributionError, CustodyError, ValueError):  # bytes that are not even sealed
            name, number = which
            logger.exception("configuration cannot be read", extra={"version": f"{name}@{number}"})
            return Told()


def all_known(former: Known, given: tuple[str, ...], intended: RemoteConfig | None) -> Known:
    """Return as one what was declared, what one agent was given, and what it is to run."""
    own = () if intended is None else intended.secret_parts
    secrets = frozenset[str]() if intended is None else intended.secrets
    if not (given or own) and secrets <= former.whole:
        return former
    parts = as_reported(frozenset((*given, *own))).difference(former.parts)
    return Known(secrets - former.whole, longest_first(parts), former)


def former_of(secret: Iterable[Told], openly: Iterable[Told]) -> Known:
    """Return what secret versions say and open ones do not."""
    texts = frozenset[str]().union(*(one.texts for one in secret))
    shown = with_dollars(frozenset[str]().union(*(one.texts | one.keys for one in openly)))
    whole, pieces = as_reported(texts), as_reported(pieces_of(texts), least=PIECE_LEAST_CHARS)
    shown |= _rests_shown(whole | pieces, shown)
    open_ones = Sought(pieces).within(TEXT_APART.join(shown)) if pieces else ()
    return Known(whole - shown, longest_first(pieces.difference(open_ones)))


def _rests_shown(forms: frozenset[str], shown: frozenset[str]) -> frozenset[str]:
    """Return what open texts are once they lost what looks like a secret, where `forms` may be the same."""
    of_rests = Sought(max(one.split(REDACTED), key=len) for one in forms if REDACTED in one)
    likely = Sought(of_rests.within(TEXT_APART.join(shown)))
    return as_reported(frozenset(one for one in shown if likely.within(one))) if likely.texts else frozenset()
