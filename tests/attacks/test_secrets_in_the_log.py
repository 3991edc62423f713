"""Threat: whoever reads the server's log, at its most talkative, finds a secret that passed through.

One real server logs at the level debug while every kind of secret is pushed through it, by agents and by
operators, rightly and wrongly, and while its database fails; then the whole log is searched.
"""

import base64
import contextlib
import gzip
import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx
import pytest
from opamp.v1 import anyvalue_pb2

from distribution.demo.cluster import Cluster
from distribution.demo.places import ObjectsAt
from distribution.demo.processes import wait_for
from distribution.protocol import wire
from keys.identity import AgentId
from keys.trust import decode_token
from tests.fakes.certificates import agent, csr, new_key
from tests.fakes.fleet_abroad import DEMO_DOMAIN, PATH
from tests.fakes.secrets_sent import MARKED, WAIT_SECONDS, Agents, Passed, mark, private_key, reports
from tests.fakes.wire_client import description, request_for, said

V1 = "/api/v1"
DAY = 86_400

ISSUED: Final = ("enrollment token", "bearer token", "operator token")
"""Secrets that the server made."""


def strangers(agents: Agents) -> None:
    """What is refused before a message is looked at, over both transports."""
    whole = wire.encode_http(said(agent(1)), compress=False)
    for headers in (
        {"Authorization": f"Enrollment nobody.{mark('wrong enrollment')}"},
        {"Authorization": f"Bearer nobody.{mark('wrong bearer')}"},
        {"Authorization": f"Basic {mark('basic')}"},
        {"X-Api-Key": mark("header"), "OpAMP-Instance-UID": mark("header")},
        {"Cookie": f"session={mark('cookie')}"},
    ):
        agents.send(whole, **headers)
        agents.upgrade(**headers)
    agents.send(whole, f"{PATH}?token={mark('query')}")
    agents.upgrade(f"{PATH}?access_token={mark('query')}")


def agents_speak(agents: Agents, passed: Passed, bearer_agent: AgentId) -> None:
    """An agent enrolls, one with a bearer token reports; some of it cannot be read."""
    strangers(agents)
    enrollment, bearer = passed.issued["enrollment token"], passed.issued["bearer token"]
    who = agent(7001)
    key = request_for(private_key("key for a request").encode())
    assert agents.tell(who, f"Enrollment {enrollment}", connection_settings_request=key).HasField(
        "error_response"
    )
    asked = request_for(csr(new_key(), who, domain=DEMO_DOMAIN))
    given = agents.tell(who, f"Enrollment {enrollment}", connection_settings_request=asked)
    assert given.connection_settings.opamp.certificate.cert
    authorization = f"Bearer {bearer}"
    for parts in reports(bearer):
        agents.tell(bearer_agent, authorization, **parts)
    rubbish = b"\xff" + mark("rubbish").encode()
    assert agents.send(rubbish, Authorization=authorization).status_code == 400
    packed = gzip.compress(mark("packed rubbish").encode())
    assert agents.send(packed, Authorization=authorization, Content_Encoding="gzip").status_code == 400
    agents.upgrade(payload=rubbish, Authorization=authorization)
    agents.upgrade(payload=mark("text frame"), Authorization=authorization)


def operators_act(api: httpx.Client, known: AgentId) -> None:
    """Settings, configurations and values with secrets; some are taken, some refused."""

    def put(name: str, body: Mapping[str, Any]) -> int:
        return api.put(f"{V1}/connections/{name}", json=body).status_code

    def post(name: str, text: str, **more: object) -> int:
        objects = [{"content_type": "text/yaml", "body": text}]
        return api.post(f"{V1}/configurations/{name}/versions", json={"objects": objects, **more}).status_code

    metrics = {"kind": "own_metrics", "endpoint": "https://otlp.example/v1/metrics"}
    assert put("m", {**metrics, "headers": {"Authorization": mark("connection header")}}) == 200
    plain = {**metrics, "endpoint": "http://otlp.example/v1/metrics"}
    assert put("n", {**plain, "headers": {"Authorization": mark("refused header")}}) == 422
    other = {"kind": "other", "connection": "kafka", "endpoint": "kafka:9093"}
    assert put("k", {**other, "settings": {"password": mark("setting of another connection")}}) == 200
    assert put("u", {**metrics, "password": mark("unknown field")}) == 400
    broken = f'{{"kind": "{mark("body that is no json")}'
    assert api.put(f"{V1}/connections/b", content=broken).status_code == 400
    secret = f"exporters: {{x: {{password: {mark('config secret')}}}}}"
    assert post("s", secret, secret=True) == 201
    assert post("s", json.dumps({"key_pem": private_key("config key")}), secret=True) == 201
    assert post("d", f"exporters: {{x: {{password: {mark('config not declared')}}}}}") >= 400
    assert post("b", f"password: [{mark('broken config')}", secret=True) >= 200
    values = {"values": {"password": mark("config value")}}
    assert api.patch(f"{V1}/agents/{known}/config-values", json=values).status_code == 200
    wrong = {"Authorization": f"Bearer ops.{mark('wrong operator')}"}
    assert api.get(f"{V1}/whoami", headers=wrong).status_code == 401


