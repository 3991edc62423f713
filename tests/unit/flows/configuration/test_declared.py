"""What operators declared secret, now or before: read once, less what they wrote openly, in memory then."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import RemoteConfig
from distribution.domain.known_secrets import Known
from distribution.fleet import configurations
from distribution.flows.configuration import declared, values, versions
from distribution.flows.configuration.declared import Declared, all_known, former_of
from distribution.flows.configuration.text import Told
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from tests.fakes.configured import NOW, Configured, configured, view, yaml

WHO = AgentId(view().uid)


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Configured]:
    with configured(tmp_path) as found:
        yield found


def former(fleet: Configured) -> set[str]:
    return set(fleet.board.declared.former.whole)


def test_every_version_that_was_ever_assigned(fleet: Configured) -> None:
    """Present, replaced and taken away; not one that was never assigned, nor one that is not secret."""
    for number, secret in ((1, True), (2, True), (3, False), (4, True)):
        fleet.create("base", f"a: number-{number}", secret=secret)
    assert former(fleet) == set()
    for number in (1, 2, 3):
        fleet.assign(Assignment("base", "base", number))
    assert former(fleet) == {"number-1", "number-2"}
    versions.unassign(fleet.parts, "base", actor="operator:ann", now=NOW)
    fleet.board.reload()
    assert former(fleet) == {"number-1", "number-2"}


def test_what_is_written_openly_now_is_none(fleet: Configured) -> None:
    """It is none as long as it is assigned; a piece of it is none either."""
    fleet.create("open", "a: https://ours.example:4317/v1\nnames: {'otlp/peer': x}\n")
    fleet.create(
        "base",
        "a: https://ours.example:4317/v1\nb: https://ours.example:${env:PORT}\nc: otlp/peer\nd: hunter2\n"
        "e: prefix-of-it-${qm:label.env}",
        secret=True,
    )
    fleet.assign(Assignment("base", "base", 1))
    assert {"https://ours.example:4317/v1", "otlp/peer", "hunter2"} < former(fleet)
    assert fleet.board.declared.former.parts == ("https://ours.example:", "prefix-of-it-")
    fleet.assign(Assignment("open", "open", 1))
    assert former(fleet) == {
        "hunter2",
        "https://ours.example:${env:PORT}",
        "prefix-of-it-${qm:label.env}",
    }
    assert fleet.board.declared.former.parts == ("prefix-of-it-",)
    versions.unassign(fleet.parts, "open", actor="operator:ann", now=NOW)
    fleet.board.reload()
    assert "otlp/peer" in former(fleet)


def test_the_names_of_parts_are_none(fleet: Configured) -> None:
    """A scalar that is a key of the same version is shown as one anyway."""
    fleet.create("base", "exporters: {otlp/peer: }\nuses: [otlp/peer, otlp/other]", secret=True)
    fleet.assign(Assignment("base", "base", 1))
    assert former(fleet) == {"otlp/other"}


def test_a_version_is_read_once(fleet: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Versions never change; what was made of them is the same object until others count."""
    read: list[int] = []
    told = declared.told
    monkeypatch.setattr(declared, "told", lambda objects: read.append(1) or told(objects))
    fleet.create("base", "a: number-1", secret=True)
    fleet.create("base", "a: number-2", secret=True)
    for number in (1, 2, 1, 2):
        fleet.assign(Assignment("base", "base", number))
    assert len(read) == 2
    before = fleet.board.declared.former
    values.set_values(fleet.parts, WHO, {"a": "another"}, actor="operator:ann", now=NOW)
    fleet.board.reload()
    assert fleet.board.declared.former is before


