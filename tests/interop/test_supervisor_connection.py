"""What the upstream supervisor makes of offers of its OpAMP connection: why ours makes it none of the kind.

Each offer here is one that our server refuses to make; a server of the tests makes it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography import x509
from opamp.v1 import opamp_pb2

from tests.interop.certificates import ServerFiles, make_server_files
from tests.interop.collector_host import CollectorHost
from tests.interop.programs import Program, free_port
from tests.interop.scripted_server import ScriptedServer, Visit, heard, scripted_server, until

TENANT = "edge"
ALL_IT_CAN = 32231
TRIES = 3
HEARTBEAT_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Scene:
    """A host, the server that its file names, and another one that it knows nothing of."""

    host: CollectorHost
    certificate: ServerFiles
    """What it connects by, of the CA that both servers take."""

    near: ScriptedServer
    far: ScriptedServer

    @property
    def serial(self) -> int:
        """Of its certificate."""
        return x509.load_pem_x509_certificate(self.certificate.certificate.read_bytes()).serial_number

    @contextmanager
    def supervisor(self, log: str = "supervisor.log") -> Iterator[tuple[Program, Visit]]:
        """Run the supervisor; yield it and its first connection, on which its collector is known."""
        before = len(self.near.visits)
        with self.host.supervisor(log, header=TENANT) as program:
            visit = self.near.visit(before + 1, program)
            heard(visit, "agent_description", program)
            until("its collector", lambda: self.host.collectors() or None, program)
            yield program, visit


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A host whose supervisor presents a certificate and a header."""
    folder = tmp_path / "host"
    folder.mkdir()
    certificate = make_server_files(folder)
    (folder / "cert.pem").write_bytes(certificate.certificate.read_bytes())
    (folder / "key.pem").write_bytes(certificate.key.read_bytes())
    with (
        scripted_server(tmp_path / "near", certificate) as near,
        scripted_server(tmp_path / "far", certificate) as far,
    ):
        (folder / "ca.pem").write_bytes(near.ca.read_bytes())
        (folder / "backend-ca.pem").write_bytes(near.ca.read_bytes())
        yield Scene(CollectorHost(str(uuid4()), folder, near.url), certificate, near, far)


def whole(scene: Scene, at: ScriptedServer, trust: Path, tenant: str = TENANT) -> opamp_pb2.ServerToAgent:
    """Return an offer of everything that the supervisor needs: endpoint, header, certificate, key and CA."""
    message = opamp_pb2.ServerToAgent()
    message.connection_settings.hash = b"whole"
    opamp = message.connection_settings.opamp
    opamp.destination_endpoint = at.url
    opamp.heartbeat_interval_seconds = HEARTBEAT_SECONDS
    opamp.headers.headers.add(key="X-Tenant", value=tenant)
    opamp.certificate.cert = scene.certificate.certificate.read_bytes()
    opamp.certificate.private_key = scene.certificate.key.read_bytes()
    opamp.certificate.ca_cert = trust.read_bytes()
    return message


def answers(visit: Visit, program: Program) -> None:
    """Have the supervisor say everything once more, and wait for that."""
    so_far = len(visit.said)
    visit.say(opamp_pb2.ServerToAgent(flags=opamp_pb2.ServerToAgentFlags_ReportFullState))
    heard(visit, "agent_description", program, so_far)


def test_a_whole_offer_is_followed(scene: Scene) -> None:
    """With endpoint, header, certificate, key and CA it goes there, and says not a word of the offer."""
    with scene.supervisor() as (program, first):
        assert first.said[0].capabilities == ALL_IT_CAN
        assert (first.serial, first.headers["x-tenant"]) == (scene.serial, TENANT)
        first.say(whole(scene, scene.far, scene.far.ca, "other"))
        there = scene.far.visit(1, program)
        assert (there.serial, there.headers["x-tenant"]) == (scene.serial, "other")
        answers(there, program)
        said = [*first.said, *there.said]
        assert [one for one in said if one.HasField("connection_settings_status")] == []


def test_without_a_certificate_it_verifies_nobody(scene: Scene) -> None:
    """An offer of an endpoint alone takes its certificate, its header, and the verification of the server."""
    with scene.supervisor() as (program, first):
        bare = opamp_pb2.ServerToAgent()
        bare.connection_settings.hash = b"bare"
        bare.connection_settings.opamp.destination_endpoint = scene.far.url
        first.say(bare)
        there = scene.far.visit(1, program)  # by a certificate of a CA that it was never told of
        assert there.serial is None
        assert "x-tenant" not in there.headers


@pytest.mark.parametrize(
    ("missing", "words"),
    [("key", "must include both certificate and key"), ("endpoint", "server::endpoint must be specified")],
    ids=["key", "endpoint"],
)
def test_half_an_offer_is_refused_in_silence(scene: Scene, missing: str, words: str) -> None:
    """Without a private key, or without an endpoint, it stays where it is; its own log alone says why."""
    offer = whole(scene, scene.far, scene.far.ca)
    if missing == "key":
        offer.connection_settings.opamp.certificate.private_key = b""
    else:
        offer.connection_settings.opamp.destination_endpoint = ""
    with scene.supervisor() as (program, first):
        first.say(offer)
        program.wait_for_text(words)
        answers(first, program)
        assert [one for one in first.said if one.HasField("connection_settings_status")] == []
        assert (len(scene.near.visits), len(scene.far.visits), first.over) == (1, 0, False)


@pytest.mark.parametrize("wrong", ["CA", "endpoint"])
def test_from_an_offer_that_does_not_work_it_does_not_return(scene: Scene, wrong: str) -> None:
    """It tries the wrong place, or with the wrong trust, again and again, and never what worked before.

    The right trust in the message that is meant for it does not help.
    """
    offer = whole(scene, scene.near, scene.far.ca)
    offer.connection_settings.opamp.tls.ca_pem_contents = scene.near.ca.read_text(encoding="utf-8")
    if wrong == "endpoint":
        offer.connection_settings.opamp.destination_endpoint = f"wss://localhost:{free_port()}/v1/opamp"
    with scene.supervisor() as (program, first):
        first.say(offer)
        failed = "Failed to connect to the server"
        until("its tries", lambda: program.text().count(failed) >= TRIES or None, program)
        until("the end of its first connection", lambda: first.over or None, program)
        assert (len(scene.near.visits), len(scene.far.visits)) == (1, 0)
        assert scene.host.collectors()


def test_the_same_hash_is_followed_again(scene: Scene) -> None:
    """It looks at no hash: each time that the same offer comes it connects anew."""
    with scene.supervisor() as (program, visit):
        for number in (2, 3):
            visit.say(whole(scene, scene.near, scene.near.ca))
            visit = scene.near.visit(number, program)  # noqa: PLW2901 - the newest one is spoken to
            heard(visit, "agent_description", program)


def test_an_offer_does_not_outlive_it(scene: Scene) -> None:
    """Started again it is where its file says, with what its file says."""
    with scene.supervisor("first.log") as (program, first):
        first.say(whole(scene, scene.far, scene.far.ca, "other"))
        scene.far.visit(1, program)
    with scene.supervisor("second.log") as (_, again):
        assert (again.serial, again.headers["x-tenant"]) == (scene.serial, TENANT)
        assert len(scene.far.visits) == 1
