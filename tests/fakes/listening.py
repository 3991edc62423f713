"""The agents' listener at work on loopback: real TLS, a real authority, a thread with a loop of its own."""

import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import uvicorn
import uvloop
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from distribution.domain.agent import AgentView, Plan
from distribution.domain.terms import Terms
from distribution.fleet.registry import Registry
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.declared import Declared
from distribution.flows.configuration.effective import Examiner
from distribution.flows.connections import ConnectionBoard
from distribution.flows.equip import Equipper
from distribution.flows.exchange import Exchange
from distribution.flows.watch import Watches
from distribution.transport.agents import agents_server
from distribution.transport.gate import USUAL, Bounds
from distribution.transport.hub import Hub
from distribution.transport.listeners import Listener
from distribution.transport.load import USUAL as USUAL_ENROLLMENTS
from distribution.transport.load import Enrollments, Load
from distribution.transport.tls import agents_context
from keys.ca_setup import server_certificate
from keys.certificate import Issued
from keys.identity import AgentId
from keys.profile import AgentProfile
from keys.sealing import Seal, new_seal_key
from tests.fakes.authority import AtWork
from tests.fakes.certificates import DOMAIN, SmallCa, agent, new_key, small_ca
from tests.fakes.databases import opened
from tests.fakes.paused import Paused

MAX_BYTES = 1 << 20
PATH = "/v1/opamp"
SEAL = Seal([new_seal_key().strip()], "test")


@dataclass
class Plans:
    """What agents are to have; tests set it."""

    plan: Plan = field(default_factory=lambda: Plan(None, 30))
    error: Exception | None = None
    asked: list[AgentView] = field(default_factory=list)
    connections: ConnectionBoard | None = None
    """Who decides connection settings; None: `plan` says them."""
    configs: ConfigBoard | None = None
    """Who decides configurations; None: `plan` says them."""
    reloads: int = 0

    def __call__(self, view: AgentView) -> Plan:
        self.asked.append(view)
        if self.error is not None:
            raise self.error
        plan = self.plan
        if self.connections is not None:
            plan = replace(plan, connections=self.connections.connections_for(view))
        if self.configs is not None:
            plan = replace(plan, config=self.configs.config_for(view))
        return plan

    def reload(self) -> None:
        """Read again what is decided from the database."""
        self.reloads += 1
        if self.connections is not None:
            self.connections.reload()
        if self.configs is not None:
            self.configs.reload()

    def as_of(self) -> int | None:
        """Return of what state plans are, as the planner does."""
        return self.reloads if self.configs is None or self.configs.empty else None


@dataclass(frozen=True)
class Identity:
    """An enrolled agent on its host: its files, and what the authority issued."""

    agent: AgentId
    issued: Issued
    key: ec.EllipticCurvePrivateKey
    certificate_file: Path
    key_file: Path


class Unmeasured(Load):
    """Is as late as a test says, and not as the machine happens to be: who is busy turns newcomers away."""

    def _measure(self, due: float) -> None:
        """Do nothing."""


