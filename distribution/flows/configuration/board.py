"""What configuration each agent is to run, decided in memory, alike for equal agents.

Rules:

1. `config_for` does no I/O and reads no YAML: versions are made ready by `reload`, in a worker thread, which
   is called before anybody is woken.
2. Nothing is said where the answer is not complete and certain: a tie, a variable that nobody fills, a
   version that is gone. Nor where nothing is assigned: an empty configuration is never made of that.
3. What is put together of several versions is offered when it was judged as one (`together`).
4. Agents that the selectors and variables cannot tell apart share one value. How many are kept is bounded,
   by number and by bytes: what an agent says of itself makes kinds too.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias
from uuid import UUID

from sqlalchemy import Connection

from distribution.domain.agent import AgentView, Capability, Description
from distribution.domain.config_choice import Assignment, choose, combine
from distribution.domain.config_template import Facts, Source
from distribution.domain.configuration import RemoteConfig
from distribution.domain.known_secrets import KNOWN_LEAST_CHARS
from distribution.errors import DistributionError, PolicyError
from distribution.fleet import config_assignments, configurations
from distribution.flows.configuration.declared import Declared
from distribution.flows.configuration.render import Ready, ready
from distribution.flows.configuration.together import Together, nothing_set
from keys.errors import CustodyError
from keys.sealing import Seal
from storage.database import Database

logger = logging.getLogger(__name__)

KINDS_MAX: Final = 10_000
KEPT_MAX_BYTES: Final = 64 << 20

_Said: TypeAlias = tuple[str | None, ...]
_Version: TypeAlias = tuple[str, int]
_NOTHING: Final[Mapping[str, str]] = {}


class ConfigBoard:
    """Decides configurations. Thread-safe; `config_for` is for the event loop."""

    def __init__(self, database: Database, seal: Seal, together: Together | None = None) -> None:
        """`together` judges what is made of several versions; without it nobody is asked."""
        self._database = database
        self._seal = seal
        self._together = together or nothing_set()
        self._reloading = threading.Lock()
        self._values: dict[UUID, dict[str, str]] = {}
        self._revision = 0
        self._board = _Board((), {}, {}, self._together)
        self.declared = Declared(seal)
        """What operators declared secret, now or before; read with the rest."""

    def reload(self) -> None:
        """Read everything again. Raises: as `Database.read`; all then stays as it was."""
        with self._reloading:
            before = self._board
            with self._database.read() as connection:
                found = tuple(step.assignment for step in config_assignments.counting(connection))
                wanted = {(one.config, one.number) for one in found}
                missing = wanted - before.versions.keys()
                read = self._made_ready(connection, sorted(missing))
                revision, changed = config_assignments.values_after(connection, self._revision)
                versions = {key: before.versions[key] for key in wanted & before.versions.keys()} | read
                self.declared.reload(connection, {key: one.version for key, one in versions.items()})
            self._apply(changed)
            self._revision = revision
            if changed or found != before.assignments or versions.keys() != before.versions.keys():
                self._board = _Board(found, versions, self._values, self._together)

    @property
    def empty(self) -> bool:
        """Whether nothing is assigned to anybody."""
        return not self._board.assignments

    def config_for(self, view: AgentView) -> RemoteConfig | None:
        """Return what this agent is to run, None where nothing is assigned to it.

        Raises:
            DistributionError: it cannot be decided, or the agent takes no configuration; nothing may be
                offered.
        """
        return self._board.config_for(view)

    def was_given(self, agent: UUID) -> bool:
        """Whether operators ever gave this agent a value of its own; memory only."""
        return agent in self._values

    def is_secret(self, view: AgentView) -> bool:
        """Whether what this agent is to run carries a secret. Raises: as `config_for`."""
        return self._board.is_secret(view)

    def _made_ready(self, connection: Connection, wanted: Sequence[_Version]) -> dict[_Version, Ready]:
        found: dict[_Version, Ready] = {}
        for name, number in wanted:
            try:
                found[name, number] = ready(configurations.read(connection, name, number, self._seal))
            except (DistributionError, CustodyError):
                # It was judged before it was kept; one that is damaged must not hold up the others.
                logger.exception("configuration cannot be read", extra={"version": f"{name}@{number}"})
        return found

    def _apply(self, changed: Mapping[UUID, Mapping[str, str | None]]) -> None:
        for uid, given in changed.items():
            kept = dict(self._values.get(uid, {}))
            for name, sealed in given.items():
                kept.pop(name, None)
                if sealed is not None and (value := self._opened(uid, sealed)) is not None:
                    kept[name] = value
            self._values[uid] = kept

    def _opened(self, uid: UUID, sealed: str) -> str | None:
        try:
            return self._seal.open(sealed)
        except CustodyError:
            logger.exception("value of a configuration's variable cannot be read", extra={"agent": str(uid)})
            return None


@dataclass(slots=True)
class _Kept:
    """Values that were made, bounded."""

    found: dict[tuple[object, ...], RemoteConfig] = field(default_factory=dict)
    size: int = 0

    def put(self, kind: tuple[object, ...], made: RemoteConfig) -> RemoteConfig:
        if len(self.found) >= KINDS_MAX or self.size >= KEPT_MAX_BYTES:
            self.found, self.size = {}, 0
        self.found[kind] = made
        self.size += sum(len(one.body) for one in made.objects.values())
        return made


class _Board:
    """One set of assignments and versions, and the configurations that came of them so far."""

    def __init__(
        self,
        assignments: tuple[Assignment, ...],
        versions: Mapping[_Version, Ready],
        values: Mapping[UUID, Mapping[str, str]],
        together: Together,
    ) -> None:
        self.assignments = assignments
        self.versions = versions
        self._values = values
        self._together = together
        self._labels = sorted({name for one in assignments for name in one.labels})
        self._attributes = sorted({name for one in assignments for name in one.attributes})
        self._chosen: dict[tuple[_Said, _Said], tuple[Assignment, ...]] = {}
        self._kept = _Kept()

    def config_for(self, view: AgentView) -> RemoteConfig | None:
        if not self.assignments:
            return None
        described = view.description
        attributes = _NOTHING if described is None else _attributes(described)
        chosen = self._choose(view.labels, attributes)
        if not chosen:
            return None
        if not view.capabilities:
            raise PolicyError("agent has not said yet what it accepts")
        if not view.capabilities & Capability.ACCEPTS_REMOTE_CONFIG:
            raise PolicyError("agent does not accept remote configuration")
        if described is None and self._attributes:
            raise PolicyError("agent has not said what it is, by which a configuration may be selected")
        return self._made(chosen, Facts(view.uid, view.labels, attributes, self._values.get(view.uid, {})))

    def is_secret(self, view: AgentView) -> bool:
        attributes = _NOTHING if view.description is None else _attributes(view.description)
        chosen = [self._version(one) for one in self._choose(view.labels, attributes)]
        return any(
            found.version.secret or any(each.source is Source.VALUE for each in found.variables)
            for found in chosen
        )

    def _choose(self, labels: Mapping[str, str], attributes: Mapping[str, str]) -> tuple[Assignment, ...]:
        kind = tuple(map(labels.get, self._labels)), tuple(map(attributes.get, self._attributes))
        found = self._chosen.get(kind)
        if found is None:
            if len(self._chosen) >= KINDS_MAX:
                self._chosen.clear()
            found = self._chosen[kind] = choose(self.assignments, labels, attributes)
        return found

    def _made(self, chosen: tuple[Assignment, ...], facts: Facts) -> RemoteConfig:
        parts = [(one, self._version(one)) for one in chosen]
        self._together.require(parts)
        needed = sorted(
            {each for _, found in parts for each in found.variables},
            key=lambda each: (each.source.value, each.name),
        )
        kind = (*(one.name for one in chosen), None, *map(facts.get, needed))
        kept = self._kept.found.get(kind)
        if kept is not None:
            return kept
        made = combine([(one, found.objects(facts)) for one, found in parts])
        given = (facts.get(each) or "" for each in needed if each.source is Source.VALUE)
        secret = tuple(value for value in given if len(value) >= KNOWN_LEAST_CHARS)
        declared = frozenset[str]().union(*(found.secrets_for(facts) for _, found in parts))
        return self._kept.put(kind, replace(made, secrets=declared, secret_parts=secret))

    def _version(self, assignment: Assignment) -> Ready:
        found = self.versions.get((assignment.config, assignment.number))
        if found is None:
            raise PolicyError(f"configuration {assignment}, of {assignment.name!r}, cannot be read")
        return found


def _attributes(described: Description) -> Mapping[str, str]:
    return {**described.attributes, **described.identifying}
