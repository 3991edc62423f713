"""How far an agent is with its settings, and what is believed of it."""

from dataclasses import replace

import pytest

from distribution.domain.agent import Capability
from distribution.domain.attempts import numbered
from distribution.domain.connection_status import Phase, Standing, Truth, credential_truth, standing
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus, Signal

WANTED = ConnectionSet(heartbeat_seconds=5)
ABLE = Capability.REPORTS_CONNECTION_STATUS


def status(state: ConnectionState, attempt: int = 1, error: str = "") -> ConnectionStatus:
    return ConnectionStatus(state, numbered(WANTED.digest, attempt), error)


def test_nothing_is_intended() -> None:
    """Without settings there is nothing to stand at, whatever the agent says."""
    assert standing(None, status(ConnectionState.APPLIED), ABLE) == Standing(Phase.NONE)


@pytest.mark.parametrize(
    "said",
    [None, ConnectionStatus(ConnectionState.APPLIED, b"other"), ConnectionStatus(ConnectionState.UNSET)],
)
def test_an_offer_that_the_agent_did_not_name(said: ConnectionStatus | None) -> None:
    """A status of another hash says nothing of this one."""
    assert standing(WANTED, said, ABLE) == Standing(Phase.OFFERED)


def test_an_agent_that_reports_no_status_is_said_to() -> None:
    """An operator must not wait for it."""
    for said, attempt in ((None, 0), (status(ConnectionState.UNSET, 2), 2)):
        found = standing(WANTED, said, Capability.NONE)
        assert (found.phase, found.attempt) == (Phase.OFFERED, attempt)
        assert "does not report what became of settings, and is offered the same ones once" in found.note
        assert "it refuses the heartbeat" in found.note
    telemetry = replace(WANTED, heartbeat_seconds=None, telemetry={Signal.METRICS: None})
    assert "refuses" not in standing(telemetry, None, Capability.NONE).note


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        (ConnectionState.APPLYING, Phase.APPLYING),
        (ConnectionState.APPLIED, Phase.APPLIED),
        (ConnectionState.UNSET, Phase.OFFERED),
    ],
)
def test_the_agents_word_counts_for_the_offer_it_names(state: ConnectionState, phase: Phase) -> None:
    """With the try that it speaks of."""
    assert standing(WANTED, status(state, 3), ABLE) == Standing(phase, 3)


def test_a_failure_has_the_agents_own_words() -> None:
    """And what the server does about it."""
    found = standing(WANTED, status(ConnectionState.FAILED, 2, "no route to host"), ABLE)
    assert (found.phase, found.attempt, found.error) == (Phase.FAILED, 2, "no route to host")
    assert "another hash" in found.note


def test_a_credential_that_was_seen_is_proven() -> None:
    """The serial on a handshake is the truth."""
    assert credential_truth("01", None, None, heard=True) == Truth(True, "serial 01 was seen on a handshake")


def test_an_agents_applied_is_no_proof_of_a_credential() -> None:
    """Clients say it before they connected with it."""
    found = credential_truth("01", "02", status(ConnectionState.APPLIED), heard=True)
    assert not found.proven
    assert found.words == (
        "the agent says applied, which is not believed: serial 02 was issued and not seen on a handshake yet"
    )


def test_a_credential_that_waits() -> None:
    """Until it is seen it is only issued; an agent without one is said to have none."""
    waiting = credential_truth("01", "02", None, heard=True)
    assert waiting == Truth(False, "serial 02 was issued and not seen on a handshake yet")
    first = credential_truth("01", None, None, heard=False)
    assert first == Truth(False, "serial 01 was issued and not seen on a handshake yet")
    none = credential_truth(None, None, None, heard=True)
    assert none == Truth(False, "the agent has no certificate of ours")
