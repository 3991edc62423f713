"""Agents on clients that present no certificate: each has a bearer token of its own."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from distribution.demo.cluster import Cluster
from distribution.demo.processes import DemoError, wait_for
from tests.interop.between import Between, between
from tests.interop.kube_cluster import Bridge, KubeCluster
from tests.interop.parts import require
from tests.interop.programs import Program
from tests.interop.world_parts import JAVA_CLIENT, NODE_CLIENT

PATIENCE_SECONDS = 90.0
SCHEMES = {"ws": "wss", "http": "https"}

Found = TypeVar("Found")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stranger:
    """One agent as its program and as the server see it."""

    cluster: Cluster
    uid: str
    folder: Path
    token: str
    labels: Mapping[str, str]
    """What no other agent carries."""

    way: Between | None = None
    """What stands between it and the server."""

    def url(self, scheme: str) -> str:
        """Return the OpAMP endpoint that it is given, for a scheme."""
        at = urlsplit(_trust(self.cluster)["agents_url"])
        return f"{scheme}://{at.netloc if self.way is None else self.way.netloc}{at.path}"

    @property
    def ca(self) -> Path:
        """A file with the CA of the server, and of what stands before it."""
        path = self.folder / ("server-ca.pem" if self.way is None else "both.pem")
        if not path.exists():
            before = "" if self.way is None else self.way.ca.read_text(encoding="utf-8")
            path.write_text(_trust(self.cluster)["ca_pem"] + before, encoding="utf-8")
        return path

    @contextmanager
    def on_the_way(self) -> Iterator[tuple["Stranger", Between]]:
        """Put something between this agent and the server; yield both."""
        with between(self.folder / "between", urlsplit(self.url("https")).netloc, self.ca) as way:
            yield replace(self, way=way), way

    def row(self) -> Row:
        """Return what the server shows of it."""
        found: Row = self.cluster.get(f"/api/v1/agents/{self.uid}")
        return found

    def until(self, what: str, look: Callable[[Row], Found | None], program: Program) -> Found:
        """Wait until `look` finds something in what the server shows of it, and return that.

        Raises:
            DemoError: it did not come in time; the message has the row, and the last words of both sides.
        """

        def seen() -> str:
            known = f"{self.row()}\n{self.configuration()}"
            return f"{known}\n{program.text()[-3000:]}\n{self.cluster.server.tail(20)}"

        return wait_for(what, lambda: look(self.row()), PATIENCE_SECONDS, seen)

    def until_connected(self, program: Program) -> Row:
        """Wait until it is connected and has said what it is."""
        return self.until("its description", lambda row: row if described(row) else None, program)

    def until_gone(self, program: Program) -> Row:
        """Wait until it is not connected."""
        return self.until("its end", lambda row: None if row["connected"] else row, program)

    def configure(self, objects: Mapping[str, tuple[str, str]]) -> None:
        """Make this agent's configuration be these texts and content types, by their keys."""
        name = f"of-{self.uid}"
        written = [{"key": key, "body": text, "content_type": kind} for key, (text, kind) in objects.items()]
        made = self.ask("POST", f"configurations/{name}/versions", {"objects": written})
        wanted = {"configuration": name, "version": made["version"], "labels": self.labels}
        self.ask("PUT", f"config-assignments/{name}", wanted)

    def until_configured(self, standing: str, words: str, program: Program) -> None:
        """Wait until it stands so with what was intended last, and the server says these words of it."""

        def look(_: Row) -> bool | None:
            found = self.configuration()
            return True if found["standing"] == standing and words in found["why"] else None

        self.until(f"a configuration that is {standing}", look, program)

    def configuration(self) -> Row:
        """Return what the server says of its configuration."""
        found: Row = self.cluster.get(f"/api/v1/agents/{self.uid}/configuration")
        return found

    def effective(self) -> Mapping[str, str]:
        """Return the texts of its effective configuration as the server keeps them, by key."""
        shown = self.configuration()["effective"]
        return {} if shown is None else {one["key"]: one["body"] for one in shown["objects"]}

    def revoke(self) -> Row:
        """Revoke all that it holds, and return the server's receipt."""
        return self.ask("POST", f"agents/{self.uid}/revoke", {"reason": "key_compromise"})

    def another_token(self) -> str:
        """Have an operator make the token that is to follow the one in use."""
        made = self.ask("POST", "bearer-tokens", {"uid": self.uid, "lifetime_seconds": 3600})
        return str(made["bearer"])

    def end_token(self, token: str) -> None:
        """Have an operator end one of its tokens."""
        self.ask("DELETE", f"bearer-tokens/{token.partition('.')[0]}", {})

    def ask(self, method: str, path: str, body: Mapping[str, Any]) -> Row:
        """Ask the operators' API for something."""
        return _asked(self.cluster, method, path, body)