def database_fails(cluster: Cluster, agents: Agents, passed: Passed, known: AgentId) -> None:
    """The status of agents cannot be written for a while, and why is told at length."""
    attributes, log = description(), cluster.logs / "server.log"
    secret = anyvalue_pb2.AnyValue(string_value=mark("while the database fails"))
    attributes.non_identifying_attributes.append(anyvalue_pb2.KeyValue(key="db.password", value=secret))
    with contextlib.closing(sqlite3.connect(cluster.server_folder / "quartermaster.db")) as connection:
        connection.execute("ALTER TABLE agents RENAME TO elsewhere")
        agents.tell(known, f"Bearer {passed.issued['bearer token']}", agent_description=attributes)
        wait_for("the failure", lambda: '"job failed' in log.read_text() or None, WAIT_SECONDS)
        connection.execute("ALTER TABLE elsewhere RENAME TO agents")


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Passed]:
    """A server that all of it passed through."""
    found = Passed(folder=tmp_path_factory.mktemp("secrets"))
    with contextlib.closing(Cluster(found.folder / "cluster", ObjectsAt())) as cluster:
        cluster.init(single=True)
        cluster.server._argv += ["--log-level", "debug"]
        cluster.start_server()
        token = decode_token(cluster.create_token(uses=2))
        made = cluster.api().post(f"{V1}/bearer-tokens", json={"new": True, "lifetime_seconds": DAY}).json()
        operator = (cluster.operator / "token").read_text().strip()
        found.issued = dict(zip(ISSUED, (token.presented, made["bearer"], operator), strict=True))
        known = AgentId.parse(made["agent"])
        with contextlib.closing(cluster.api()), contextlib.closing(Agents(cluster, found)) as agents:
            agents_speak(agents, found, known)
            operators_act(cluster.api(), known)
            database_fails(cluster, agents, found, known)
        cluster.server.stop()
        found.log = (cluster.logs / "server.log").read_text()
        yield found


@pytest.mark.parametrize("kind", MARKED)
def test_no_secret_that_was_sent_is_in_the_log(passed: Passed, kind: str) -> None:
    """Neither as it is, nor in base64 or hexadecimal, wherever it stood in what was sent."""
    secret = mark(kind)
    for form in (secret, base64.b64encode(secret.encode())[:24].decode(), secret.encode().hex()):
        lines = [line for line in passed.log.splitlines() if form in line]
        assert lines == []


@pytest.mark.parametrize("kind", ISSUED)
def test_no_token_that_was_issued_is_in_the_log(passed: Passed, kind: str) -> None:
    """Its name may be, its secret is not."""
    presented = passed.issued[kind]
    assert presented.rpartition(".")[2] not in passed.log


def test_no_private_key_is_in_the_log(passed: Passed) -> None:
    """Of none that was made with the server, its TLS key and its authority's among them."""
    keys = [path for path in (passed.folder / "cluster" / "site").rglob("*") if path.is_file()]
    texts = [path.read_bytes().decode("latin-1") for path in keys]
    lines = {line for text in texts if "PRIVATE KEY" in text for line in text.splitlines() if len(line) >= 40}
    assert len(lines) > 5
    assert not [line for line in lines if line in passed.log]
    assert "PRIVATE KEY" not in passed.log


def test_the_log_says_all_else(passed: Passed) -> None:
    """One line for each exchange, of debug too; refusals and failures; each line is one JSON object."""
    lines = [json.loads(line) for line in passed.log.splitlines()]
    told = [line["agent"] for line in lines if line["message"] == "exchange"]
    assert {who: told.count(who) for who in passed.exchanges} == passed.exchanges
    assert len([line for line in lines if line["message"] == "exchange refused"]) >= 12
    [failure] = [line for line in lines if line["message"] == "job failed; it will be tried again"]
    assert "no such table: agents" in failure["exception"]
