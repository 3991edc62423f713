"""agent/cli.py: what `enroll` tells whoever enrolls a host that has a certificate already."""

import hashlib
import json
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2
from typer.testing import CliRunner

from distribution.agent import pins, supervisor
from distribution.agent.cli import app
from keys.identity import AgentId
from keys.trust import Trust, decode_token, encode_token, normal_ca
from tests.fakes.agent_certificates import certify
from tests.fakes.certificates import DOMAIN, NOW, small_ca
from tests.fakes.client_story import URL, settings
from tests.fakes.scripted_link import ScriptedLink

ROOT = b'{"signed": "root"}'


@pytest.fixture
def opened() -> list[ScriptedLink]:
    """The links that were opened, each of which is one use of a token."""
    return []


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: list[ScriptedLink]) -> list[str]:
    """The command that enrolls this host; the server certifies whatever it is asked for."""
    ca = small_ca()

    def certified(message: opamp_pb2.AgentToServer) -> list[opamp_pb2.ServerToAgent]:
        csr = message.connection_settings_request.opamp.certificate_request.csr
        who = AgentId.from_bytes(message.instance_uid)
        return [settings(cert=certify(ca, csr, who))]

    async def open_link(*_given: object, **_options: object) -> ScriptedLink:
        opened.append(ScriptedLink(certified))
        return opened[-1]

    monkeypatch.setattr(supervisor, "open_link", open_link)
    monkeypatch.setattr(supervisor, "now", lambda: NOW)
    trust = Trust(
        trust_domain=DOMAIN,
        ca_pem=normal_ca(ca.root_pem.encode()),
        tuf_root_version=1,
        tuf_root_sha256=hashlib.sha256(ROOT).hexdigest(),
        agents_url=URL,
        downloads_url="https://downloads.example:4321",
        operators_url="https://operators.example:4322",
    )
    token = encode_token(trust, "t1", "s" * 22)
    pins.save(tmp_path, pins.from_token(decode_token(token), ROOT))
    return ["enroll", token, "--dir", str(tmp_path)]


def said(words: list[str]) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_token_that_was_not_used_is_said(words: list[str], opened: list[ScriptedLink]) -> None:
    """Or an operator who reset the agent would wait for ever: `run` is refused with the old certificate."""
    assert said(words).startswith("enrolled as ")
    second = said(words)
    assert second.startswith("already enrolled as ")
    assert "the token was not used; if an operator reset the agent, --again replaces its" in second
    assert json.loads(said([*words, "--json"]))["already"] is True
    assert len(opened) == 1


def test_again_replaces_the_credential(words: list[str], opened: list[ScriptedLink]) -> None:
    """With the same uid, and by the token."""
    first = json.loads(said([*words, "--json"]))
    again = json.loads(said([*words, "--json", "--again"]))
    assert (again["instance_uid"], again["already"], len(opened)) == (first["instance_uid"], False, 2)
