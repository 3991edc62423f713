"""Agents of ours on the published opamp-go client library, in two versions of it and over both transports."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from distribution.demo.cluster import Cluster
from distribution.demo.processes import DemoError, wait_for
from keys.trust import TokenString, decode_token
from tests.interop import parts
from tests.interop.between import Between
from tests.interop.matrix import Client
from tests.interop.parts import Part
from tests.interop.programs import Program

SCHEMES = {"ws": "wss", "http": "https"}
PATIENCE_SECONDS = 90.0
STEADY_LOOKS = 20
"""How often in a row the server shows the same before that counts as all that is still to come."""

Found = TypeVar("Found")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Library:
    """One version of the library and the transport it is to speak."""

    client: Client
    part: Part
    transport: str


LIBRARIES = (
    Library(Client.OPAMP_GO_24_WS, parts.OPAMP_GO_CLIENT, "ws"),
    Library(Client.OPAMP_GO_24_HTTP, parts.OPAMP_GO_CLIENT, "http"),
    Library(Client.OPAMP_GO_23_WS, parts.OPAMP_GO_CLIENT_BEFORE, "ws"),
    Library(Client.OPAMP_GO_23_HTTP, parts.OPAMP_GO_CLIENT_BEFORE, "http"),
)


@dataclass(frozen=True, slots=True)
class GoAgent:
    """One agent's folder and what every start of its program is given."""

    uid: str
    folder: Path
    arguments: tuple[str, ...]
    library: Library

    def start(self, log: str, *more: str) -> Program:
        """Start the program; the caller ends it."""
        return Program([*self.arguments, *more], self.folder / log, os.environ)

    @contextmanager
    def running(self, log: str, *more: str) -> Iterator[Program]:
        """Yield the program once it has been answered; end it at the end."""
        with self.start(log, *more) as program:
            program.wait_for_event("connected")
            yield program

    def as_another(self) -> "GoAgent":
        """Return an agent with this one's credential that says another's instance uid."""
        uid = str(uuid4())
        arguments = tuple(uid if word == self.uid else word for word in self.arguments)
        return GoAgent(uid, self.folder, arguments, self.library)

    def through(self, way: Between) -> "GoAgent":
        """Return this agent on its way through something that stands before the server."""
        both = self.folder / "both.pem"
        both.write_bytes((self.folder / "ca.pem").read_bytes() + way.ca.read_bytes())
        changed = {self.url: self.url.replace(urlsplit(self.url).netloc, way.netloc)}
        changed[str(self.folder / "ca.pem")] = str(both)
        arguments = tuple(changed.get(word, word) for word in self.arguments)
        return GoAgent(self.uid, self.folder, arguments, self.library)

    @property
    def url(self) -> str:
        """The endpoint that it is given."""
        return self.arguments[self.arguments.index("-url") + 1]


def an_agent(library: Library, folder: Path, token: TokenString) -> GoAgent:
    """Prepare an agent; it has no certificate yet."""
    (folder / "ca.pem").write_text(token.ca_pem, encoding="utf-8")
    uid = str(uuid4())
    url = f"{SCHEMES[library.transport]}://{token.agents_url.partition('://')[2]}"
    program = str(parts.require(library.part))
    arguments = [program, "-transport", library.transport, "-url", url, "-uid", uid]
    for option, name in (
        ("-ca", "ca.pem"),
        ("-cert", "cert.pem"),
        ("-key", "key.pem"),
        ("-state-dir", "state"),
    ):
        arguments += [option, str(folder / name)]
    return GoAgent(uid, folder, tuple(arguments), library)


def enroll(agent: GoAgent, token: TokenString) -> None:
    """Have the agent ask for a certificate with the token, and wait until it has one."""
    with agent.start("enroll.log", "-enroll", f"{token.token_id}.{token.secret}") as program:
        offered = program.wait_for_event("connection_settings")
        assert (offered["certificate"], offered["private_key"]) == (True, False)
        program.wait_for_event("enrolled")


def enrolled(cluster: Cluster, library: Library, folder: Path) -> GoAgent:
    """Return an agent that has enrolled with a token of its own."""
    token = decode_token(cluster.create_token(uses=1))
    agent = an_agent(library, folder, token)
    enroll(agent, token)
    return agent


def row_of(cluster: Cluster, uid: str) -> Row:
    """Return what the server shows of an agent."""
    row: Row = cluster.get(f"/api/v1/agents/{uid}")
    return row


def until(
    cluster: Cluster, uid: str, what: str, look: Callable[[Row], Found | None], program: Program
) -> Found:
    """Wait until `look` finds something in what the server shows of an agent, and return it.

    Raises:
        DemoError: it did not come in time; the message has the row, and the last words of both sides.
    """

    def seen() -> str:
        return f"{row_of(cluster, uid)}\n{program.text()[-3000:]}\n{cluster.server.tail(20)}"

    def once() -> Found | None:
        if (gone := program.gone()) is not None:
            raise DemoError(f"{what}: {gone}")
        return look(row_of(cluster, uid))

    return wait_for(what, once, PATIENCE_SECONDS, seen)


def settled(cluster: Cluster, uid: str, names: tuple[str, ...], program: Program) -> Row:
    """Wait until what the server shows of an agent under these names stays the same, and return the row.

    What an agent reports is in part examined a moment after it came.
    """
    shown: list[list[Any]] = []

    def steady(row: Row) -> Row | None:
        now = [row[name] for name in names]
        if shown and shown[-1] != now:
            shown.clear()
        shown.append(now)
        return row if len(shown) >= STEADY_LOOKS else None

    return until(cluster, uid, "that nothing changes any more", steady, program)
