"""Which configurations an agent is to run, and how several become one.

The rule, in one order for everything: **the higher priority wins, and nothing else decides.**

1. An assignment applies to an agent when every label of its selector is one of the agent's (an operator's or
   a token's), and every attribute of it is one that the agent reports.
2. Of several that bring the same configuration, whatever version, the one of the highest priority counts.
3. Those that count are put together, object by object: of several with one key, the highest priority's is it.
4. Where two of equal priority meet in 2 or 3 the choice is refused, by both names: a coin must not decide
   what runs. Elsewhere, where the order shows (in the origin), equal priorities stand by name.

Whatever carries a secret is chosen by labels alone: what an agent says of itself must not open it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from distribution.domain.config_template import Source, Variable
from distribution.domain.configuration import ConfigObject, RemoteConfig
from distribution.errors import InvalidError, PolicyError

PRIORITY_MAX: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Assignment:
    """One version of a configuration for the agents of a selector. The assignment's name is its own."""

    name: str
    config: str
    number: int
    """The version."""
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.config}@{self.number}"

    def applies_to(self, labels: Mapping[str, str], attributes: Mapping[str, str]) -> bool:
        """Say whether an agent with these labels that reports these attributes is meant."""
        return all(labels.get(name) == value for name, value in self.labels.items()) and all(
            attributes.get(name) == value for name, value in self.attributes.items()
        )


def choose(
    assignments: Iterable[Assignment], labels: Mapping[str, str], attributes: Mapping[str, str]
) -> tuple[Assignment, ...]:
    """Return those that count for an agent, lowest priority first (rules 1 and 2).

    Raises:
        PolicyError: two of equal priority bring the same configuration.
    """
    rivals: dict[str, list[Assignment]] = {}
    for one in assignments:
        if one.applies_to(labels, attributes):
            rivals.setdefault(one.config, []).append(one)
    counting = [
        _highest(found, f"both bring configuration {config!r}") for config, found in sorted(rivals.items())
    ]
    return tuple(sorted(counting, key=_order))


def before_present(steps: Iterable[Assignment]) -> Assignment | None:
    """Return the step with the version before the present one; None if there is none.

    A step to the version before undoes one: what was taken back is not gone back to, so that who goes back
    twice is two versions back, and not again at what he fled from.

    Args:
        steps: of one assignment, the first one first.
    """
    kept: list[Assignment] = []
    for step in steps:
        if kept and _version(step) == _version(kept[-1]):
            continue  # another selector, or priority
        if len(kept) > 1 and _version(step) == _version(kept[-2]):
            kept.pop()
        else:
            kept.append(step)
    return kept[-2] if len(kept) > 1 else None


def combine(parts: Sequence[tuple[Assignment, Mapping[str, ConfigObject]]]) -> RemoteConfig:
    """Return the one configuration that these make, variables put in already (rule 3).

    Raises:
        PolicyError: two of equal priority have an object of the same key.
    """
    bringing: dict[str, list[Assignment]] = {}
    for assignment, objects in parts:
        for key in objects:
            bringing.setdefault(key, []).append(assignment)
    objects_of = {assignment.name: objects for assignment, objects in parts}
    chosen = {
        key: objects_of[_highest(found, f"both have an object of key {key!r}").name][key]
        for key, found in sorted(bringing.items())
    }
    ordered = sorted((assignment for assignment, _ in parts), key=_order)
    return RemoteConfig(chosen, ", ".join(map(str, ordered)))


def require_selectable(assignment: Assignment, *, secret: bool, variables: Iterable[Variable]) -> None:
    """Refuse to let an agent choose for itself what carries a secret.

    Args:
        assignment: as it is to be.
        secret: whether the version was declared to carry one.
        variables: of the version; the value that an operator gave an agent counts as a secret.

    Raises:
        InvalidError: it is selected by attributes that agents report, or its priority is out of bounds.
    """
    if not 0 <= assignment.priority <= PRIORITY_MAX:
        raise InvalidError(f"priority {assignment.priority} is not from 0 to {PRIORITY_MAX}")
    holds = secret or any(variable.source is Source.VALUE for variable in variables)
    if holds and assignment.attributes:
        raise InvalidError(
            f"configuration {assignment} carries a secret, so it is selected by labels alone; attributes "
            f"{sorted(assignment.attributes)} are what an agent says of itself"
        )


def _highest(rivals: Sequence[Assignment], clash: str) -> Assignment:
    most = max(one.priority for one in rivals)
    best = sorted((one for one in rivals if one.priority == most), key=_order)
    if len(best) > 1:
        raise PolicyError(f"assignments {best[0].name!r} and {best[1].name!r} {clash} with priority {most}")
    return best[0]


def _version(assignment: Assignment) -> tuple[str, int]:
    return assignment.config, assignment.number


def _order(assignment: Assignment) -> tuple[int, str]:
    return assignment.priority, assignment.name
