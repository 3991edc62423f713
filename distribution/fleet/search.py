"""Finding agents: a filter in operators' words, one page of those that fit, and how many there are.

Every term of a filter must hold; where a term names several states, one of them is enough. What is found is
as fresh as the last flush of the registry, a second or so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from distribution.domain.liveness import Delivery, Liveness, Wellbeing
from distribution.fleet import facts, index
from distribution.fleet.index import Found
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Filter:
    """Which agents are meant; all of them by default."""

    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    live: frozenset[Liveness] = frozenset()
    health: frozenset[Wellbeing] = frozenset()
    packages: frozenset[Delivery] = frozenset()

    @property
    def wanted(self) -> index.Wanted:
        """Return the facts that are asked for."""
        found = [frozenset({facts.label(name, value)}) for name, value in self.labels.items()]
        found += [frozenset({facts.attribute(name, value)}) for name, value in self.attributes.items()]
        if self.platform is not None:
            found.append(frozenset({facts.platform(self.platform)}))
        if self.live:
            found.append(frozenset(facts.LIVE[state] for state in self.live))
        if self.health:
            found.append(frozenset(facts.WELL[state] for state in self.health))
        if self.packages:
            found.append(frozenset(facts.DELIVERED[state] for state in self.packages))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Tally:
    """How many agents fit, and how many of these are in each state."""

    total: int
    live: Mapping[Liveness, int]
    health: Mapping[Wellbeing, int]


def page(database: Database, wanted: Filter, *, after: int, limit: int) -> Found:
    """Return one page, in the order in which the agents came; `after` is that of the page before, or 0."""
    with database.read() as connection:
        return index.search(connection, wanted.wanted, after=after, limit=limit)


def tally(database: Database, wanted: Filter) -> Tally:
    """Count."""
    asked = tuple(wanted.wanted)
    with database.read() as connection:
        return Tally(
            index.count(connection, asked),
            {state: index.count(connection, (*asked, frozenset({one}))) for state, one in facts.LIVE.items()},
            {state: index.count(connection, (*asked, frozenset({one}))) for state, one in facts.WELL.items()},
        )
