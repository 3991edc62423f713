"""The operators' API in process, over real parts: database, repository, authority, registry; no sockets."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from distribution.catalog.catalogue import load
from distribution.domain.agent import Plan
from distribution.domain.scope import Scope
from distribution.fleet.registry import Registry
from distribution.flows import operators
from distribution.flows.catalogues import Catalogues
from distribution.flows.commands import Commands
from distribution.flows.commits import Commits
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.versions import Parts
from distribution.flows.connections import ConnectionBoard
from distribution.flows.exchange import Exchange
from distribution.flows.grant import Granting
from distribution.flows.pulse import Pulse
from distribution.flows.watch import Watches
from distribution.transport.operators.app import operators_app
from distribution.transport.operators.services import Check, Limits, OperatorServices, Randomness
from keys.identity import AgentId
from keys.sealing import Seal, new_seal_key
from keys.trust import Trust
from storage.journal import Entry
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import DOMAIN, NOW, agent, new_key
from tests.fakes.configured import SpokenValidator
from tests.fakes.databases import journalled
from tests.fakes.live_connections import LiveConnections
from tests.fakes.publishing import World

LIMITS = Limits(upload_max_bytes=1 << 20, uploads_at_once=2, role_max_bytes=1 << 20, body_max_bytes=1 << 16)


@dataclass
class Api:
    """One API with what stands behind it. `call` speaks with the token of an operator of these scopes."""

    work: AtWork
    world: World
    connections: LiveConnections
    services: OperatorServices
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.app = operators_app(self.services)

    def token(self, scopes: str) -> str:
        """Return the token of the operator that holds these scopes, separated by spaces."""
        if scopes not in self.tokens:
            made = operators.create(
                self.services.database,
                name=f"op{len(self.tokens)}",
                scopes=[Scope.parse(text) for text in scopes.split()],
                expires_at=self.work.clock() + timedelta(days=30),
                secret=f"secret-{len(self.tokens)}",
                salt=bytes(16),
                actor="operator:root",
                now=self.work.clock(),
            )
            self.tokens[scopes] = made.token
        return self.tokens[scopes]

    def call(
        self,
        method: str,
        path: str,
        scopes: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        **rest: Any,
    ) -> httpx.Response:
        """Send one request; `scopes` None sends no token."""
        sent = dict(headers or {})
        if scopes is not None:
            sent["Authorization"] = f"Bearer {self.token(scopes)}"
        return asyncio.run(self._send(method, path, sent, rest))

    async def _send(
        self, method: str, path: str, headers: dict[str, str], rest: dict[str, Any]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://qm") as client:
            return await client.request(method, path, headers=headers, **rest)

    def error(self, answer: httpx.Response) -> tuple[int, str, str]:
        """Return status, code and message of a refusal."""
        found = answer.json()["error"]
        return answer.status_code, found["code"], found["message"]

    def upload(self, path: str, body: bytes, scopes: str = "publish:acme") -> httpx.Response:
        """Put a file under its right digest."""
        return self.call(
            "PUT", f"/api/v1/publishers/acme/files/{path}", scopes, content=body, headers=digest(body)
        )

    def enroll(self, number: int = 1, **labels: str) -> AgentId:
        """Make an agent that is enrolled, and connected once."""
        who = agent(number)
        token = self.work.token(f"t{number}", labels=labels)
        issued = self.work.enroll(new_key(), who, token)
        self.services.registry.introduce(who)
        self.connections.live[issued.serial] = 1
        return who

    def journal(self) -> list[Entry]:
        """Return the journal."""
        return journalled(self.services.database)

    def kinds(self) -> list[str]:
        """Return the kinds of the journal's entries but those of the operators' own tokens."""
        return [entry.kind for entry in self.journal() if not entry.kind.startswith("operator.")]

    def with_limits(self, **changed: int) -> "Api":
        """Return the same parts behind other limits."""
        services = replace(self.services, limits=replace(LIMITS, **changed), metrics=CollectorRegistry())
        return Api(self.work, self.world, self.connections, services, self.tokens)


def digest(body: bytes) -> dict[str, str]:
    """Return the header that declares a body's SHA-256."""
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    """Yield a body in these parts."""
    for part in parts:
        yield part


@contextmanager
def operators_api(folder: Path, *checks: Check) -> Iterator[Api]:
    """Open an API on new parts in `folder`, with publisher `acme` and its package `otelcol`."""
    with at_work(folder) as work:
        world = World(now=NOW)
        world.add_publisher("acme", ("otelcol",))
        catalogues = Catalogues(partial(load, world.store, world.root))
        catalogues.reload(NOW)
        connections, numbers = LiveConnections(), count(1)
        seal = Seal([new_seal_key().strip()], "test")
        registry = Registry(work.database, work.admission.labels_of)
        services = OperatorServices(
            database=work.database,
            store=world.store,
            commits=Commits(work.database, world.store, world.repository),
            catalogues=catalogues,
            authority=work.authority,
            granting=Granting(work.grants, work.authority, connections, registry.introduce),
            admission=work.admission,
            known_tokens=work.known_tokens,
            connections=connections,
            registry=registry,
            exchange=Exchange(
                database=work.database,
                registry=registry,
                admission=work.admission,
                authority=work.authority,
                connections=connections,
                plan_for=lambda _view: Plan(None, 30, "no channel applies to the agent's labels"),
                heartbeat_seconds=30,
                clock=work.clock,
            ),
            watches=Watches(work.clock),
            commands=Commands(),
            trust=Trust(
                trust_domain=DOMAIN,
                ca_pem=work.ca.root_pem,
                tuf_root_version=1,
                tuf_root_sha256=hashlib.sha256(world.root).hexdigest(),
                agents_url="wss://qm.example:4320/v1/opamp",
                downloads_url="https://qm.example:4321",
                operators_url="https://qm.example:4322",
            ),
            limits=LIMITS,
            randomness=Randomness(
                token_id=lambda: f"token-{next(numbers)}",
                secret=lambda: "s3cret-" + "y" * 36,
                salt=lambda: bytes(range(16)),
                uid=lambda: agent(900 + next(numbers)),
            ),
            clock=work.clock,
            stopwatch=lambda: 0.0,
            checks=checks,
            seal=seal,
            connection_board=ConnectionBoard(
                work.database, seal, work.admission.speaker_for, work.admission.is_certified
            ),
            config_board=ConfigBoard(work.database, seal),
            configurations=Parts(work.database, connections, SpokenValidator(), seal),
            pulse=Pulse(work.database, lambda: 0.0),
            metrics=CollectorRegistry(),
        )
        yield Api(work, world, connections, services)
