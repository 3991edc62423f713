"""Where an agent's connection settings stand, in a word and in words. Pure; for operators' eyes.

An agent's own status is believed of telemetry and other connections, for nothing better is known. Of a
credential it is not: clients say "applied" before they connected with it. The truth about a new credential is
its serial on the next handshake, and nothing else.
"""

from dataclasses import dataclass
from enum import Enum

from distribution.domain.agent import Capability
from distribution.domain.attempts import attempt_of, is_of
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus


class Phase(Enum):
    """How far an offer is."""

    NONE = "none"
    """Nothing is intended."""
    OFFERED = "offered"
    """It was offered, or is about to be; the agent has not said anything of it."""
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


_PHASES = {
    ConnectionState.UNSET: Phase.OFFERED,
    ConnectionState.APPLYING: Phase.APPLYING,
    ConnectionState.APPLIED: Phase.APPLIED,
    ConnectionState.FAILED: Phase.FAILED,
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an agent is with its settings. `attempt` is the try that it spoke of last, 0 for none."""

    phase: Phase
    attempt: int = 0
    error: str = ""
    """The agent's own words."""
    note: str = ""
    """What an operator should know of this phase."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of an agent's credential. `proven`: its newest one was seen on a handshake."""

    proven: bool
    words: str


def standing(
    wanted: ConnectionSet | None, status: ConnectionStatus | None, capabilities: Capability
) -> Standing:
    """Return how far an agent is with the settings that are wanted now.

    Args:
        wanted: what it is to have, as `connection_choice.permitted` returned it.
        status: what it said last.
        capabilities: what it can do.
    """
    if wanted is None:
        return Standing(Phase.NONE)
    mute = "" if Capability.REPORTS_CONNECTION_STATUS in capabilities else _mute(wanted)
    if status is None or not is_of(wanted.digest, status.hash):
        return Standing(Phase.OFFERED, note=mute)
    phase = _PHASES[status.state]
    note = mute if phase is Phase.OFFERED else ""
    note = "it is tried again under another hash, ever more rarely" if phase is Phase.FAILED else note
    return Standing(phase, attempt_of(status.hash), status.error, note)


def _mute(wanted: ConnectionSet) -> str:
    words = "the agent does not report what became of settings, and is offered the same ones once"
    if wanted.heartbeat_seconds is None:
        return words
    return (
        f"{words}; if it is one that wants a private key with its certificate, it refuses the heartbeat, "
        "keeps its connection and says so in its own log alone"
    )


def credential_truth(
    current: str | None, awaited: str | None, status: ConnectionStatus | None, *, heard: bool
) -> Truth:
    """Return what is known of an agent's certificate.

    Args:
        current: the serial in force, None if there is none.
        awaited: a serial that was issued to it and not seen on any handshake yet.
        status: what the agent said last of connection settings; it proves nothing here.
        heard: whether a message of the agent came over `current`.
    """
    if awaited is None:
        if current is None:
            return Truth(proven=False, words="the agent has no certificate of ours")
        if heard:
            return Truth(proven=True, words=f"serial {current} was seen on a handshake")
    waits = f"serial {awaited or current} was issued and not seen on a handshake yet"
    if status is not None and status.state is ConnectionState.APPLIED:
        return Truth(proven=False, words=f"the agent says applied, which is not believed: {waits}")
    return Truth(proven=False, words=waits)
