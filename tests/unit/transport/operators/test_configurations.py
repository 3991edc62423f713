"""Configurations over the API: written, judged, assigned, taken back; where agents stand; no secret out."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from distribution.domain.agent import AgentView
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus
from distribution.flows.configuration.effective import Examiner
from keys.identity import AgentId
from tests.fakes.configured import ABLE
from tests.fakes.operators_api import Api, operators_api

V1 = "/api/v1"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def post(api: Api, name: str = "base", text: str = "a: 1", **more: object) -> dict[str, Any]:
    objects = [{"key": "", "content_type": "text/yaml", "body": text}]
    answer = api.call(
        "POST", f"{V1}/configurations/{name}/versions", "fleet", json={"objects": objects, **more}
    )
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def assign(api: Api, name: str = "base", **body: object) -> dict[str, Any]:
    answer = api.call("PUT", f"{V1}/config-assignments/{name}", "fleet", json={"configuration": name, **body})
    assert answer.is_success, answer.text
    api.services.config_board.reload()
    found: dict[str, Any] = answer.json()
    return found


def here(api: Api, **labels: str) -> AgentView:
    """Let an agent that takes configurations be known."""
    view = replace(api.services.registry.view(api.enroll(1, **labels)), capabilities=ABLE, connected=True)
    api.services.registry.keep(view)
    api.services.registry.flush()
    return view


def test_a_version_is_written_once(api: Api) -> None:
    """New content is 201 and the next number, the same content is 200 and the version that is there."""
    objects = [{"content_type": "text/yaml", "body_base64": base64.b64encode(b"a: 1").decode()}]
    made = [
        api.call("POST", f"{V1}/configurations/base/versions", "fleet", json={"objects": objects})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in made] == [201, 200]
    assert [answer.json()["existed"] for answer in made] == [False, True]
    shown = api.call("GET", f"{V1}/configurations/base/versions/1", "read").json()
    assert (shown["version"], shown["valid"], shown["objects"]) == (
        1,
        True,
        [{"key": "", "role": "", "content_type": "text/yaml", "body": "a: 1"}],
    )
    assert api.kinds() == ["config.created"]


def test_all_versions_and_those_of_one_are_listed(api: Api) -> None:
    """Lists are by name and number, without bodies."""
    for name, text in (("b", "x: 1"), ("a", "x: 1"), ("a", "x: 2")):
        post(api, name, text)
    listed = api.call("GET", f"{V1}/configurations", "read").json()["versions"]
    assert [(one["name"], one["version"]) for one in listed] == [("a", 1), ("a", 2), ("b", 1)]
    of_one = api.call("GET", f"{V1}/configurations/a/versions", "read").json()["versions"]
    assert of_one == listed[:2]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/configurations/none/versions", 404),
        ("/configurations/base/versions/7", 404),
        ("/configurations/base/versions/x", 400),
        ("/config-assignments/none", 404),
        ("/agents/00000000-0000-4000-8000-000000000009/configuration", 404),
    ],
)
def test_what_is_not_there(api: Api, path: str, status: int) -> None:
    """An unknown configuration, version, assignment or agent is refused."""
    post(api)
    assert api.call("GET", V1 + path, "read").status_code == status


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([], "has 0 objects"),
        ([{"body": "a: 1"}, {"body": "b: 1"}], "two objects of key ''"),
        ([{"key": "x"}], "body and body_base64, or neither"),
        ([{"body": "a", "body_base64": "YQ=="}], "body and body_base64"),
        ([{"body_base64": "?"}], "is not base64"),
        ([{"content_type": "yaml", "body": "a: ["}], "is not YAML"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_is_no_version(api: Api, objects: list[dict[str, str]], why: str) -> None:
    """A malformed version is refused in words, and nothing is written."""
    answer = api.call("POST", f"{V1}/configurations/base/versions", "fleet", json={"objects": objects})
    assert api.error(answer)[0] == 400
    assert why in api.error(answer)[2]
    assert api.kinds() == []


def test_a_secret_goes_in_and_does_not_come_out(api: Api) -> None:
    """Of a secret version its shape is shown; the body lies sealed, and is what an agent is to run."""
    post(api, text="password: hunter2\nhost: db-internal\nuser: ${env:USER}", secret=True)
    assign(api)
    view = here(api)
    told = [
        api.call("GET", f"{V1}/configurations/base/versions/1", "read").text,
        api.call("GET", f"{V1}/agents/{view.uid}/configuration", "read").text,
        str(api.journal()),
    ]
    assert [("hunter2" in text, "db-internal" in text) for text in told] == [(False, False)] * 3
    assert "${env:USER}" in told[0]
    with api.services.database.read() as connection:
        kept = connection.exec_driver_sql("select body from config_objects").scalar()
    assert b"hunter2" not in bytes(kept or b"")
    found = api.services.config_board.config_for(view)
    assert found is not None
    assert b"hunter2" in found.objects[""].body


def test_assigning_and_going_back(api: Api) -> None:
    """The newest version by default, a stated one, back to the one before; every step is kept."""
    for text in ("a: 1", "a: 2", "a: 3"):
        post(api, text=text)
    first = assign(api, labels={"env": "prod"}, priority=3)
    assert (first["version"], first["labels"], first["priority"], first["counts"]) == (
        3,
        {"env": "prod"},
        3,
        True,
    )
    assign(api, version=1)
    backed = api.call("POST", f"{V1}/config-assignments/base/back", "fleet").json()
    assert (backed["version"], backed["labels"]) == (3, {})
    steps = api.call("GET", f"{V1}/config-assignments/base", "read").json()["steps"]
    assert [(one["step"], one["version"], one["counts"]) for one in steps] == [
        (1, 3, False),
        (2, 1, False),
        (3, 3, True),
    ]
    listed = api.call("GET", f"{V1}/config-assignments", "read").json()["assignments"]
    assert listed == [steps[-1]]
    gone = api.call("DELETE", f"{V1}/config-assignments/base", "fleet").json()
    assert gone["version"] == 3
    assert api.call("GET", f"{V1}/config-assignments", "read").json() == {"assignments": []}


def test_who_saw_another_step_is_refused(api: Api) -> None:
    """Two who change one assignment at once: the second is told, and what the first did stands."""
    post(api)
    post(api, text="a: 2")
    assign(api, version=1)
    for method, path, body in (
        ("PUT", "/config-assignments/base", {"configuration": "base", "version": 2, "at_step": 0}),
        ("POST", "/config-assignments/base/back", {"at_step": 7}),
    ):
        answer = api.call(method, V1 + path, "fleet", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert "is at step 1 (base@1 by operator:op0), expected" in answer.json()["error"]["message"]
    assert assign(api, version=2, at_step=1)["version"] == 2


def test_a_version_is_judged_again(api: Api) -> None:
    """The answer has the judgement."""
    post(api)
    answer = api.call("POST", f"{V1}/configurations/base/versions/1/validate", "fleet")
    assert (answer.json()["valid"], api.kinds()) == (True, ["config.created", "config.judged"])


def test_where_an_agent_stands(api: Api) -> None:
    """What is intended and reported, each difference by its place, and the standing that comes of it."""
    post(api, text="exporters: {otlp: {endpoint: a}}\nservice: {level: x}")
    assign(api)
    view = here(api)
    intended = api.services.config_board.config_for(view)
    assert intended is not None
    effective = {"": ConfigObject(b"exporters: {otlp: {endpoint: b, token: t0ken}}", "text/yaml")}
    seen = Examiner(api.services.database, api.services.config_board.declared).examine(
        AgentId(view.uid), effective, intended, api.services.clock()
    )
    said = ConfigStatus(ConfigState.APPLIED, numbered(intended.digest, 1))
    api.services.registry.keep(replace(view, config=said, effective=seen))
    found = api.call("GET", f"{V1}/agents/{view.uid}/configuration", "read").json()
    assert (found["standing"], found["why"]) == ("untrue", "exporters.otlp.endpoint has another value")
    assert found["differences"] == ["exporters.otlp.endpoint has another value", "service is missing"]
    assert found["configuration"] == "base@1"
    assert "token: '[REDACTED]'" in found["effective"]["objects"][0]["body"]
    listed = api.call("GET", f"{V1}/config-status?limit=10", "read").json()
    assert [(one["uid"], one["standing"]) for one in listed["agents"]] == [(str(view.uid), "untrue")]


def test_why_nothing_is_offered(api: Api) -> None:
    """A variable that nobody gives is told where an operator looks."""
    post(api, text="site: ${qm:label.site}")
    assign(api)
    found = api.call("GET", f"{V1}/agents/{here(api).uid}/configuration", "read").json()
    assert (found["standing"], found["intended"]) == ("not offered", None)
    assert "has no label 'site'" in found["why"]


def test_values_of_one_agent(api: Api) -> None:
    """Values are set and taken away; names come out, values do not; an unknown agent is refused."""
    view = here(api)
    path = f"{V1}/agents/{view.uid}/config-values"
    made = api.call("PATCH", path, "fleet", json={"values": {"a": "s3cret", "b": "x"}})
    left = api.call("PATCH", path, "fleet", json={"values": {"b": None}})
    assert [one["name"] for one in made.json()["values"]] == ["a", "b"]
    assert [one["name"] for one in left.json()["values"]] == ["a"]
    assert "s3cret" not in made.text + str(api.journal())
    with api.services.database.read() as connection:
        kept = connection.exec_driver_sql("select value from config_values where name = 'a'").scalar()
    assert "s3cret" not in str(kept)
    other = path.replace(str(view.uid), "00000000-0000-4000-8000-000000000009")
    assert api.call("PATCH", other, "fleet", json={"values": {"a": "x"}}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/configurations/base/versions"),
        ("POST", "/configurations/base/versions/1/validate"),
        ("PUT", "/config-assignments/base"),
        ("DELETE", "/config-assignments/base"),
        ("POST", "/config-assignments/base/back"),
        ("PATCH", "/agents/00000000-0000-4000-8000-000000000001/config-values"),
    ],
)
def test_readers_change_nothing(api: Api, method: str, path: str) -> None:
    """The scope read suffices for nothing that changes."""
    assert api.call(method, V1 + path, "read", json={}).status_code == 403
