"""A credential's renewal, end to end: a real agent on a certificate that is due, at the real listener."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.exceptions import InvalidStatus

from keys.certificate import Issued, Slot
from keys.errors import NotAdmittedError
from keys.identity import AgentId
from keys.ledger import State
from tests.fakes.agent_process import Process, enroll, offer_of, runs
from tests.fakes.besieged_agent import wait_until
from tests.fakes.databases import journalled
from tests.fakes.listening import Identity
from tests.fakes.served_fleet import ServedFleet, served_fleet
from tests.fakes.wire_client import http_client, post, said, websocket

VALIDITY, BACKDATE = timedelta(minutes=2), timedelta(minutes=5)
"""Two thirds of such a life are over when it is issued: an agent renews as soon as it was let in once."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedFleet]:
    folder = tmp_path_factory.mktemp("fleet")
    with served_fleet(folder, validity=VALIDITY, backdate=BACKDATE) as made:
        yield made


def copied(fleet: ServedFleet, who: AgentId, host: Path) -> Identity:
    """Copy the credential that the agent enrolled with, as a thief would, before the agent lets go of it."""
    [held] = fleet.here.work.credentials(who)
    [key_file] = (host / "identity").glob("*.key.pem")
    key = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    issued = Issued(held.serial, who, held.slot, held.chain_pem, held.not_before, held.not_after)
    return fleet.here.keep(who, key, issued)


def talks_by(fleet: ServedFleet, who: AgentId) -> set[str]:
    """Return the serials by which the agent is connected now."""
    return {str(link.credential) for link in list(fleet.here.hub._by_agent.get(who, ())) if link.talks}


def renewed(fleet: ServedFleet, who: AgentId, old: Issued) -> bool:
    """Whether another certificate than the old one is the agent's only live one, and in use."""
    now_live = [str(serial) for serial in fleet.here.work.admission.serials_of(who)]
    return len(now_live) == 1 and now_live != [str(old.serial)] and talks_by(fleet, who) == set(now_live)


def require_refused(fleet: ServedFleet, old: Identity) -> None:
    """Nobody is let in with the old certificate any more, on either transport, and it is named."""
    with pytest.raises(NotAdmittedError, match=str(old.issued.serial)):
        fleet.here.work.admission.admit(old.issued.serial, old.agent)
    with pytest.raises(InvalidStatus) as refused, websocket(fleet.here, old):
        raise AssertionError("the old certificate was let in")
    answer = refused.value.response
    assert (answer.status_code, str(old.issued.serial).encode() in answer.body) == (401, True)
    with http_client(fleet.here, old) as pool:
        response = post(pool, said(old.agent))
    assert (response.status, str(old.issued.serial).encode() in response.data) == (401, True)


def require_recorded(fleet: ServedFleet, who: AgentId, old: Issued) -> None:
    """The ledger has one current credential and the old one as superseded; the journal has every step."""
    held = {each.serial: (each.state, each.slot) for each in fleet.here.work.credentials(who)}
    assert held.pop(old.serial)[0] is State.SUPERSEDED
    assert list(held.values()) == [(State.LIVE, Slot.CURRENT)]
    [new] = held
    names = {f"serial:{old.serial}": "old", f"serial:{new}": "new"}
    steps = [
        (names[entry.subject], entry.kind.removeprefix("credential."))
        for entry in journalled(fleet.here.work.database)
        if entry.subject in names
    ]
    assert steps[:2] == [("old", "intended"), ("old", "issued")]
    assert steps[2:4] == [("new", "intended"), ("new", "renewed")]
    assert sorted(steps[4:]) == [("new", "promoted"), ("old", "superseded")]


@pytest.mark.parametrize("transport", ["ws", "http"])
def test_an_agent_renews_and_stays(fleet: ServedFleet, tmp_path: Path, transport: str) -> None:
    """A due certificate is renewed, the next one promoted, the old one refused, and the agent works on."""
    who = enroll(fleet, tmp_path, transport, f"renew-{transport}")
    old = copied(fleet, who, tmp_path)
    fleet.offer(offer_of(fleet, "1.0.0"))
    process = Process(tmp_path)
    try:
        wait_until(lambda: runs(fleet, who, "1.0.0"))
        wait_until(lambda: renewed(fleet, who, old.issued))
        require_recorded(fleet, who, old.issued)
        require_refused(fleet, old)
        fleet.offer(offer_of(fleet, "1.1.0"))
        wait_until(lambda: runs(fleet, who, "1.1.0"))
        assert fleet.view(who).connected
        assert renewed(fleet, who, old.issued)
    finally:
        assert process.stop() == 0
    assert "not connected" not in process.output.read_text()
    assert old.key_file.read_bytes() not in [
        each.read_bytes() for each in (tmp_path / "identity").glob("*.pem")
    ]
