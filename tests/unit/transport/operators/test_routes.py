"""What the API answers to operators: tokens, agents, channels, releases, journal, trust, operators."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.transport.operators.about import ABOUT
from keys.trust import Trust
from storage import journal_head
from tests.fakes.certificates import NOW, agent
from tests.fakes.operators_api import Api, operators_api

V1 = "/api/v1"
PATH = "acme/otelcol/{version}/linux-amd64/otelcol"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def release(api: Api, *versions: str) -> None:
    for version in versions:
        api.world.release("acme", {PATH.format(version=version): version.encode()})
    api.services.catalogues.reload(NOW)


def set_channel(api: Api, version: str, **more: object) -> dict[str, object]:
    body = {"publisher": "acme", "package": "otelcol", "version": version, **more}
    found: dict[str, object] = api.call("PUT", f"{V1}/channels/stable", "fleet", json=body).json()
    return found


def test_a_token_is_made_shown_once_and_taken_back(api: Api) -> None:
    """The secret is in the first answer and in no other; the list says what became of the token."""
    body = {"labels": {"ring": "a"}, "uses": 3, "lifetime_seconds": 3600}
    made = api.call("POST", f"{V1}/enrollment-tokens", "security", json=body)
    assert made.status_code == 201
    assert made.json()["token_id"] == "token-1"
    assert made.json()["expires_at"] == "2026-06-01T13:00:00Z"
    secret = made.json()["secret"]
    listed = api.call("GET", f"{V1}/enrollment-tokens", "read")
    assert secret not in listed.text
    assert [(one["token_id"], one["uses"], one["used"]) for one in listed.json()["tokens"]] == [
        ("token-1", 3, 0)
    ]
    assert len(api.services.known_tokens) == 1
    gone = api.call("DELETE", f"{V1}/enrollment-tokens/token-1", "security")
    assert len(api.services.known_tokens) == 0
    assert gone.json()["revoked_at"] == "2026-06-01T12:00:00Z"
    assert api.kinds() == ["token.created", "token.revoked"]
    assert api.journal()[1].actor == "operator:op0"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "invalid JSON"),
        (b"[]", "input should be"),
        (b'{"lifetime_seconds": 60, "use": 1}', "use 1: extra inputs are not permitted"),
        (b'{"uses": 1}', "lifetime_seconds"),
        (b'{"lifetime_seconds": 60, "uses": 0}', "uses 0"),
        (b'{"lifetime_seconds": "60"}', 'lifetime_seconds "60"'),
        (b'{"lifetime_seconds": 60, "labels": {"a b": "c"}}', "labels"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field(api: Api, body: bytes, message: str) -> None:
    """Unknown, missing and wrong fields are named; nothing is made."""
    answer = api.call("POST", f"{V1}/enrollment-tokens", "security", content=body)
    assert api.error(answer)[:2] == (400, "invalid")
    assert message in api.error(answer)[2]
    assert api.kinds() == []


def test_a_body_over_its_limit_is_refused(api: Api) -> None:
    """The cap holds whatever the length says."""
    answer = api.call("POST", f"{V1}/enrollment-tokens", "security", content=b" " * 70_000)
    assert api.error(answer) == (413, "oversized", "body is larger than 65536 bytes")


def test_too_many_labels_are_refused(api: Api) -> None:
    """A token gives at most 64 labels."""
    body = {"lifetime_seconds": 60, "labels": {f"l{number}": "x" for number in range(65)}}
    answer = api.call("POST", f"{V1}/enrollment-tokens", "security", json=body)
    assert "65 labels, at most 64" in api.error(answer)[2]


def test_a_channel_is_set_shown_and_removed(api: Api) -> None:
    """It points at a release of the catalogue; the answer says for which platforms there are files."""
    release(api, "1.0.0", "1.1.0")
    done = set_channel(api, "1.1.0", selector={"ring": "a"})
    assert done["notes"] == ["release acme/otelcol@1.1.0 has files for linux-amd64"]
    shown = api.call("GET", f"{V1}/channels/stable", "read").json()
    assert (shown["version"], shown["selector"]) == ("1.1.0", {"ring": "a"})
    assert shown["updated_by"] == "operator:op0"
    assert api.call("GET", f"{V1}/channels", "read").json()["channels"] == [shown]
    assert api.call("DELETE", f"{V1}/channels/stable", "fleet").status_code == 200
    for method, scope in (("GET", "read"), ("DELETE", "fleet")):
        assert api.call(method, f"{V1}/channels/stable", scope).status_code == 404


def test_a_channel_goes_down_only_when_that_is_meant(api: Api) -> None:
    """Both versions are named; with the mark it goes."""
    release(api, "1.0.0", "1.1.0")
    set_channel(api, "1.1.0")
    refused = set_channel(api, "1.0.0")["error"]
    assert isinstance(refused, dict)
    assert refused["code"] == "conflict"
    assert "at version 1.1.0, 1.0.0 is lower" in refused["message"]
    assert set_channel(api, "1.0.0", allow_downgrade=True)["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("version", "code"), [("9.9.9", "unknown"), ("latest", "invalid"), ("1.0", "invalid")]
)
def test_a_channel_needs_a_signed_release(api: Api, version: str, code: str) -> None:
    """What the catalogue does not have cannot be pointed at."""
    refused = set_channel(api, version)["error"]
    assert isinstance(refused, dict)
    assert refused["code"] == code


def test_releases_and_publishers_are_those_that_verify(api: Api) -> None:
    """Paths, digests and floors come from verified metadata; filters narrow the list."""
    release(api, "1.0.0", "1.1.0")
    found = api.call("GET", f"{V1}/releases?publisher=acme&package=otelcol", "publish:acme").json()
    assert [one["version"] for one in found["releases"]] == ["1.0.0", "1.1.0"]
    assert found["releases"][0]["files"]["linux-amd64"]["length"] == 5
    assert found["releases"][0]["below_floor"] is False
    assert api.call("GET", f"{V1}/releases?package=none", "read").json()["releases"] == []
    [acme] = api.call("GET", f"{V1}/publishers", "read").json()["publishers"]
    assert (acme["name"], acme["packages"], acme["releases"], acme["floors"]) == ("acme", ["otelcol"], 2, {})


def test_the_journal_is_paged_and_verified(api: Api) -> None:
    """Entries come with their hashes; the check keeps the head outside."""
    release(api, "1.0.0")
    set_channel(api, "1.0.0")
    first = api.call("GET", f"{V1}/journal?limit=1", "read").json()
    assert (len(first["entries"]), first["next"]) == (1, 1)
    rest = api.call("GET", f"{V1}/journal?after=1", "read").json()
    assert rest["entries"][0]["previous_hash"] == first["entries"][0]["hash"]
    assert rest["next"] is None
    checked = api.call("POST", f"{V1}/journal/verify", "security").json()
    assert checked["whole"] is True
    kept = journal_head.kept(api.services.store)
    assert kept is not None
    assert kept.number == checked["entries"] + 1


def test_the_journal_is_paged_from_its_end(api: Api) -> None:
    """The newest first; `next` leads on to the first entry and ends there; one direction at a time."""
    release(api, "1.0.0")
    set_channel(api, "1.0.0")
    forward = api.call("GET", f"{V1}/journal", "read").json()["entries"]
    before, found = 0, []
    while before is not None:
        page = api.call("GET", f"{V1}/journal?before={before}&limit=1", "read").json()
        found += page["entries"]
        before = page["next"]
    assert found[-len(forward) :] == forward[::-1]
    both = api.call("GET", f"{V1}/journal?before=3&after=1", "read")
    assert (both.status_code, "after 1 and before 3, expected one" in both.text) == (400, True)


def test_trust_is_what_the_operators_file_says(api: Api) -> None:
    """The statement reads as a trust file does."""
    assert Trust(**api.call("GET", f"{V1}/trust", "read").json()) == api.services.trust


def test_operators_make_and_revoke_each_other(api: Api) -> None:
    """A new token works at once, tells who it is, and ends when it is revoked."""
    body = {"name": "ci", "scopes": ["publish:acme"], "lifetime_seconds": 60}
    made = api.call("POST", f"{V1}/operators", "security", json=body)
    assert made.status_code == 201
    header = {"Authorization": f"Bearer {made.json()['token']}"}
    who = api.call("GET", f"{V1}/whoami", headers=header).json()
    assert (who["name"], who["scopes"], who["created_by"]) == ("ci", ["publish:acme"], "operator:op0")
    assert "token" not in api.call("GET", f"{V1}/operators", "read").json()["operators"][0]
    assert api.call("DELETE", f"{V1}/operators/ci", "security").json() == {"name": "ci", "revoked": True}
    assert api.call("GET", f"{V1}/whoami", headers=header).status_code == 401
    assert (
        api.error(api.call("POST", f"{V1}/operators", "security", json={**body, "scopes": ["root"]}))[0]
        == 400
    )


def test_a_query_that_is_not_known_is_refused(api: Api) -> None:
    """Whoever asks for something by a word that does not exist is told, and nothing is done, on any route."""
    taken = []
    for method, path in ABOUT:
        filled = re.sub(r"{[a-z_:]+}", "1", path.replace("{uid}", str(agent(1))))
        answer = api.call(method, f"{V1}{filled}?dry_run=yes", "read fleet security publish:1")
        if answer.status_code != 400 or "'dry_run' is unknown" not in answer.json()["error"]["message"]:
            taken.append((method, path, answer.status_code, answer.text[:80]))
    assert (taken, api.kinds()) == ([], [])