def test_a_damaged_version_holds_up_nothing(fleet: Configured, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once and left out; the others are known."""
    fleet.create("base", "a: hunter2", secret=True)
    fleet.create("good", {"good": "a: number-2"}, secret=True)
    for name in ("base", "good"):
        fleet.assign(Assignment(name, name, 1))
    with fleet.database.write() as connection:
        of_base = configurations.objects.c.name == "base"
        connection.execute(update(configurations.objects).where(of_base).values(body=b"\xe9"))
    later = Declared(fleet.seal)
    with fleet.database.read() as connection:
        later.reload(connection, {})
        later.reload(connection, {})
    assert later.former.whole == {"number-2"}
    assert [one.message for one in caplog.records] == ["configuration cannot be read"]


def test_values_of_one_agent(fleet: Configured) -> None:
    """Now and before, those that are long enough; not another agent's."""
    for given in (
        {"a": "first-value", "b": "short"},
        {"a": "second-value"},
        {"a": None},
        {"c": "third-value"},
    ):
        values.set_values(fleet.parts, WHO, given, actor="operator:ann", now=NOW)
    with fleet.database.read() as connection:
        found = fleet.board.declared.given(connection, WHO)
        assert found == ("first-value", "second-value", "third-value")
        assert fleet.board.declared.given(connection, AgentId(view(8).uid)) == ()
        known = fleet.board.declared.known_of(connection, WHO, None)
    assert known.parts == ("second-value", "first-value", "third-value")


def test_values_under_a_lost_seal(fleet: Configured, caplog: pytest.LogCaptureFixture) -> None:
    """They cannot be hidden, which is logged; nothing else is held up."""
    values.set_values(fleet.parts, WHO, {"a": "first-value"}, actor="operator:ann", now=NOW)
    with fleet.database.read() as connection:
        assert Declared(Seal([new_seal_key().strip()], "other")).given(connection, WHO) == ()
    assert "cannot be read to be hidden" in caplog.text


def test_all_that_is_known_of_an_agent() -> None:
    """What it is to run, was declared before, and was given; the very object where there is nothing more."""
    before = Known(frozenset({"former"}), ("piece",))
    openly = RemoteConfig({"": yaml("a: 1")})
    assert all_known(before, (), None) is all_known(before, (), openly) is before
    wanted = RemoteConfig({"": yaml("a: 1")}, secrets=frozenset({"present"}), secret_parts=("present-part",))
    assert all_known(before, ("given",), wanted) == Known(
        frozenset({"present"}), ("present-part", "given"), before
    )


def test_dollar_signs() -> None:
    """As collectors show them: on both sides."""
    found = former_of([Told(frozenset({"a$$secret", "b$$open"}))], [Told(frozenset({"b$$open"}))])
    assert found.whole == {"a$$secret", "a$secret"}


def test_rest_of_a_url_that_is_written_openly() -> None:
    """Without its user it is what an open version says; another rest is not."""
    secret = Told(frozenset({"https://me:pw@ours.example/v1", "https://me:pw@theirs.example/v1"}))
    openly = Told(frozenset({"https://you:pw@ours.example/v1", "nothing to do with it"}))
    rests = {"https://[REDACTED]@ours.example/v1", "https://[REDACTED]@theirs.example/v1"}
    assert former_of([secret], []).whole == secret.texts | rests
    assert former_of([secret], [openly]).whole == secret.texts | {max(rests)}


def test_agents_that_are_to_run_the_same_share_what_is_known(
    fleet: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is put together once for a page of them, and anew when another version counts."""
    board = fleet.board.declared
    wanted, own = (
        RemoteConfig({"": yaml("a: 1")}, secrets=frozenset({"present"}), secret_parts=parts)
        for parts in ((), ("part-of-it",))
    )
    before = board.known_of_all(wanted)
    assert board.known_of_all(RemoteConfig({"": yaml("b: 1")}, secrets=frozenset({"present"}))) is before
    assert board.known_of_all(None) is board.former
    assert board.known_of_all(own).parts == ("part-of-it",)
    fleet.create("base", "a: number-1", secret=True)
    fleet.assign(Assignment("base", "base", 1))
    assert board.known_of_all(wanted) == Known(frozenset({"present"}), (), board.former)
    monkeypatch.setattr(declared, "_ALIKE_MAX", 1)
    board.known_of_all(RemoteConfig({"": yaml("b: 1")}, secrets=frozenset({"another"})))
    assert len(board._alike[1]) == 1