def stranger(cluster: Cluster, folder: Path) -> Stranger:
    """Have an operator make a new agent's bearer token; the agent has a label that nobody else has."""
    mark = uuid4().hex
    wanted = {"new": True, "labels": {"only": mark}, "lifetime_seconds": 3600}
    made = _asked(cluster, "POST", "bearer-tokens", wanted)
    return Stranger(cluster, made["agent"], folder, made["bearer"], {"only": mark})


def certified(cluster: Cluster, folder: Path) -> tuple[Stranger, Mapping[str, str]]:
    """Have an operator issue a certificate for a key that this test made.

    Returns:
        The agent, and what tells a program of ours where certificate and key are.
    """
    uid, key, mark = str(uuid4()), ec.generate_private_key(ec.SECP256R1()), uuid4().hex
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uid)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    wanted = {"csr": request.public_bytes(Encoding.PEM).decode("ascii"), "labels": {"only": mark}}
    made = _asked(cluster, "POST", "certificates", wanted)
    files = {"OPAMP_CERT": folder / "cert.pem", "OPAMP_KEY": folder / "key.pem"}
    files["OPAMP_CERT"].write_text(made["chain_pem"], encoding="ascii")
    files["OPAMP_KEY"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    environment = {name: str(path) for name, path in files.items()}
    return Stranger(cluster, made["agent"], folder, "", {"only": mark}), environment


def _asked(cluster: Cluster, method: str, path: str, body: Mapping[str, Any]) -> Row:
    answer = cluster.api().request(method, f"/api/v1/{path}", json=body or None)
    if answer.is_error:
        raise DemoError(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
    found: Row = answer.json()
    return found


def described(row: Row) -> bool:
    """Whether the server sees the agent's connection and knows what it is."""
    return bool(row["connected"] and row["identifying"])


def node_agent(agent: Stranger, more: Mapping[str, str] = MappingProxyType({})) -> Program:
    """Start its program on the Node client, which polls twice a second; the caller ends it."""
    arguments = [str(require(NODE_CLIENT)), agent.url("https"), agent.uid, "0.5"]
    own = {"NODE_EXTRA_CA_CERTS": str(agent.ca), "OPAMP_TOKEN": agent.token}
    return Program(arguments, agent.folder / "node.log", {**os.environ, **own, **more})


def java_agent(agent: Stranger, transport: str) -> Program:
    """Start its program on the Java client, which speaks twice a second; the caller ends it."""
    arguments = [str(require(JAVA_CLIENT)), transport, agent.url(SCHEMES[transport]), agent.uid, "0.5"]
    own = {"OPAMP_CA": str(agent.ca), "OPAMP_TOKEN": agent.token}
    return Program(arguments, agent.folder / "java.log", {**os.environ, **own})


def bridge_agent(agent: Stranger, kube: KubeCluster, log: str = "bridge.log", *more: str) -> Program:
    """Start its bridge, with further capabilities; the caller ends it."""
    bridge = Bridge(agent.folder, agent.url("wss"), agent.token, agent.ca)
    return bridge.start(kube.kubeconfig, log, *more)


def _trust(cluster: Cluster) -> Mapping[str, Any]:
    return tomllib.loads(cluster.trust_file.read_text(encoding="utf-8"))
