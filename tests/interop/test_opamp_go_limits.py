"""What opamp-go does with what our server never says, or says only in a certain way: the reasons for that."""

import hashlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from opamp.v1 import opamp_pb2

from keys.trust import TokenString
from tests.fakes.https_server import HttpsServer, https_server
from tests.interop import parts
from tests.interop.certificates import make_server_files
from tests.interop.go_agent import LIBRARIES, GoAgent, Library, an_agent
from tests.interop.programs import Program
from tests.interop.scripted_server import ScriptedServer, Visit, heard, scripted_server, until

SOCKET = [library for library in LIBRARIES if library.transport == "ws"]
BEATS = 2
PAUSE_NANOSECONDS = 3600 * 10**9
BYTES = b"these are the bytes of a package"


@dataclass(frozen=True, slots=True)
class Scene:
    """An agent, the server of the tests that it speaks to, and where packages are downloaded from."""

    agent: GoAgent
    server: ScriptedServer
    files: HttpsServer

    def offer(self, set_hash: bytes, *names: str, digest: bytes | None = None) -> opamp_pb2.ServerToAgent:
        """Return an offer of packages of the same bytes; `digest` is said instead of theirs."""
        message = opamp_pb2.ServerToAgent()
        message.packages_available.all_packages_hash = set_hash
        for name in names:
            one = message.packages_available.packages[name]
            one.version, one.hash = "1.0.0", b"hash of " + name.encode()
            one.file.download_url = f"{self.files.trust.downloads_url}/{name}"
            one.file.content_hash = hashlib.sha256(BYTES).digest() if digest is None else digest
        return message


@pytest.fixture(params=SOCKET, ids=lambda library: str(library.client))
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """An agent on each version of the library, over WebSocket."""
    library: Library = request.param
    folder, downloads = tmp_path / "agent", tmp_path / "files"
    folder.mkdir()
    downloads.mkdir()
    own = make_server_files(folder)
    (folder / "cert.pem").write_bytes(own.certificate.read_bytes())
    (folder / "key.pem").write_bytes(own.key.read_bytes())
    with scripted_server(tmp_path / "server", own) as server, https_server(downloads) as files:
        files.answer = lambda _: (200, BYTES)
        both = server.ca.read_text(encoding="utf-8") + files.trust.ca_pem
        agent = an_agent(library, folder, a_token(server.url, files))
        (folder / "ca.pem").write_text(both, encoding="utf-8")
        yield Scene(agent, server, files)


def a_token(url: str, files: HttpsServer) -> TokenString:
    """Return what an agent is given to begin with; nobody asks for its secret."""
    trust = files.trust
    pins = (trust.trust_domain, trust.ca_pem, trust.tuf_root_version, trust.tuf_root_sha256)
    return TokenString(*pins, url, trust.downloads_url, "nobodys", "s" * 22)


def beats(visit: Visit, program: Program, count: int = BEATS) -> None:
    """Wait until so many more messages were said in a visit."""
    so_far = len(visit.said)
    until(f"{count} more messages", lambda: len(visit.said) >= so_far + count or None, program)


def test_that_we_are_unavailable_changes_nothing(scene: Scene) -> None:
    """Told so, and to come again in an hour, it goes on as before: whoever means it closes the connection."""
    with scene.agent.running("unavailable.log") as program:
        visit = scene.server.visit(1, program)
        refusal = opamp_pb2.ServerToAgent()
        refusal.error_response.type = opamp_pb2.ServerErrorResponseType_Unavailable
        refusal.error_response.retry_info.retry_after_nanoseconds = PAUSE_NANOSECONDS
        visit.say(refusal)
        assert program.wait_for_event("server_error")["type"].endswith("Unavailable")
        beats(visit, program)
        assert (visit.over, len(scene.server.visits)) == (False, 1)


def test_a_heartbeat_of_nothing_silences_it(scene: Scene) -> None:
    """Offered settings without an interval it falls silent on its connection; another goes on beating."""
    with scene.agent.running("silent.log") as program, scene.agent.as_another().running("other.log") as other:
        visits = [scene.server.visit(number, program) for number in (1, 2)]
        visits.sort(key=lambda visit: UUID(bytes=visit.said[0].instance_uid) != UUID(scene.agent.uid))
        offer = opamp_pb2.ServerToAgent()
        offer.connection_settings.hash = b"no interval"
        offer.connection_settings.opamp.destination_endpoint = scene.server.url
        visits[0].say(offer)
        heard(visits[0], "connection_settings_status", program)
        beats(visits[1], other)  # what was on its way has come
        so_far = len(visits[0].said)
        beats(visits[1], other)
        assert (len(visits[0].said), visits[0].over) == (so_far, False)


