"""Effective configurations: made safe, kept, compared; what was seen before tells drift."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.configuration import Agreement, ConfigObject, RemoteConfig
from distribution.domain.known_secrets import Known
from distribution.fleet import documents
from distribution.fleet.documents import Document, Kind
from distribution.flows.configuration import effective
from distribution.flows.configuration.effective import (
    Examiner,
    cleaned,
    compare,
    differences,
    objects_in,
    safe,
)
from keys.identity import AgentId
from tests.fakes.configured import NOW, Configured, configured, intended, view, yaml

WHO = AgentId(view().uid)
WANTED = intended(_="a: 1\nb: [x]")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Configured]:
    with configured(tmp_path) as found:
        yield found


def kept(fleet: Configured) -> dict[str, ConfigObject]:
    with fleet.database.read() as connection:
        found = documents.find(connection, WHO, Kind.EFFECTIVE)
    assert found is not None
    return objects_in(found)


def test_it_agrees_and_is_kept(fleet: Configured) -> None:
    """What contains the intended one agrees, and is kept as YAML with its secrets out."""
    seen = fleet.examiner.examine(WHO, {"": yaml("a: 1\nb: [x]\ntoken: t0ken")}, WANTED, NOW)
    assert (seen.agreement, seen.intended, seen.why, seen.agreed) == (
        Agreement.AGREES,
        WANTED.digest,
        "",
        True,
    )
    assert kept(fleet) == {"": yaml("a: 1\nb:\n- x\ntoken: '[REDACTED]'\n")}


def test_it_differs_by_a_place(fleet: Configured) -> None:
    """The first difference is told; a secret that differs is one, and is not told."""
    wanted = RemoteConfig({"": yaml("token: hunter2")})
    seen = fleet.examiner.examine(WHO, {"": yaml("token: hunter3")}, wanted, NOW)
    assert (seen.agreement, seen.why, seen.agreed) == (Agreement.DIFFERS, "token has another value", False)


def test_drift_is_remembered_over_a_restart(fleet: Configured) -> None:
    """Whoever agreed once and differs now has drifted, whichever process saw it first."""
    fleet.examiner.examine(WHO, {"": yaml("a: 1\nb: [x]")}, WANTED, NOW)
    later = Examiner(fleet.database, fleet.board.declared)
    assert later.examine(WHO, {"": yaml("a: 2")}, WANTED, NOW).agreed
    other = intended(_="c: 1")
    assert not later.examine(WHO, {"": yaml("a: 2")}, other, NOW).agreed


@pytest.mark.parametrize(
    ("reported", "agreement", "why"),
    [
        ({"": yaml("a: [")}, Agreement.UNKNOWN, "cannot be compared: object '': text is not YAML"),
        ({"": ConfigObject(b"\xff\xfe", "text/yaml")}, Agreement.UNKNOWN, "is not UTF-8"),
        ({}, Agreement.DIFFERS, "the top is nothing, intended is a map"),
        ({"": yaml("")}, Agreement.DIFFERS, "the top is nothing, intended is a map"),
        ({"": ConfigObject(b"a: 1\nb: [x]", "")}, Agreement.AGREES, ""),
        ({"": ConfigObject(b'{"a": 1, "b": ["x"]}', "application/json")}, Agreement.AGREES, ""),
        ({"all": yaml("a: 1\nb: [x]")}, Agreement.AGREES, ""),
    ],
    ids=["no YAML", "no text", "empty map", "empty body", "no type", "JSON", "another key"],
)
def test_whatever_agents_report(
    fleet: Configured, reported: dict[str, ConfigObject], agreement: Agreement, why: str
) -> None:
    """It is read by its type or the intended one's; what cannot be read is not judged, and is kept safe."""
    seen = fleet.examiner.examine(WHO, reported, WANTED, NOW)
    assert seen.agreement is agreement
    assert why in seen.why
    assert set(kept(fleet)) == set(reported)


def test_texts_that_are_neither() -> None:
    """Other content types are the same bytes, but for what was taken out; unreported ones are not judged."""
    wanted = RemoteConfig({"x": ConfigObject(b"host = a\npassword = p\n", "application/toml")})
    same = {"x": ConfigObject(b"host = a\npassword = [REDACTED]\n", "application/toml")}
    assert compare(same, wanted) == (Agreement.AGREES, "")
    assert compare({"x": ConfigObject(b"host = b", "")}, wanted) == (
        Agreement.DIFFERS,
        "object 'x' is another text",
    )
    assert compare({"": yaml("a: 1")}, wanted)[0] is Agreement.UNKNOWN


def test_nothing_intended(fleet: Configured) -> None:
    """Without an intention it is kept, and nothing is said."""
    seen = fleet.examiner.examine(WHO, {"": yaml("a: 1")}, None, NOW)
    assert (seen.agreement, seen.intended, seen.agreed) == (Agreement.UNKNOWN, b"", False)


def test_again_without_another_report(fleet: Configured) -> None:
    """An agent that has nothing new to report is compared with the new intention by what was kept."""
    assert fleet.examiner.again(WHO, WANTED, NOW) is None
    fleet.examiner.examine(WHO, {"": yaml("a: 1\nb: [x]\npassword: p")}, WANTED, NOW)
    same = intended(_="# another comment\na: 1\npassword: p")
    found = fleet.examiner.again(WHO, same, NOW)
    assert found is not None
    assert (found.agreement, found.intended, found.agreed) == (Agreement.AGREES, same.digest, True)
    other = fleet.examiner.again(WHO, intended(_="a: 2"), NOW)
    assert other is not None
    assert (other.agreement, other.why) == (Agreement.DIFFERS, "a has another value")


