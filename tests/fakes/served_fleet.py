"""A real agents' listener and a downloads listener on loopback, for agents that are processes."""

import functools
import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from distribution.demo.processes import free_ports
from distribution.domain.agent import AgentView, Plan
from distribution.domain.offer import Offer
from distribution.domain.terms import Terms
from distribution.transport.agents import agents_server
from distribution.transport.tls import agents_context
from keys.identity import AgentId
from keys.profile import AgentProfile
from keys.trust import Trust, encode_token, normal_ca
from tests.fakes.authority import AtWork, HandClock
from tests.fakes.besieged_agent import repository
from tests.fakes.certificates import DOMAIN, small_ca
from tests.fakes.databases import opened
from tests.fakes.listening import PATH, Listening, _server_files, running
from tests.fakes.tuf_repository import TufRepository

HEARTBEAT_SECONDS = 1


class ServedFleet:
    """What an operator would see and do."""

    def __init__(self, here: Listening, tuf: TufRepository, trust: Trust) -> None:
        self.here = here
        self.tuf = tuf
        self.trust = trust

    def token(self, token_id: str = "t1", uses: int = 1) -> str:
        """Create a token; return the string an agent is given."""
        presented = self.here.work.token(token_id, uses=uses)
        return encode_token(self.trust, token_id, presented.split(".", 1)[1])

    def offer(self, offer: Offer) -> None:
        """Let every agent have this set."""
        self.here.plans.plan = Plan(offer, HEARTBEAT_SECONDS)
        self.here.hub.wake()

    def view(self, agent: AgentId) -> AgentView:
        """Return what the server knows of an agent."""
        return self.here.registry.view(agent)


class RunningClock(HandClock):
    """The time of day, which agents that are processes go by too."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@contextmanager
def served_fleet(
    folder: Path, validity: timedelta = timedelta(days=7), backdate: timedelta = timedelta(minutes=1)
) -> Iterator[ServedFleet]:
    """Serve until the block ends; agents' certificates live for `validity` and began `backdate` ago."""
    now = datetime.now(UTC).replace(microsecond=0)
    tuf = repository()
    with opened(folder) as database:
        work = AtWork(database, small_ca(now=now), AgentProfile(DOMAIN, validity, backdate))
        work.clock = RunningClock()
        work.restart()
        here = Listening(folder, work, HEARTBEAT_SECONDS)
        certificate_file, key_file = _server_files(folder, work.ca, work)
        [port] = free_ports(1)
        with _downloads(tuf, certificate_file, key_file) as downloads_url:
            terms = Terms(f"wss://127.0.0.1:{port}{PATH}", downloads_url, work.ca.root_pem)
            tls = agents_context(certificate=certificate_file, key=key_file, issuing_pem=work.ca.issuing_pem)
            config = agents_server(
                exchange=here.exchange,
                hub=here.hub,
                terms=terms,
                trust_domain=DOMAIN,
                tls=tls,
                host="127.0.0.1",
                port=port,
                path=PATH,
                load=here.load,
            )
            with running(config):
                here.port = port
                yield ServedFleet(here, tuf, _trust(work, tuf, terms))


def _trust(work: AtWork, tuf: TufRepository, terms: Terms) -> Trust:
    return Trust(
        trust_domain=DOMAIN,
        ca_pem=normal_ca(work.ca.root_pem.encode()),
        tuf_root_version=1,
        tuf_root_sha256=hashlib.sha256(tuf.root).hexdigest(),
        agents_url=terms.agents_url,
        downloads_url=terms.downloads_url,
        operators_url="https://127.0.0.1:1",
    )


@contextmanager
def _downloads(tuf: TufRepository, certificate_file: Path, key_file: Path) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = tuf.files.get(self.path.lstrip("/"))
            self.send_response(200 if data is not None else 404)
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    serve = functools.partial(httpd.serve_forever, poll_interval=0.02)
    thread = threading.Thread(target=serve, name="downloads")
    thread.start()
    try:
        yield f"https://127.0.0.1:{httpd.server_address[1]}"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()
