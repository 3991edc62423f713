"""The story of a remote configuration: written, judged, assigned, changed back; and the fleet follows.

Step 1  A version is checked (`flows.configuration.check`) and, where a validator is set, judged by it, before
        any transaction; then version and journal entry are one transaction. The same content again is the
        version that is there.
Step 2  Only a version that was found valid, by the validator that is set now, can be assigned; and one that
        carries a secret by labels alone.
        What its agents would be given together with it, as far as selectors say it, is judged as one too
        (`flows.configuration.together`), before any transaction.
Step 3  An assignment's step and journal entry are one transaction; what could not be decided for any agent
        (two that tie for the same agents) is refused here already.
Step 4  The agents' plans are decided again; nobody waits for a heartbeat.

Journal: `config.created`, `config.judged`, `config.assigned`, `config.unassigned`. No body is in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection

from distribution.domain.config_choice import Assignment, before_present, require_selectable
from distribution.domain.config_template import Variable, split
from distribution.domain.configuration import ConfigObject
from distribution.errors import ConflictError, PolicyError, UnknownError
from distribution.fleet import config_assignments, configurations
from distribution.fleet.config_assignments import Step
from distribution.fleet.configurations import KnownVersion
from distribution.flows.configuration.check import check
from distribution.flows.configuration.render import ready
from distribution.flows.configuration.together import AT_ASSIGNMENT_MAX, Together, certain, refusal
from distribution.flows.configuration.validator import Validator
from distribution.flows.ports import Connections
from keys.sealing import Seal
from storage import journal
from storage.database import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """What configurations are kept in, judged by and told with."""

    database: Database
    connections: Connections
    validator: Validator
    seal: Seal
    """Of what carries a secret."""
    together: Together | None = None
    """Where judgements of wholes are kept; None: nowhere."""


@dataclass(frozen=True, slots=True)
class Created:
    """A version, and whether it was there before."""

    version: KnownVersion
    existed: bool


def create(
    parts: Parts,
    name: str,
    objects: Mapping[str, ConfigObject],
    *,
    secret: bool,
    actor: str,
    now: datetime,
) -> Created:
    """Make the next version of a configuration. One that the validator refuses is kept, with its words.

    Raises:
        InvalidError: it is not well formed, empty, too large, or carries what it may not.
        BusyError: as many are being validated as may be. HostError: the validator cannot be run.
    """
    # Step 1
    found = check(name, objects, secret=secret)
    with parts.database.read() as connection:
        before = configurations.same(connection, name, objects, secret=secret)
    if before is not None:
        return Created(before, existed=True)
    judgement = parts.validator.judge(found)
    with parts.database.write() as connection:
        before = configurations.same(connection, name, objects, secret=secret)
        if before is not None:  # somebody else was first with the same
            return Created(before, existed=True)
        made = configurations.add(
            connection,
            name,
            objects,
            secret=secret,
            variables=sorted(map(str, found.variables)),
            judgement=judgement,
            seal=parts.seal,
            actor=actor,
            now=now,
        )
        detail: dict[str, journal.JSON] = {
            "digest": made.digest,
            "secret": secret,
            "objects": sorted(objects)[:64],
            "valid": judgement.valid,
            "validator": judgement.validator,
        }
        _note(connection, "created", _named(made), detail, actor=actor, now=now)
    return Created(made, existed=False)


def judge(parts: Parts, name: str, number: int, *, actor: str, now: datetime) -> KnownVersion:
    """Have a version judged again, by the validator that is set now. Raises: as `create`; UnknownError."""
    with parts.database.read() as connection:
        known = configurations.known(connection, name, number)
        version = configurations.read(connection, name, number, parts.seal)
    judgement = parts.validator.judge(ready(version))
    with parts.database.write() as connection:
        configurations.judge(connection, name, number, judgement)
        detail: dict[str, journal.JSON] = {"valid": judgement.valid, "validator": judgement.validator}
        _note(connection, "judged", _named(known), detail, actor=actor, now=now)
    return replace(known, judgement=judgement)


def assign(
    parts: Parts, wanted: Assignment, *, actor: str, now: datetime, at_step: int | None = None
) -> Step:
    """Let the agents of a selector run a version: a new assignment, or the next step of the one of its name.

    Raises:
        UnknownError: there is no such version.
        ConflictError: it was not found valid by the validator that is set now (its words), or another
            assignment brings the same configuration to the same agents with the same priority.
        InvalidError: it carries a secret and is selected by attributes, or its priority is out of bounds.

    `at_step` is the step that its caller saw (0: none); ConflictError where it is another by now.
    """
    _judge_together(parts, wanted)
    with parts.database.write() as connection:
        if at_step is not None:
            config_assignments.require_at(connection, wanted.name, at_step)
        step = _assign(connection, parts, wanted, actor=actor, now=now)
    # Step 4
    parts.connections.wake()
    return step


def back(parts: Parts, name: str, *, actor: str, now: datetime, at_step: int | None = None) -> Step:
    """Let an assignment's agents run what they ran before its present version; selector and order stay.

    Raises:
        UnknownError: there is no such assignment. ConflictError: it had no version before. Else as `assign`.
    """
    with parts.database.read() as connection:
        found = _before(connection, name, at_step)
    _judge_together(parts, found)
    with parts.database.write() as connection:
        wanted = _before(connection, name, at_step)
        step = _assign(connection, parts, wanted, actor=actor, now=now)
    parts.connections.wake()
    return step


def unassign(parts: Parts, name: str, *, actor: str, now: datetime, at_step: int | None = None) -> Assignment:
    """Take an assignment away. Agents that are left with none are told nothing more, and keep what they run.

    Raises:
        UnknownError: there is no such assignment. ConflictError: it is at another step than `at_step`.
    """
    with parts.database.write() as connection:
        removed = _present(config_assignments.history(connection, name), name)
        if at_step is not None:
            config_assignments.require_at(connection, name, at_step)
        config_assignments.remove(connection, name)
        _note(
            connection,
            "unassigned",
            f"config-assignment:{name}",
            {"version": str(removed)},
            actor=actor,
            now=now,
        )
    parts.connections.wake()
    return removed


def _judge_together(parts: Parts, wanted: Assignment) -> None:
    """Have what this makes with others judged. Raises: ConflictError: the validator's words; as `assign`."""
    if not parts.validator.name:
        return
    with parts.database.read() as connection:
        _require_assignable(connection, parts, wanted)
        others = [step.assignment for step in config_assignments.counting(connection)]
        wholes = [
            [
                (one, ready(configurations.read(connection, one.config, one.number, parts.seal)))
                for one in whole
            ]
            for whole in islice(certain(wanted, others), AT_ASSIGNMENT_MAX)
        ]
    together = parts.together or Together(parts.validator)
    for whole in wholes:
        try:
            judgement = together.judge(whole)
        except PolicyError:
            continue  # two have an object of one key, and nothing is offered: `configs status` tells of whom
        if not judgement.valid:
            raise ConflictError(refusal(whole, judgement))


