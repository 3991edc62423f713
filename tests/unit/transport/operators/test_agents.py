"""What the API answers about agents: found, counted, shown, labelled, revoked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from distribution.domain.agent import (
    AgentView,
    Capability,
    Components,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.fleet import documents
from distribution.fleet.documents import Document, Kind
from distribution.fleet.registry import SWEEP_STEPS
from tests.fakes.certificates import NOW, agent
from tests.fakes.operators_api import Api, operators_api

V1 = "/api/v1"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def test_an_agent_is_shown_as_it_reported(api: Api) -> None:
    """Platform, health, packages and the serial that admits it."""
    who = api.enroll(1, ring="a")
    held = PackageReport("otelcol", PackageState.FAILED, "1.0.0", offered_version="1.1.0", error="crashed")
    view = AgentView(
        uid=who.uuid,
        description=Description({"service.name": "col"}, {"os.type": "linux", "host.arch": "amd64"}),
        health=Health(healthy=False, status="down", error="exit 1"),
        packages=PackagesReport((held,)),
        connected=True,
        last_seen=NOW,
    )
    api.services.registry.keep(view)
    found = api.call("GET", f"{V1}/agents/{who}", "read").json()
    assert (found["uid"], found["labels"], found["platform"]) == (str(who), {"ring": "a"}, "linux-amd64")
    assert found["health"] == {"healthy": False, "status": "down", "error": "exit 1"}
    assert found["packages"] == [
        {
            "name": "otelcol",
            "state": "failed",
            "version": "1.0.0",
            "offered_version": "1.1.0",
            "error": "crashed",
        }
    ]
    assert (found["connected"], found["last_seen"]) == (True, "2026-06-01T12:00:00Z")
    assert found["serials"] == [str(serial) for serial in api.work.admission.serials_of(who)]


def test_what_an_agent_could_run_is_shown(api: Api) -> None:
    """The list as it was kept, with its hash and the one that the agent named last."""
    who, path = api.enroll(1), "/components"
    api.services.registry.keep(replace(api.services.registry.view(who), components=Components(b"\2")))
    never = api.call("GET", f"{V1}/agents/{who}{path}", "read").json()
    assert never == {
        "uid": str(who), "said_hash": "02", "hash": None, "reported_at": None, "components": None,
    }  # fmt: skip
    listed = Document("01", '{"receivers": {"otlp": {"version": "1"}}}', NOW)
    with api.services.database.write() as connection:
        documents.keep(connection, who, Kind.COMPONENTS, listed)
    found = api.call("GET", f"{V1}/agents/{who}{path}", "read").json()
    assert (found["hash"], found["said_hash"], found["reported_at"]) == ("01", "02", "2026-06-01T12:00:00Z")
    assert found["components"] == {"receivers": {"otlp": {"version": "1"}}}
    assert api.call("GET", f"{V1}/agents/{agent(9)}{path}", "read").status_code == 404


def uids(api: Api, query: str) -> list[str]:
    return [one["uid"][-1] for one in api.call("GET", f"{V1}/agents?{query}", "read").json()["agents"]]


def test_agents_are_filtered_and_paged(api: Api) -> None:
    """Labels, attributes and connection narrow the list; `next` leads through it."""
    for number, ring in ((1, "a"), (2, "b"), (3, "a")):
        who = api.enroll(number, ring=ring)
        described = Description({}, {"os.type": "linux" if number < 3 else "windows"})
        view = AgentView(who.uuid, description=described, connected=number == 2, last_seen=NOW)
        api.services.registry.keep(replace(view, health=Health(healthy=number == 1)))
    api.services.registry.flush()
    for _ in range(SWEEP_STEPS):
        api.services.registry.sweep(NOW)
    api.services.registry.flush()
    assert uids(api, "") == ["1", "2", "3"]
    assert uids(api, "label=ring=a") == ["1", "3"]
    assert uids(api, "label=ring=a&attribute=os.type=linux") == ["1"]
    assert uids(api, "live=connected") == ["2"]
    assert uids(api, "live=stale&live=gone") == ["1", "3"]
    assert uids(api, "health=unhealthy&live=stale") == ["3"]
    first = api.call("GET", f"{V1}/agents?limit=2", "read").json()
    assert (first["total"], first["next"]) == (3, 2)
    assert uids(api, f"limit=2&after={first['next']}") == ["3"]
    assert api.call("GET", f"{V1}/agents?after={first['next']}", "read").json()["next"] is None
    assert api.call("GET", f"{V1}/agents/count?label=ring=a", "read").json() == {
        "total": 2,
        "live": {"connected": 0, "stale": 2, "gone": 0},
        "health": {"healthy": 1, "unhealthy": 1, "unknown": 0},
    }


def test_hosts_that_failed_a_release_are_found(api: Api) -> None:
    """By what they reported last; the other filters narrow it, and it is counted."""
    states = {1: PackageState.FAILED, 2: PackageState.INSTALLED, 3: PackageState.FAILED}
    for number, state in states.items():
        who = api.enroll(number, ring="a" if number < 3 else "b")
        packages = PackagesReport((PackageReport("otelcol", state),))
        api.services.registry.keep(AgentView(who.uuid, packages=packages, connected=True, last_seen=NOW))
    api.services.registry.flush()
    assert uids(api, "packages=failed") == ["1", "3"]
    assert uids(api, "packages=failed&label=ring=a") == ["1"]
    assert uids(api, "packages=busy&packages=settled") == ["2"]
    assert api.call("GET", f"{V1}/agents/count?packages=failed", "read").json()["total"] == 2


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=-1", "limit '-1'"),
        ("limit=0", "limit '0'"),
        ("limit=1001", "limit '1001'"),
        ("after=x", "after 'x'"),
        ("label=ring", "label 'ring' is not key=value"),
        ("label=ring=a&label=ring=b", "'ring' twice"),
        ("attribute==x", "attribute '=x' is not key=value"),
        ("live=maybe", "live 'maybe' is not one of connected, stale, gone"),
        ("health=ill", "health 'ill' is not one of healthy"),
        ("packages=broken", "packages 'broken' is not one of failed, busy, settled"),
        ("platform=a&platform=b", "platform 'b'"),
        ("lable=ring=a", "'lable' is unknown, expected label"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(api: Api, query: str, named: str) -> None:
    """A misspelt filter is never taken for none, and the answer names it."""
    status, code, message = api.error(api.call("GET", f"{V1}/agents?{query}", "read"))
    assert (status, code) == (400, "invalid")
    assert named in message


def test_an_agent_is_labelled(api: Api) -> None:
    """An operator's labels lie over the token's, and the agent is planned again."""
    who = api.enroll(1, ring="a", site="x")
    answer = api.call("PATCH", f"{V1}/agents/{who}", "fleet", json={"labels": {"ring": "b"}})
    assert answer.json()["labels"] == {"ring": "b", "site": "x"}
    assert api.connections.woken == [(who,)]
    assert api.kinds()[-1] == "agent.labelled"


def test_an_agent_is_told_to_restart(api: Api) -> None:
    """A connected agent that accepts the command is told; the order waits a while and is journalled."""
    who = api.enroll()
    path = f"{V1}/agents/{who}/restart"
    assert "not connected" in api.error(api.call("POST", path, "fleet"))[2]
    view = AgentView(who.uuid, connected=True)
    api.services.registry.keep(view)
    assert "restart command" in api.error(api.call("POST", path, "fleet"))[2]
    api.services.registry.keep(replace(view, capabilities=Capability.ACCEPTS_RESTART))
    answer = api.call("POST", path, "fleet")
    assert answer.json() == {"agent": str(who), "until": "2026-06-01T12:10:00Z"}
    assert api.connections.woken == [(who,)]
    assert api.kinds()[-1] == "agent.restart"
    assert api.services.commands.pending(who, api.work.clock()) is not None


@pytest.mark.parametrize(("uid", "expected"), [("nobody", 400), (str(agent(9)), 404)])
def test_a_stranger_is_not_found(api: Api, uid: str, expected: int) -> None:
    """What is no uid is said to be none; what is one and unknown, too."""
    assert api.call("GET", f"{V1}/agents/{uid}", "read").status_code == expected


def test_a_revocation_cuts_and_is_journalled(api: Api) -> None:
    """How many connections and how fast is answered; admission knows the serial no more."""
    who = api.enroll()
    [serial] = api.work.admission.serials_of(who)
    answer = api.call(
        "POST", f"{V1}/agents/{who}/revoke", "security", json={"reason": "key_compromise", "ban": True}
    )
    assert answer.json() == {
        "agent": str(who),
        "serials": [str(serial)],
        "banned": True,
        "tokens": [],
        "connections_cut": 1,
        "elapsed_ms": 0.0,
    }
    assert api.work.admission.serials_of(who) == ()
    assert api.kinds()[-3:] == ["agent.revoked", "agent.banned", "connection.cut"]
    shown = api.call("GET", f"{V1}/agents/{who}", "read").json()
    assert (shown["standing"], shown["standing_since"]) == ("banned", "2026-06-01T12:00:00Z")
    reset = api.call("POST", f"{V1}/agents/{who}/reset", "security")
    assert api.error(reset)[:2] == (422, "refused")
    lifted = api.call("POST", f"{V1}/agents/{who}/reset", "security", json={"lift_ban": True})
    assert (lifted.status_code, api.kinds()[-1]) == (200, "agent.reset")


@pytest.mark.parametrize(
    ("uid", "body", "expected"),
    [
        (str(agent(9)), {}, (404, "unknown")),
        (str(agent(9)), {"reason": "because"}, (400, "invalid")),
        ("x", {}, (400, "invalid")),
    ],
)
def test_a_revocation_that_cannot_be_is_refused(
    api: Api, uid: str, body: dict[str, str], expected: tuple[int, str]
) -> None:
    """A stranger, a reason that is none, no uid: nothing is cut."""
    answer = api.call("POST", f"{V1}/agents/{uid}/revoke", "security", json=body)
    assert api.error(answer)[:2] == expected
    assert api.connections.cuts == []