def test_the_same_again_writes_nothing(fleet: Configured) -> None:
    """A fleet that reports the same after a reconnect costs reading alone."""
    fleet.examiner.examine(WHO, {"": yaml("a: 1\nb: [x]")}, WANTED, NOW)
    done = threading.Event()

    def again() -> None:
        fleet.examiner.examine(WHO, {"": yaml("a: 1\nb: [x]")}, WANTED, NOW)
        done.set()

    with fleet.database.write():  # whoever would write now waits
        thread = threading.Thread(target=again)
        thread.start()
        assert done.wait(10)
    thread.join()


def test_what_was_found_is_remembered_for_a_while(fleet: Configured, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents of one kind report the same: it is parsed once; what is remembered is bounded, and small."""
    monkeypatch.setattr(effective, "REMEMBERED", 2)
    for number in (1, 1, 2, 3):
        fleet.examiner.examine(AgentId(view(number).uid), {"": yaml(f"a: {number}")}, WANTED, NOW)
    assert len(fleet.examiner._found) == 2
    fleet.examiner.examine(
        WHO, {"": yaml("a: " + "x" * 8_000 + "\nb: [" + "y, " * 40_000 + "]")}, WANTED, NOW
    )
    assert len(fleet.examiner._found) == 2


def test_long_ones_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of one object is bounded, and says what is missing."""
    monkeypatch.setattr(effective, "OBJECT_MAX_CHARS", 10)
    assert safe(yaml("a: 1\nb: 23456789\n")).startswith("a: 1\nb: 23\n# more was left out")


def test_what_is_declared_secret() -> None:
    """Its shape is left; of what has none, nothing."""
    assert safe(yaml("a: x\nb: true"), carries_secret=True) == "a: '[REDACTED]'\nb: true\n"
    assert safe(ConfigObject(b"host = a", "text/plain"), carries_secret=True) == "[REDACTED]"
    assert safe(yaml("a: ["), carries_secret=True) == "[REDACTED]"


def test_every_difference() -> None:
    """Object by object where the keys are the agent's, else of the whole; or why there are none."""
    wanted = RemoteConfig({"a": yaml("x: 1\ny: 2"), "b": yaml("z: 3")})
    there = {"a": yaml("x: 2"), "b": yaml("z: 4")}
    assert differences(there, wanted) == [
        "object 'a': x has another value",
        "object 'a': y is missing",
        "object 'b': z has another value",
    ]
    assert differences({"": yaml("x: 1\nz: 4")}, wanted) == ["y is missing", "z has another value"]
    assert differences({"": yaml("x: [")}, wanted)[0].startswith("object '': text is not YAML")


def test_what_is_known_by_now_is_taken_out() -> None:
    """Of trees as of texts; a document that holds nothing of it is the very same, whatever it looks like."""
    objects = [
        {"key": "", "role": "", "content_type": "text/yaml", "body": "a: hunter2\n# more was left out\n"},
        {"key": "j", "role": "", "content_type": "application/json", "body": "a: [hunter2]\n"},
        {"key": "t", "role": "", "content_type": "text/plain", "body": "a = hunter2"},
        {"key": "b", "role": "", "content_type": "", "body": "a: [hunter2"},
    ]
    document = Document("00", json.dumps(objects), NOW)
    assert cleaned(document, Known(frozenset({"hunter3"}), ("hunter4",))) is document
    found = cleaned(document, Known(frozenset({"hunter2"})))
    assert (found.digest, found.at) == (document.digest, document.at)
    assert [one["body"] for one in json.loads(found.body)] == [
        "a: '[REDACTED]'\n\n# more was left out\n",
        "a:\n- '[REDACTED]'\n",
        "a = [REDACTED]",
        "a: [[REDACTED]",
    ]


def test_what_was_found_is_not_taken_for_another_secret(fleet: Configured) -> None:
    """It is remembered by what was hidden as well: of equal reports, what is known differs."""
    for secrets in ((), ("hunter2",), ()):
        wanted = RemoteConfig({"": yaml("a: hunter2")}, secrets=frozenset(secrets))
        fleet.examiner.examine(WHO, wanted.objects, wanted, NOW)
        assert (b"hunter2" in kept(fleet)[""].body) is not bool(secrets)
    assert len(fleet.examiner._found) == 2


def test_what_was_cut_within_a_secret() -> None:
    """What is kept of a text that cannot be read, and what was kept before the secret was declared."""
    found = Known(frozenset({"hunter2-hunter2"}))
    room = effective.OBJECT_MAX_CHARS + 1 - len("broken: [\n  hunter2-hu")
    lines = "x" * (room % 8) + room // 8 * "y: yyyy\n"
    body = f"broken: [\n{lines}  hunter2-hunter2 and more"
    kept_now = safe(yaml(body), found=found)
    assert kept_now.endswith("y: yyyy\n  [REDACTED\n# more was left out\n")
    for text, clean in (
        ("a: [hunter2-hu", "a: ["),
        ("a: x\nb: hunter2-hu", "a: x\nb: "),
        ("a: x\nb: hunter2-hunter2", "a: x\nb: '[REDACTED]'\n"),
    ):
        objects = [{"key": "", "role": "", "content_type": "", "body": f"{text}\n# more was left out\n"}]
        [after] = json.loads(cleaned(Document("00", json.dumps(objects), NOW), found).body)
        assert after["body"] == f"{clean}\n# more was left out\n"
