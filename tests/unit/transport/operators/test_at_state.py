"""Over the API: every thing that a change replaces whole shows its state, and a change may name it."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.certificates import NOW, agent
from tests.fakes.operators_api import Api, operators_api

V1 = "/api/v1"
ALL = "read fleet security"
FILE = "acme/otelcol/1.0.0/linux-amd64/otelcol"
RELEASE = {"publisher": "acme", "package": "otelcol", "version": "1.0.0"}
METRICS = {"kind": "own_metrics", "endpoint": "https://otlp.example/v1/metrics"}
NONE = "0" * 32


@dataclass(frozen=True)
class Thing:
    """How a thing is changed, twice, and where it is shown."""

    method: str
    path: str
    bodies: tuple[dict[str, Any], dict[str, Any]]
    shown: str
    listed: str = ""
    field: str = "state"
    answered: bool = True


WHO = agent(1)
THINGS = {
    "channel": Thing(
        "PUT",
        "/channels/stable",
        (RELEASE, {**RELEASE, "selector": {"ring": "b"}}),
        "/channels/stable",
        "/channels",
    ),
    "connection": Thing(
        "PUT",
        "/connections/m",
        ({**METRICS, "headers": {"A": "1"}}, {**METRICS, "headers": {"A": "2"}}),
        "/connections/m",
        "/connections",
    ),
    "gateway": Thing(
        "PUT",
        f"/gateways/{WHO}",
        ({"admits": "listed"}, {"admits": "new"}),
        f"/gateways/{WHO}",
        "/gateways",
    ),
    "labels": Thing(
        "PATCH",
        f"/agents/{WHO}",
        ({"labels": {"ring": "b"}}, {"labels": {"ring": "c"}}),
        f"/agents/{WHO}",
        field="labels_state",
    ),
    "values": Thing(
        "PATCH",
        f"/agents/{WHO}/config-values",
        ({"values": {"site": "x"}}, {"values": {"site": "y"}}),
        f"/agents/{WHO}/configuration",
        field="values_state",
    ),
}
REMOVED = ("channel", "connection", "gateway")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        api.world.release("acme", {FILE: b"bytes"})
        api.services.catalogues.reload(NOW)
        api.enroll(1, ring="a")
        yield api


def change(api: Api, thing: Thing, number: int, **more: str) -> Any:
    return api.call(thing.method, V1 + thing.path, ALL, json={**thing.bodies[number], **more})


def shown(api: Api, thing: Thing) -> str:
    return str(api.call("GET", V1 + thing.shown, ALL).json()[thing.field])


@pytest.mark.parametrize("name", THINGS)
def test_a_change_names_the_state_it_is_based_on(api: Api, name: str) -> None:
    """The answer shows the next one; a second change of the first state is refused, and changes nothing."""
    thing = THINGS[name]
    if thing.listed:
        assert change(api, thing, 0, at_state="new").status_code == 200
        assert api.error(change(api, thing, 1, at_state="new"))[0] == 409
    seen = shown(api, thing)
    made = change(api, thing, 1, at_state=seen)
    assert (made.status_code, made.json()[thing.field]) == (200, shown(api, thing))
    status, code, message = api.error(change(api, thing, 0, at_state=seen))
    assert (status, code) == (409, "conflict")
    assert f"is at state {shown(api, thing)}" in message
    assert f"expected at state {seen}: somebody changed it meanwhile" in message
    assert shown(api, thing) == made.json()[thing.field]


@pytest.mark.parametrize("name", [name for name, thing in THINGS.items() if thing.listed])
def test_a_list_shows_the_same_state(api: Api, name: str) -> None:
    """A list and the thing alone agree."""
    thing = THINGS[name]
    change(api, thing, 0)
    [listed] = api.call("GET", V1 + thing.listed, ALL).json()[thing.listed.strip("/")]
    assert listed["state"] == shown(api, thing)


@pytest.mark.parametrize("name", REMOVED)
def test_a_removal_names_it_too(api: Api, name: str) -> None:
    """In the query: a DELETE has no body."""
    thing = THINGS[name]
    change(api, thing, 0)
    seen = shown(api, thing)
    change(api, thing, 1)
    path = V1 + thing.path
    assert api.error(api.call("DELETE", path, ALL, params={"at_state": seen}))[:2] == (409, "conflict")
    seen = shown(api, thing)
    assert api.call("DELETE", path, ALL, params={"at_state": seen}).status_code == 200
    assert api.call("GET", V1 + thing.shown, ALL).status_code == 404


@pytest.mark.parametrize("name", THINGS)
@pytest.mark.parametrize("state", ["", "NEW", "x" * 32, NONE + "0"])
def test_what_is_no_state_is_refused(api: Api, name: str, state: str) -> None:
    """It is never taken for none."""
    thing = THINGS[name]
    status, _, message = api.error(change(api, thing, 0, at_state=state))
    assert (status, "at_state" in message) == (400, True)
    if name in REMOVED:
        status, _, message = api.error(
            api.call("DELETE", V1 + thing.path, ALL, params={"at_state": [state, NONE]})
        )
        assert (status, "at_state" in message) == (400, True)


def test_who_changed_a_secret_alone_changed_the_state(api: Api) -> None:
    """Its names are the same, and whoever saw the setting before is told that it is another one."""
    thing = THINGS["connection"]
    seen = []
    for number in (0, 1, 1):
        change(api, thing, number)
        seen.append(shown(api, thing))
    assert len(set(seen)) == len(seen)
    assert all(one != other for one, other in itertools.pairwise(seen))


def test_labels_of_the_token_are_no_part_of_it(api: Api) -> None:
    """What operators gave is shown apart: that is what a change replaces."""
    first = api.call("GET", f"{V1}/agents/{WHO}", ALL).json()
    assert (first["labels"], first["given_labels"]) == ({"ring": "a"}, {})
    made = change(api, THINGS["labels"], 0, at_state=first["labels_state"]).json()
    assert (made["labels"], made["given_labels"]) == ({"ring": "b"}, {"ring": "b"})


def test_a_gateway_that_is_granted_again_keeps_its_agents(api: Api) -> None:
    """The answer shows them, as the gateway alone does."""
    thing = THINGS["gateway"]
    change(api, thing, 0)
    api.call("POST", f"{V1}/gateways/{WHO}/agents", ALL, json={"uid": str(agent(9))})
    assert change(api, thing, 1).json()["agents"] == [str(agent(9))]
    assert api.call("GET", f"{V1}{thing.path}", ALL).json()["agents"] == [str(agent(9))]
    status, code, message = api.error(api.call("GET", f"{V1}/gateways/{agent(9)}", ALL))
    assert (status, code, message) == (404, "unknown", f"agent {agent(9)} is no gateway")


def test_an_assignment_is_taken_away_at_the_step_that_was_seen(api: Api) -> None:
    """As it is changed at one."""
    body = {"objects": [{"key": "", "content_type": "text/yaml", "body": "a: 1"}]}
    api.call("POST", f"{V1}/configurations/base/versions", ALL, json=body)
    path = f"{V1}/config-assignments/base"
    for _ in range(2):
        api.call("PUT", path, ALL, json={"configuration": "base"})
    status, code, message = api.error(api.call("DELETE", path, ALL, params={"at_step": 1}))
    assert (status, code) == (409, "conflict")
    assert "expected at step 1" in message
    assert api.call("DELETE", path, ALL, params={"at_step": "x"}).status_code == 400
    assert api.call("DELETE", path, ALL, params={"at_step": 2}).status_code == 200
