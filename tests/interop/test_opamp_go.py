"""An agent on the published opamp-go client enrolls, connects with mTLS, installs, and is cut."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from distribution.demo.cluster import PACKAGE, Cluster
from distribution.demo.processes import wait_for
from keys.trust import TokenString, decode_token
from tests.interop.fleet import CHANNEL, PATIENCE_SECONDS
from tests.interop.programs import Program

VERSION = "1.0.0"
SCHEMES = {"ws": "wss", "http": "https"}


@dataclass(frozen=True, slots=True)
class GoAgent:
    """One agent's folder and what every start of its program is given."""

    uid: str
    folder: Path
    arguments: tuple[str, ...]

    def start(self, log: str, *more: str) -> Program:
        """Start the program; the caller ends it."""
        return Program([*self.arguments, *more], self.folder / log, os.environ)


def an_agent(program: Path, folder: Path, transport: str, token: TokenString) -> GoAgent:
    """Prepare an agent that speaks one transport; it has no certificate yet."""
    (folder / "ca.pem").write_text(token.ca_pem, encoding="utf-8")
    uid = str(uuid4())
    url = f"{SCHEMES[transport]}://{token.agents_url.partition('://')[2]}"
    arguments = [str(program), "-transport", transport, "-url", url, "-uid", uid]
    for option, name in (
        ("-ca", "ca.pem"),
        ("-cert", "cert.pem"),
        ("-key", "key.pem"),
        ("-state-dir", "state"),
    ):
        arguments += [option, str(folder / name)]
    return GoAgent(uid, folder, tuple(arguments))


def enroll(agent: GoAgent, token: TokenString) -> None:
    """Have the agent ask for a certificate with the token, and wait until it has one."""
    with agent.start("enroll.log", "-enroll", f"{token.token_id}.{token.secret}") as program:
        offered = program.wait_for_event("connection_settings")
        assert (offered["certificate"], offered["private_key"]) == (True, False)
        program.wait_for_event("enrolled")


@pytest.mark.parametrize("transport", ["ws", "http"])
def test_a_stranger_installs_a_package(
    cluster: Cluster, collectors: Mapping[str, Path], opamp_go_client: Path, tmp_path: Path, transport: str
) -> None:
    """It enrolls by CSR, comes again with mTLS, downloads, reports Installed; revoked, it is out."""
    token = decode_token(cluster.create_token(uses=1))
    agent = an_agent(opamp_go_client, tmp_path, transport, token)
    enroll(agent, token)
    digest = hashlib.sha256(collectors[VERSION].read_bytes()).hexdigest()
    cluster.set_channel(CHANNEL, VERSION, "--allow-downgrade")
    with agent.start("run.log") as program:
        offer = program.wait_for_event("offer")
        assert offer["packages"][PACKAGE]["content_hash"] == digest
        assert program.wait_for_event("downloaded")["sha256"] == digest
        assert program.wait_for_event("synced")["all_packages_hash"] == offer["all_packages_hash"]

        def reported() -> object | None:
            packages = cluster.get(f"/api/v1/agents/{agent.uid}")["packages"]
            found = [one for one in packages if one["name"] == PACKAGE and one["state"] == "installed"]
            return found[0]["version"] if found else None

        assert wait_for("Installed at the server", reported, PATIENCE_SECONDS, program.text) == VERSION
        cluster.revoke(agent.uid)
        program.wait_for_text("401")


def test_a_stranger_with_anothers_uid_gets_nothing(
    cluster: Cluster, opamp_go_client: Path, tmp_path: Path
) -> None:
    """An enrolled agent that says another's instance uid is offered nothing."""
    token = decode_token(cluster.create_token(uses=1))
    agent = an_agent(opamp_go_client, tmp_path, "http", token)
    enroll(agent, token)
    position = agent.arguments.index(agent.uid)
    other = GoAgent(
        agent.uid, tmp_path, (*agent.arguments[:position], str(uuid4()), *agent.arguments[position + 1 :])
    )
    with other.start("other.log") as program:
        program.wait_for_text("401")
        assert [event for event in program.events() if event["event"] == "offer"] == []