class Listening:
    """Everything behind one listener, and what a host needs to reach it."""

    def __init__(self, folder: Path, work: AtWork, heartbeat_seconds: int = 30) -> None:
        self.folder = folder
        self.work = work
        self.plans = Plans()
        self.watches = Watches(work.clock)
        self.registry = Registry(work.database, work.admission.labels_of)
        self.fresh = count(9001)
        """Numbers of the agents whose uids strangers are told to take."""
        self.hub = Hub(before_wake=self._before_wake)
        self.terms = Terms("wss://127.0.0.1:4320/v1/opamp", "https://127.0.0.1:4321", work.ca.root_pem)
        self.examiner = Paused(Examiner(work.database, Declared(SEAL)))
        self.exchange = Exchange(
            database=work.database,
            registry=self.registry,
            admission=work.admission,
            authority=work.authority,
            connections=self.hub,
            plan_for=self.plans,
            as_of=self.plans.as_of,
            heartbeat_seconds=heartbeat_seconds,
            clock=work.clock,
            examiner=self.examiner,
            equipper=Equipper(work.database, self.terms),
            grants=work.grants,
            new_uid=lambda: agent(next(self.fresh)).uuid,
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_text(work.ca.root_pem)
        self.port = 0
        self._numbers = 0
        self._kept = 0
        self.load = self.load_of(USUAL_ENROLLMENTS)

    def _before_wake(self, agents: Iterable[AgentId] | None) -> None:
        self.plans.reload()
        self.registry.relabel(agents)

    def load_of(self, enrollments: Enrollments) -> Load:
        """Return what lets so many newcomers in; its pauses are of middle length."""
        return Unmeasured(lambda: 0.5, enrollments, self.work.known_tokens.holds)

    @property
    def address(self) -> str:
        """`host:port` of the listener."""
        return f"127.0.0.1:{self.port}"

    def new_agent(self) -> AgentId:
        """Return an agent that no test has used before."""
        self._numbers += 1
        return agent(self._numbers)

    def enrolled(self, who: AgentId | None = None) -> Identity:
        """Enroll an agent behind the listener's back, and put its files on disk."""
        chosen, key = who or self.new_agent(), new_key()
        token = self.work.token(f"t{self._numbers}")
        return self.keep(chosen, key, self.work.enroll(key, chosen, token))

    def keep(self, who: AgentId, key: ec.EllipticCurvePrivateKey, issued: Issued) -> Identity:
        """Put an agent's key and certificate on disk, as its host would."""
        self._kept += 1
        certificate_file, key_file = self.folder / f"{self._kept}.crt", self.folder / f"{self._kept}.key"
        certificate_file.write_bytes(issued.chain_pem)
        key_file.write_bytes(_pem(key))
        return Identity(who, issued, key, certificate_file, key_file)

    def client_tls(self, identity: Identity | None = None) -> ssl.SSLContext:
        """Return the TLS of a host that trusts our CA, with the agent's certificate if there is one."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        if identity is not None:
            context.load_cert_chain(identity.certificate_file, identity.key_file)
        return context

    def check_now(self) -> None:
        """Have every link checked as it is from time to time; comes back when that is done."""
        loop = self.hub._loop
        if loop is None:
            raise RuntimeError("the listener does not run")
        done = threading.Event()
        loop.call_soon_threadsafe(lambda: (self.hub._check(), done.set()))
        if not done.wait(10):
            raise TimeoutError("links were not checked in 10 s")

    def kinds(self) -> list[str]:
        """Return what was journalled, in order."""
        return self.work.kinds()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _server_files(folder: Path, ca: SmallCa, work: AtWork) -> tuple[Path, Path]:
    key, now = new_key(), work.clock()
    leaf = server_certificate(
        ["127.0.0.1", "localhost"],
        key.public_key(),
        ca.root,
        ca.root_key,
        serial=work.serials(),
        now=now,
        validity=timedelta(days=1),
    )
    certificate_file, key_file = folder / "server.crt", folder / "server.key"
    certificate_file.write_bytes(leaf.public_bytes(Encoding.PEM))
    key_file.write_bytes(_pem(key))
    return certificate_file, key_file


@contextmanager
def listening(
    folder: Path,
    *,
    max_bytes: int = MAX_BYTES,
    enrollments: Enrollments = USUAL_ENROLLMENTS,
    path: str = PATH,
) -> Iterator[Listening]:
    """Serve agents on a free port of loopback until the block ends."""
    with (
        prepared(folder, max_bytes=max_bytes, enrollments=enrollments, path=path) as (here, config),
        running(config) as port,
    ):
        here.port = port
        yield here


@contextmanager
def prepared(
    folder: Path,
    *,
    max_bytes: int = MAX_BYTES,
    enrollments: Enrollments = USUAL_ENROLLMENTS,
    path: str = PATH,
) -> Iterator[tuple[Listening, uvicorn.Config]]:
    """Yield everything behind a listener, and its configuration; nothing is served yet."""
    now = datetime.now(UTC).replace(microsecond=0)
    with opened(folder) as database:
        work = AtWork(database, small_ca(now=now), AgentProfile(DOMAIN))
        work.clock.now = now
        here = Listening(folder, work)
        here.load = here.load_of(enrollments)
        certificate_file, key_file = _server_files(folder, work.ca, work)
        config = agents_server(
            exchange=here.exchange,
            hub=here.hub,
            terms=here.terms,
            trust_domain=DOMAIN,
            tls=agents_context(certificate=certificate_file, key=key_file, issuing_pem=work.ca.issuing_pem),
            host="127.0.0.1",
            port=0,
            path=path,
            max_bytes=max_bytes,
            load=here.load,
            watches=here.watches,
        )
        yield here, config


@contextmanager
def running(config: uvicorn.Config, bounds: Bounds = USUAL) -> Iterator[int]:
    """Run one listener in a thread; yields its port."""
    listener = Listener("agents", config, bounds=bounds)
    bound = listener.bind()
    port: int = bound.getsockname()[1]
    started = threading.Event()

    async def main() -> None:
        startup = listener.startup

        async def told(sockets: list[socket.socket] | None = None) -> None:
            await startup(sockets)
            started.set()

        listener.startup = told  # type: ignore[method-assign] # to learn when it accepts, without polling
        await listener.serve(sockets=[bound])

    thread = threading.Thread(target=lambda: uvloop.run(main()), name="listener")
    thread.start()
    try:
        if not started.wait(20):
            raise TimeoutError("the listener did not start in 20 s")
        yield port
    finally:
        listener.should_exit = True
        thread.join(20)
        bound.close()
