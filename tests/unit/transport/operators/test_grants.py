"""Certificates for files, bearer tokens and gateways over the operators' API."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from keys.certificate import BearerId, Passage
from tests.fakes.certificates import agent, csr, new_key, pem, request_builder
from tests.fakes.databases import journalled
from tests.fakes.operators_api import Api, operators_api

V1 = "/api/v1"
DAY = 86_400


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def test_a_request_from_a_file_is_certified(api: Api) -> None:
    """The chain comes back, the agent is known to the fleet, and the operator stands in the journal."""
    request = pem(request_builder(common_names=["host-7"]), new_key()).decode()
    body = {"csr": request, "uid": str(agent(5)), "labels": {"ring": "a"}}
    made = api.call("POST", f"{V1}/certificates", "security", json=body)
    assert (made.status_code, made.json()["agent"], made.json()["slot"]) == (201, str(agent(5)), "current")
    assert len(x509.load_pem_x509_certificates(made.json()["chain_pem"].encode())) == 2
    assert api.call("GET", f"{V1}/agents/{agent(5)}", "read").json()["labels"] == {"ring": "a"}
    ordered = [entry for entry in api.journal() if entry.kind == "credential.ordered"]
    assert [entry.actor for entry in ordered] == ["operator:op0"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"csr": "not a request"}, 422),
        ({"csr": "x" * 20_000}, 400),
        ({"csr": csr(new_key(), agent()).decode(), "uid": "me"}, 400),
        ({"csr": csr(new_key(), agent()).decode(), "uid": str(agent(2))}, 422),
        ({"uid": str(agent())}, 400),
    ],
)
def test_what_cannot_be_certified_is_said(api: Api, body: dict[str, str], status: int) -> None:
    """Nothing is issued."""
    assert api.call("POST", f"{V1}/certificates", "security", json=body).status_code == status
    assert [kind for kind in api.kinds() if kind.startswith("credential.")] == []


def test_a_bearer_token_is_shown_once_and_can_be_ended(api: Api) -> None:
    """Its secret is in one answer; ending it cuts what it let in."""
    body = {"new": True, "labels": {"ring": "a"}, "lifetime_seconds": DAY}
    made = api.call("POST", f"{V1}/bearer-tokens", "security", json=body)
    assert made.status_code == 201
    found = made.json()
    who, presented = found["agent"], found["bearer"]
    assert str(api.work.admission.prove(presented)[1].agent) == who
    secret = presented.partition(".")[2]
    assert api.call("GET", f"{V1}/agents/{agent(77)}/bearer-tokens", "read").status_code == 404
    listed = api.call("GET", f"{V1}/agents/{who}/bearer-tokens", "read")
    assert [one["token_id"] for one in listed.json()["tokens"]] == [found["token_id"]]
    assert secret not in listed.text + repr(api.journal())
    api.connections.live[BearerId(found["token_id"])] = 1
    ended = api.call("DELETE", f"{V1}/bearer-tokens/{found['token_id']}", "security").json()
    assert (ended["connections_cut"], ended["revoked_at"]) == (1, "2026-06-01T12:00:00Z")
    assert api.call("GET", f"{V1}/agents/{who}", "read").json()["labels"] == {"ring": "a"}


def test_a_bearer_token_is_somebodys(api: Api) -> None:
    """Who it is for is said, one way or the other; and the agent's revocation ends it."""
    refused = api.call("POST", f"{V1}/bearer-tokens", "security", json={"lifetime_seconds": DAY})
    assert (refused.status_code, "neither uid nor new" in refused.text) == (400, True)
    unknown = {"uid": str(agent(5)), "lifetime_seconds": DAY}
    assert api.call("POST", f"{V1}/bearer-tokens", "security", json=unknown).status_code == 422
    api.enroll(5)
    made = api.call("POST", f"{V1}/bearer-tokens", "security", json=unknown).json()
    gone = api.call("POST", f"{V1}/agents/{agent(5)}/revoke", "security", json={}).json()
    assert gone["tokens"] == [made["token_id"]]
    assert api.connections.cuts[-1][0][-1] == BearerId(made["token_id"])


