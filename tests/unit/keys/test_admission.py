"""keys/admission.py."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keys.admission import Admission, Admitted
from keys.certificate import BearerId, Passage, Reason, Serial, Slot
from keys.errors import NotAdmittedError
from keys.gateways import Admits
from storage.errors import UnavailableError
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, csr, new_key


@pytest.fixture
def work(tmp_path: Path) -> Iterator[AtWork]:
    with at_work(tmp_path) as work:
        yield work


def test_a_live_serial_is_admitted(work: AtWork) -> None:
    """As its agent's current one, and with the end of its certificate."""
    issued = work.enroll(new_key(), agent(), work.token())
    admitted = work.admission.admit(issued.serial, agent())
    assert (admitted.agent, admitted.slot, admitted.credential) == (agent(), Slot.CURRENT, issued.serial)
    assert admitted.not_after == issued.not_after


def test_only_a_certificate_makes_an_agent_certified(work: AtWork) -> None:
    """While it lives; a bearer token lets in and is none."""
    work.enroll(new_key(), agent(1), work.token())
    work.bearer(agent(2))
    assert [work.admission.is_certified(agent(number)) for number in (1, 2, 3)] == [True, False, False]
    work.authority.revoke(agent(1), Reason.KEY_COMPROMISE, "test", work.clock())
    assert not work.admission.is_certified(agent(1))


def test_an_admission_holds_until_anything_changes(work: AtWork) -> None:
    """Not for another copy of it, not from the end of the certificate, not after a revocation."""
    issued = work.enroll(new_key(), agent(), work.token())
    admitted = work.admission.admit(issued.serial, agent())
    assert work.admission.holds(admitted, work.clock())
    assert not work.admission.holds(replace(admitted), work.clock())
    assert not work.admission.holds(admitted, issued.not_after)
    work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "test", work.clock())
    assert not work.admission.holds(admitted, work.clock())


def test_a_start_reads_the_ledger(work: AtWork) -> None:
    """After a restart the same serials are admitted, current and next, and the labels are known."""
    first = work.enroll(new_key(), agent(), work.token(labels={"env": "prod"}))
    following = work.authority.renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
    admission = Admission(work.database, work.clock)
    assert admission.admit(first.serial).slot is Slot.CURRENT
    assert admission.admit(following.serial).slot is Slot.NEXT
    assert set(admission.serials_of(agent())) == {first.serial, following.serial}
    assert admission.labels_of(agent()) == {"env": "prod"}