def test_a_text_message_ends_the_connection(scene: Scene) -> None:
    """It reads binary messages alone, and connects anew after any other."""
    with scene.agent.running("text.log") as program:
        visit = scene.server.visit(1, program)
        visit.connection.send("no message")
        scene.server.visit(2, program)


def test_each_process_counts_from_its_beginning(scene: Scene) -> None:
    """Started, it says all of itself under number 0; over a lost connection it counts on, and says little."""
    for log in ("first.log", "second.log"):
        before = len(scene.server.visits)
        # Without a beat that the end of the connection could meet on its way.
        with scene.agent.running(log, "-heartbeat", "1m") as program:
            first = scene.server.visit(before + 1, program)
            first.connection.close()
            again = scene.server.visit(before + 2, program)
            program.signal(signal.SIGUSR2)
            heard(again, "health", program)
        said = [*first.said, *again.said]
        assert [one.sequence_num for one in said] == list(range(len(said)))
        assert [one.HasField("agent_description") for one in said] == [True] + [False] * (len(said) - 1)


def test_it_names_what_it_could_run_by_a_hash(scene: Scene) -> None:
    """The list itself comes when it is asked for."""
    with scene.agent.running("components.log") as program:
        visit = scene.server.visit(1, program)
        first = heard(visit, "available_components", program).available_components
        assert (bool(first.hash), len(first.components)) == (True, 0)
        so_far = len(visit.said)
        visit.say(opamp_pb2.ServerToAgent(flags=opamp_pb2.ServerToAgentFlags_ReportAvailableComponents))
        assert heard(visit, "available_components", program, so_far).available_components.components


def test_settings_of_a_hash_that_it_has_seen(scene: Scene) -> None:
    """The newer library passes over them, the older one takes them up each time that they come."""
    newer = scene.agent.library.part is parts.OPAMP_GO_CLIENT
    with scene.agent.running("seen.log") as program:
        visit = scene.server.visit(1, program)
        offer = opamp_pb2.ServerToAgent()
        offer.connection_settings.hash = b"settings"
        offer.connection_settings.own_metrics.destination_endpoint = "https://otlp.example/v1/metrics"
        visit.say(offer)
        visit.say(offer)
        after = opamp_pb2.CustomCapabilities(capabilities=["what comes after"])
        visit.say(opamp_pb2.ServerToAgent(custom_capabilities=after))
        program.wait_for_event("custom_capabilities")
        assert program.count("telemetry_settings") == (1 if newer else 2)


def test_beside_a_command_nothing_is_heard(scene: Scene) -> None:
    """A configuration in the message of a command is lost."""
    with scene.agent.running("command.log") as program:
        visit = scene.server.visit(1, program)
        both = opamp_pb2.ServerToAgent()
        both.command.type = opamp_pb2.CommandType_Restart
        both.remote_config.config_hash = b"configuration"
        both.remote_config.config.config_map[""].body = b"receivers: {nop: }"
        visit.say(both)
        program.wait_for_event("starting_again")
        beats(scene.server.visit(2, program), program)
        assert (program.count("command"), program.count("remote_config")) == (1, 0)


def test_bytes_of_another_digest_are_handed_on(scene: Scene) -> None:
    """The library looks at no hash: it is our program that refuses what it was handed."""
    with scene.agent.running("digest.log") as program:
        visit = scene.server.visit(1, program)
        visit.say(scene.offer(b"one", "program", digest=b"another"))
        said = program.wait_for_event("statuses", lambda one: "the bytes have" in str(one))
        assert hashlib.sha256(BYTES).hexdigest() in str(said)
        assert program.count("synced") == 0


def test_what_is_not_offered_any_more_is_deleted(scene: Scene) -> None:
    """A set that lacks a package takes it away; a set of a hash that it has is not even answered."""
    with scene.agent.running("set.log") as program:
        visit = scene.server.visit(1, program)
        visit.say(scene.offer(b"two", "one", "other"))
        program.wait_for_event("synced")
        downloads = len(scene.files.asked)
        visit.say(scene.offer(b"two", "one", "other"))
        program.wait_for_event("offer", lambda _: program.count("offer") == 2)
        visit.say(scene.offer(b"less", "one"))
        assert program.wait_for_event("deleted")["package"] == "other"
        program.wait_for_event("synced", lambda one: one["all_packages_hash"] == b"less".hex())
        assert (downloads, len(scene.files.asked)) == (2, 2)
        assert program.count("synced") == 2