def test_a_gateway_is_granted_listed_and_revoked(api: Api) -> None:
    """It is woken when the role changes, and cut for those it spoke for when it ends."""
    api.enroll(1)
    granted = api.call("PUT", f"{V1}/gateways/{agent(1)}", "security", json={"admits": "new"})
    assert (granted.status_code, granted.json()["admits"]) == (200, "new")
    assert api.connections.woken[-1] == (agent(1),)
    wrong = api.call("PUT", f"{V1}/gateways/{agent(1)}", "security", json={"admits": "all"})
    assert (wrong.status_code, "'all' is not one of listed, new" in wrong.text) == (400, True)
    body = {"uid": str(agent(2)), "labels": {"site": "a"}}
    admitted = api.call("POST", f"{V1}/gateways/{agent(1)}/agents", "security", json=body)
    assert (admitted.status_code, admitted.json()) == (
        201,
        {"gateway": str(agent(1)), "agent": str(agent(2))},
    )
    [listed] = api.call("GET", f"{V1}/gateways", "read").json()["gateways"]
    assert (listed["gateway"], listed["agents"]) == (str(agent(1)), [str(agent(2))])
    shown = api.call("GET", f"{V1}/agents/{agent(2)}", "read").json()
    assert (shown["labels"], shown["gateway"]) == ({"site": "a"}, None)
    assert shown["credentials"] == [f"passage:{agent(1)}/{agent(2)}"]
    assert api.call("GET", f"{V1}/agents/{agent(1)}", "read").json()["gateway"] == "new"
    gone = api.call("DELETE", f"{V1}/gateways/{agent(1)}", "security").json()
    assert gone == {"gateway": str(agent(1)), "agents": [str(agent(2))]}
    assert api.connections.cuts[-1][0] == (Passage(agent(2), agent(1)),)
    assert api.call("GET", f"{V1}/gateways", "read").json() == {"gateways": []}


def test_a_credential_of_its_own_cuts_what_a_gateway_says_for_an_agent(api: Api) -> None:
    """Certificate and token alike."""
    api.enroll(1)
    api.call("PUT", f"{V1}/gateways/{agent(1)}", "security", json={})
    for number in (2, 3):
        body = {"uid": str(agent(number))}
        api.call("POST", f"{V1}/gateways/{agent(1)}/agents", "security", json=body)
    token = {"uid": str(agent(2)), "lifetime_seconds": DAY}
    assert api.call("POST", f"{V1}/bearer-tokens", "security", json=token).status_code == 201
    request = {"csr": csr(new_key(), agent(3)).decode()}
    assert api.call("POST", f"{V1}/certificates", "security", json=request).status_code == 201
    cut = [gone for gone, _ in api.connections.cuts]
    assert cut == [(Passage(agent(2), agent(1)),), (Passage(agent(3), agent(1)),)]


def test_connections_that_take_turns_are_the_agents_problem(api: Api) -> None:
    """From the third time in an hour on."""
    who = api.enroll(1)
    place = f"{V1}/agents/{who}"
    api.connections.turned[who] = 2
    assert api.call("GET", place, "read").json()["problem"] == ""
    api.connections.turned[who] = 3
    assert "take turns (3 times" in api.call("GET", place, "read").json()["problem"]


def test_a_request_that_waits_is_approved_by_its_key(api: Api) -> None:
    """Another key is refused, and named beside the one that waits."""
    api.enroll(1)
    api.call("PUT", f"{V1}/gateways/{agent(1)}", "security", json={})
    api.call("POST", f"{V1}/gateways/{agent(1)}/agents", "security", json={"uid": str(agent(2))})
    passage, request = Passage(agent(2), agent(1)), csr(new_key(), agent(2))
    assert api.work.authority.enroll_through(request, passage, api.work.clock()) is None
    [waits] = api.call("GET", f"{V1}/certificate-requests", "read").json()["requests"]
    place = f"{V1}/certificate-requests/{agent(2)}/approve"
    assert api.call("POST", place, "security", json={"key": "00"}).status_code == 422
    assert api.call("POST", place, "security", json={"key": waits["key"]}).json()["key"] == waits["key"]
    assert api.work.authority.enroll_through(request, passage, api.work.clock()) is not None
    assert "request.approved" in [entry.kind for entry in journalled(api.work.database)]