def _before(connection: Connection, name: str, at_step: int | None) -> Assignment:
    steps = config_assignments.history(connection, name)
    present = _present(steps, name)
    if at_step is not None:
        config_assignments.require_at(connection, name, at_step)
    before = before_present(step.assignment for step in steps)
    if before is None:
        raise ConflictError(f"assignment {name!r} has no version before {present} to go back to")
    return replace(present, config=before.config, number=before.number)


def _require_assignable(connection: Connection, parts: Parts, wanted: Assignment) -> None:
    known = configurations.known(connection, wanted.config, wanted.number)
    _require_valid(known, parts.validator)
    require_selectable(wanted, secret=known.secret, variables=_variables(known))


def _assign(connection: Connection, parts: Parts, wanted: Assignment, *, actor: str, now: datetime) -> Step:
    # Step 2
    _require_assignable(connection, parts, wanted)
    # Step 3
    others = [step.assignment for step in config_assignments.counting(connection)]
    for other in others:
        _require_not_tied(other, wanted)
    before = next((other for other in others if other.name == wanted.name), None)
    step = config_assignments.put(connection, wanted, actor=actor, now=now)
    detail: dict[str, journal.JSON] = {
        "version": str(wanted),
        "before": None if before is None else str(before),
        "priority": wanted.priority,
        "labels": dict(wanted.labels),
        "attributes": dict(wanted.attributes),
    }
    _note(connection, "assigned", f"config-assignment:{wanted.name}", detail, actor=actor, now=now)
    return step


def _require_valid(known: KnownVersion, validator: Validator) -> None:
    found, name = known.judgement, _named(known).partition(":")[2]
    if not found.valid:
        raise ConflictError(f"configuration {name} was refused by {found.validator!r}: {found.words}")
    if validator.name and found.validator != validator.name:
        raise ConflictError(
            f"configuration {name} was judged by {found.validator!r}, not by {validator.name!r} that is set "
            "now; have it validated first"
        )


def _require_not_tied(other: Assignment, wanted: Assignment) -> None:
    """Refuse what `domain.config_choice` could never decide: the same for the same agents, equally high."""
    same = (other.config, other.priority) == (wanted.config, wanted.priority)
    selectors = (dict(other.labels), dict(other.attributes)) == (dict(wanted.labels), dict(wanted.attributes))
    if other.name != wanted.name and same and selectors:
        raise ConflictError(
            f"assignment {other.name!r} brings configuration {wanted.config!r} to the same agents as "
            f"{wanted.name!r}, both with priority {wanted.priority}"
        )


def _present(steps: tuple[Step, ...], name: str) -> Assignment:
    for step in steps:
        if step.counts:
            return step.assignment
    raise UnknownError(f"configuration assignment {name!r} does not exist")


def _variables(known: KnownVersion) -> list[Variable]:
    return [part for text in known.variables for part in split(text) if isinstance(part, Variable)]


def _named(known: KnownVersion) -> str:
    return f"config:{known.name}@{known.number}"


def _note(
    connection: Connection,
    kind: str,
    subject: str,
    detail: Mapping[str, journal.JSON],
    *,
    actor: str,
    now: datetime,
) -> None:
    journal.append(connection, kind=f"config.{kind}", actor=actor, subject=subject, detail=detail, at=now)
