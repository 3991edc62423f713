"""Connection settings over the API: set, shown without secrets, taken away; where an agent stands."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.domain.agent import AgentView, Capability
from distribution.domain.attempts import numbered
from distribution.domain.connections import ConnectionState, ConnectionStatus
from keys.identity import AgentId
from tests.fakes.certificates import csr, new_key
from tests.fakes.operators_api import Api, operators_api

V1 = "/api/v1"
METRICS = {
    "kind": "own_metrics",
    "endpoint": "https://otlp.example/v1/metrics",
    "headers": {"Authorization": "Basic s3cret"},
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def put(api: Api, name: str = "m", **body: object) -> None:
    answer = api.call("PUT", f"{V1}/connections/{name}", "fleet", json=body or METRICS)
    assert answer.status_code == 200, answer.text
    api.services.connection_board.reload()


def test_a_setting_is_set_shown_and_removed(api: Api) -> None:
    """Every answer has names of headers and no value of one, and so has the journal."""
    made = api.call("PUT", f"{V1}/connections/m", "fleet", json=METRICS)
    listed, one = api.call("GET", f"{V1}/connections", "read"), api.call("GET", f"{V1}/connections/m", "read")
    put_down = made.json()
    assert put_down.pop("state") == one.json()["state"]
    assert put_down == {
        "name": "m",
        "kind": "own_metrics",
        "selector": {},
        "endpoint": "https://otlp.example/v1/metrics",
        "off": False,
        "headers": ["Authorization"],
        "ca_pem": "",
        "connection": "",
        "settings": [],
        "heartbeat_seconds": None,
        "plain_text_is_meant": False,
    }
    assert listed.json()["connections"] == [one.json()]
    assert one.json()["updated_by"] == "operator:op0"
    gone = api.call("DELETE", f"{V1}/connections/m", "fleet")
    assert gone.json() == put_down
    assert api.call("GET", f"{V1}/connections/m", "read").status_code == 404
    told = "".join(answer.text for answer in (made, listed, one, gone)) + str(api.journal())
    assert "s3cret" not in told
    assert api.kinds() == ["connections.set", "connections.removed"]
    assert api.connections.woken == [None, None]


def test_each_kind_can_be_set(api: Api) -> None:
    """A signal that is off, another connection, the heartbeat; each only for whom its labels are."""
    put(api, "off", kind="own_logs", off=True, selector={"ring": "a"})
    put(api, "k", kind="other", connection="kafka", endpoint="kafka:9093", settings={"topic": "t"})
    put(api, "beat", kind="opamp", heartbeat_seconds=5)
    found = {one["name"]: one for one in api.call("GET", f"{V1}/connections", "read").json()["connections"]}
    assert (found["off"]["off"], found["off"]["selector"]) == (True, {"ring": "a"})
    assert (found["k"]["connection"], found["k"]["settings"]) == ("kafka", ["topic"])
    assert (found["beat"]["heartbeat_seconds"], found["beat"]["off"]) == (5, False)


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({**METRICS, "endpoint": "http://otlp/v1/metrics"}, 422, "setting 'm': connection settings are not"),
        ({**METRICS, "endpoint": "http://otlp/v1/metrics"}, 422, "no TLS"),
        ({**METRICS, "headers": {"A": "b\nC: d"}}, 422, "headers[A]"),
        ({**METRICS, "endpoint": ""}, 400, "endpoint is missing"),
        (
            {**METRICS, "off": True},
            400,
            "endpoint, headers without a destination, as own_metrics is to be off",
        ),
        ({"kind": "opamp", "heartbeat_seconds": 5, "endpoint": "wss://x/o"}, 400, "without a destination"),
        ({"kind": "opamp", "heartbeat_seconds": 0}, 400, "heartbeat_seconds: input should be greater"),
        ({"kind": "opamp"}, 400, "heartbeat_seconds"),
        ({"kind": "other", "endpoint": "x:1"}, 400, "connection"),
        ({"kind": "none"}, 400, "kind"),
        ({**METRICS, "selector": {"a b": "c"}}, 400, "selector"),
        ({**METRICS, "more": 1}, 400, "more"),
        ({"headers": METRICS["headers"]}, 400, "kind: field required"),
        ({**METRICS, "headers": {"A": ["s3cret"]}}, 400, "headers.A: input should be a valid string"),
        ({**METRICS, "headers": {"A": "s3cret" * 2000}}, 400, "headers.A: string should have at most"),
        ({**METRICS, "headers": {"Basic s3cret": "A"}}, 422, "a name that is none"),
    ],
)
def test_what_does_not_fit_is_refused(api: Api, body: dict[str, object], status: int, word: str) -> None:
    """By field, and nothing is kept."""
    answer = api.call("PUT", f"{V1}/connections/m", "fleet", json=body)
    assert (answer.status_code, api.kinds()) == (status, [])
    assert word in answer.text
    assert "s3cret" not in answer.text


def test_plain_text_is_taken_by_its_plain_name(api: Api) -> None:
    """The keyword is in the journal."""
    put(api, "m", kind="own_metrics", endpoint="http://127.0.0.1:4318/v1/metrics", plain_text_is_meant=True)
    assert api.journal()[-1].detail["plain_text_is_meant"] is True


def keep(api: Api, who: AgentId, status: ConnectionStatus | None) -> None:
    able = Capability.REPORTS_OWN_METRICS | Capability.REPORTS_CONNECTION_STATUS
    api.services.registry.keep(AgentView(who.uuid, capabilities=able, connections=status))


def test_an_agents_standing(api: Api) -> None:
    """Offered, then what the agent says of the very offer, in its own words; another hash says nothing."""
    who = api.enroll(1)
    put(api)
    keep(api, who, None)
    first = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()
    assert (first["phase"], first["settings"], first["said"]) == ("offered", "m", None)
    digest = bytes.fromhex(first["digest"])
    failed = ConnectionStatus(ConnectionState.FAILED, numbered(digest, 2), "no route")
    keep(api, who, failed)
    second = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()
    assert (second["phase"], second["attempt"], second["error"]) == ("failed", 2, "no route")
    assert second["said"]["state"] == "failed"
    keep(api, who, replace(failed, hash=b"other"))
    assert api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["phase"] == "offered"


def test_why_an_agent_is_told_nothing(api: Api) -> None:
    """An agent that cannot send what is decided for it, and one for which nothing is."""
    who = api.enroll(1)
    api.services.registry.keep(AgentView(who.uuid))
    assert api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["phase"] == "none"
    put(api)
    for said, why in (
        (Capability.NONE, "agent has not said yet what it accepts"),
        (Capability.REPORTS_STATUS, "m (own_metrics) is not told, as it does not have the capability"),
    ):
        api.services.registry.keep(AgentView(who.uuid, capabilities=said))
        assert why in api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["problem"]
    assert api.call("GET", f"{V1}/agents/nobody/connections", "read").status_code == 400


def test_what_an_agent_behind_a_gateway_is_not_told(api: Api) -> None:
    """The answer says it in words, beside what the agent is told."""
    gateway, who = AgentId(api.services.randomness.uid().uuid), api.services.randomness.uid()
    api.work.enroll(new_key(), gateway, api.work.token())
    api.work.gateway(gateway)
    api.work.grants.admit(gateway, who, {}, "operator:ann", api.work.clock())
    able = Capability.REPORTS_OWN_METRICS | Capability.ACCEPTS_CONNECTION_SETTINGS
    api.services.registry.keep(AgentView(who.uuid, capabilities=able))
    put(api, "beat", kind="opamp", heartbeat_seconds=7)
    told = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()
    assert f"it is behind gateway {gateway}" in told["problem"]
    put(api)
    told = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()
    assert (told["settings"], told["problem"]) == ("m", "")
    assert f"it is behind gateway {gateway}" in told["left_out"]


def test_the_truth_about_a_credential_is_its_handshake(api: Api) -> None:
    """An agent that says applied is not believed until its new serial is seen."""
    who = api.enroll(1)
    [issued] = api.work.credentials(who)
    shown = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["credential"]
    assert shown["proven"] is False
    ahead = AgentView(who.uuid, last_seen=api.work.clock() + timedelta(hours=1))
    api.services.registry.keep(ahead)  # heard before the clock was set back: nobody knows over which one
    shown = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["credential"]
    assert shown["proven"] is False
    api.services.registry.keep(AgentView(who.uuid, last_seen=api.work.clock()))
    shown = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["credential"]
    assert shown == {"proven": True, "words": f"serial {issued.serial} was seen on a handshake"}
    renewed = api.work.authority.renew(csr(new_key(), who), issued.serial, who, api.work.clock())
    keep(api, who, ConnectionStatus(ConnectionState.APPLIED, b"x"))
    shown = api.call("GET", f"{V1}/agents/{who}/connections", "read").json()["credential"]
    assert (shown["proven"], str(renewed.serial) in shown["words"]) == (False, True)
    assert "not believed" in shown["words"]


def test_a_body_that_is_no_json_is_not_shown(api: Api) -> None:
    """Nor is a body of the other kinds that may carry secrets."""
    raw = b'{"kind": "own_metrics", "headers": {"A": "s3cret"}'
    for method, path in (
        ("PUT", "/connections/m"),
        ("POST", "/configurations/base/versions"),
        ("PATCH", f"/agents/{api.enroll(1)}/config-values"),
    ):
        answer = api.call(method, V1 + path, "fleet", content=raw)
        assert (answer.status_code, "s3cret" in answer.text) == (400, False)