def test_the_ledger_is_read_again_where_nobody_knows_what_was_committed(
    work: AtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation and a first certificate were; memory was told of neither."""
    gone, stays = work.enroll(new_key(), agent(), work.token()), agent(2)
    kept = work.enroll(new_key(), stays, work.token("t2"))
    with monkeypatch.context() as patch:
        patch.setattr(work.admission, "drop", lambda _: None)
        patch.setattr(work.admission, "refresh", lambda _: None)
        work.authority.revoke(agent(), Reason.KEY_COMPROMISE, "test", work.clock())
        new = work.enroll(new_key(), agent(3), work.token("t3", labels={"ring": "a"}))
    assert work.admission.admit(gone.serial)
    work.admission.read_again()
    with pytest.raises(NotAdmittedError, match="is not the current or next one"):
        work.admission.admit(gone.serial)
    assert [work.admission.admit(one.serial).agent for one in (kept, new)] == [stays, agent(3)]
    assert work.admission.labels_of(agent(3)) == {"ring": "a"}


def test_an_unknown_serial_is_not_admitted(work: AtWork) -> None:
    """No list has to name it."""
    with pytest.raises(NotAdmittedError, match="serial abc is not the current or next one"):
        work.admission.admit(Serial(0xABC))


def test_another_agents_message_is_not_admitted(work: AtWork) -> None:
    """Both agents are named."""
    issued = work.enroll(new_key(), agent(), work.token())
    with pytest.raises(
        NotAdmittedError, match=f"belongs to agent {agent()}, the message is of agent {agent(2)}"
    ):
        work.admission.admit(issued.serial, agent(2))


def test_an_ended_certificate_is_not_admitted(work: AtWork) -> None:
    """Up to its last second, and not from then on, though nothing was written."""
    issued = work.enroll(new_key(), agent(), work.token())
    work.clock.now = issued.not_after - timedelta(seconds=1)
    work.admission.admit(issued.serial)
    work.clock.advance(timedelta(seconds=1))
    with pytest.raises(NotAdmittedError, match="ended at"):
        work.admission.admit(issued.serial)


def test_a_drop_needs_no_database(work: AtWork) -> None:
    """Even with the database gone, what is dropped is refused."""
    issued = work.enroll(new_key(), agent(), work.token())
    work.database.close()
    work.admission.drop(agent())
    with pytest.raises(NotAdmittedError):
        work.admission.admit(issued.serial)


def test_a_refresh_brings_in_what_another_process_wrote(work: AtWork) -> None:
    """Live rows come in, others go; who never enrolled has nothing."""
    other = Admission(work.database, work.clock)
    issued = work.enroll(new_key(), agent(), work.token(labels={"env": "prod"}))
    assert other.labels_of(agent()) == {}
    other.refresh(agent())
    other.refresh(agent(2))
    assert other.admit(issued.serial).agent == agent()
    assert other.labels_of(agent()) == {"env": "prod"}
    assert other.serials_of(agent(2)) == ()
    work.authority.revoke(agent(), Reason.UNSPECIFIED, "operator:ann", work.clock())
    other.refresh(agent())
    with pytest.raises(NotAdmittedError):
        other.admit(issued.serial)


def test_an_intent_is_not_admitted(work: AtWork) -> None:
    """A serial that was begun and not finished opens nothing, neither after a refresh nor at a start."""
    key = new_key()
    issued = work.enroll(key, agent(), work.token())
    with work.database.write() as connection:
        connection.exec_driver_sql("UPDATE credentials SET state = 'intent'")
    work.admission.refresh(agent())
    for admission in (work.admission, Admission(work.database, work.clock)):
        with pytest.raises(NotAdmittedError):
            admission.admit(issued.serial)


def test_a_failed_refresh_leaves_everything_as_it_was(work: AtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that does not answer lets nobody in and throws nobody out."""
    issued = work.enroll(new_key(), agent(), work.token())

    def unavailable() -> None:
        raise UnavailableError("gone")

    monkeypatch.setattr(work.database, "read", unavailable)
    with pytest.raises(UnavailableError):
        work.admission.refresh(agent())
    assert work.admission.admit(issued.serial).agent == agent()


class Watched(dict[Serial, Admitted]):
    """The map of live serials, which remembers what was ever taken out of it."""

    def __init__(self, live: dict[Serial, Admitted]) -> None:
        super().__init__(live)
        self.taken: list[Serial] = []

    def pop(self, serial: Serial, default: object = None) -> object:  # type: ignore[override]
        self.taken.append(serial)
        return super().pop(serial, default)


def test_what_stays_live_is_admitted_at_every_moment(work: AtWork) -> None:
    """Reading an agent's rows again takes out what ended, and never for a moment what did not."""
    first = work.enroll(new_key(), agent(), work.token())
    following = work.authority.renew(csr(new_key(), agent()), first.serial, agent(), work.clock())
    watched = Watched(work.admission._live)
    work.admission._live = watched
    work.admission.refresh(agent())
    assert watched.taken == []
    work.authority.promote(following.serial, work.clock())
    assert watched.taken == [first.serial]


def test_a_bearer_token_is_proven_and_ends_at_its_time(work: AtWork) -> None:
    """Also on a connection that is open: its id alone is asked for then."""
    presented = work.bearer(agent(), life=timedelta(hours=1))
    assert work.admission.prove(presented)[1].agent == agent()
    work.clock.advance(timedelta(hours=1))
    for ask in (lambda: work.admission.prove(presented), lambda: work.admission.admit(BearerId("b1"))):
        with pytest.raises(NotAdmittedError, match=f"bearer b1 of agent {agent()} ended at"):
            ask()


@pytest.mark.parametrize(
    "presented", ["", ".", "b1", "b1.", "b1." + "x" * 43, "b2." + "y" * 43, "B1.x", "b1.b3arer"]
)
def test_what_is_no_token_is_refused_in_one_way(work: AtWork, presented: str) -> None:
    """Nobody learns whether the id exists."""
    work.bearer(agent())
    with pytest.raises(NotAdmittedError, match=r"^bearer token is not one of ours$"):
        work.admission.prove(presented)


def test_a_gateway_speaks_while_all_of_it_holds(work: AtWork) -> None:
    """Its own credential, its role, the passage; and nobody by the passage alone."""
    gateway = work.enroll(new_key(), agent(1), work.token())
    passage = Passage(agent(2), agent(1))
    with pytest.raises(NotAdmittedError, match="is no gateway"):
        work.admission.admit_through(passage, gateway.serial)
    assert not work.admission.any_gateway
    work.gateway(agent(1), Admits.NEW)
    assert work.admission.gateway(agent(1)) is not None
    assert work.admission.any_gateway
    assert work.admission.may_bring(agent(1), agent(2))
    assert not work.admission.may_bring(agent(2), agent(3))
    with pytest.raises(NotAdmittedError, match="is not one that gateway"):
        work.admission.admit_through(passage, gateway.serial)
    work.grants.admit_new(agent(1), agent(2), work.clock())
    assert not work.admission.may_bring(agent(1), agent(2))
    assert work.admission.admit_through(passage, gateway.serial).credential == passage
    assert Admission(work.database, work.clock).admit_through(passage, gateway.serial).agent == agent(2)
    with pytest.raises(NotAdmittedError, match="belongs to agent"):
        work.admission.admit_through(Passage(agent(2), agent(3)), gateway.serial)
    assert [work.admission.speaker_for(agent(number)) for number in (1, 2, 3)] == [None, agent(1), None]
    work.clock.now = gateway.not_after
    with pytest.raises(NotAdmittedError, match="ended at"):
        work.admission.admit_through(passage, gateway.serial)


def test_a_revoked_gateway_brings_nobody_also_when_its_role_comes_back(work: AtWork) -> None:
    """What ended in the ledger is forgotten in memory, not only covered."""
    work.enroll(new_key(), agent(1), work.token())
    work.gateway(agent(1))
    passage = work.grants.admit(agent(1), agent(2), {}, "operator:ann", work.clock())
    work.authority.revoke(agent(1), Reason.KEY_COMPROMISE, "operator:ann", work.clock())
    work.authority.reset(agent(1), "operator:ann", work.clock())
    anew = work.enroll(new_key(), agent(1), work.token("t2"))
    work.gateway(agent(1))
    with pytest.raises(NotAdmittedError, match="is not one that gateway"):
        work.admission.admit_through(passage, anew.serial)
    assert work.admission.held_by(agent(2)) == ()


def test_one_token_of_two_is_forgotten(work: AtWork) -> None:
    """The other one, and the certificate, stay."""
    issued = work.enroll(new_key(), agent(), work.token())
    first = work.bearer(agent(), new=False)
    work.bearer(agent(), "b2", new=False, secret="z" * 43)
    for _ in range(2):
        work.admission.revoke_token(BearerId("b1"))
        assert set(work.admission.held_by(agent())) == {issued.serial, BearerId("b2")}
    with pytest.raises(NotAdmittedError, match="not one of ours"):
        work.admission.prove(first)
    work.admission.drop(agent())
    assert work.admission.held_by(agent()) == ()


def test_tokens_are_read_at_the_start(work: AtWork) -> None:
    """As serials are."""
    presented = work.bearer(agent())
    assert Admission(work.database, work.clock).prove(presented)[1].agent == agent()


def test_changes_of_labels_are_counted(work: AtWork) -> None:
    """Each one, so that who keeps an agent's labels knows when to ask again; other changes are none."""
    before = work.admission.labelled
    issued = work.enroll(new_key(), agent(), work.token(labels={"ring": "a"}))
    counted = work.admission.labelled
    assert counted > before
    work.authority.revoke(issued.agent, Reason.KEY_COMPROMISE, "test", work.clock())
    work.admission.refresh(issued.agent)
    assert work.admission.labelled == counted


def test_what_would_let_an_agent_in_is_told_beyond_its_time(work: AtWork) -> None:
    """Whoever asks why an agent stays away sees when its certificate and its token ended."""
    issued = work.enroll(new_key(), agent(), work.token())
    work.bearer(agent(), "b1", new=False)
    work.clock.now = issued.not_after
    entries = {one.credential: one for one in work.admission.entries_of(agent())}
    assert entries.keys() == {issued.serial, BearerId("b1")}
    assert entries[issued.serial].not_after == issued.not_after
    assert work.admission.entries_of(agent(2)) == ()
