"""Secrets of every kind, each a word that stands nowhere else, and agents that send them where they may."""

import contextlib
import hashlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from opamp.v1 import anyvalue_pb2, opamp_pb2
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from distribution.demo.cluster import Cluster
from distribution.protocol import wire
from keys.identity import AgentId
from tests.fakes.fleet_abroad import PATH, Away
from tests.fakes.wire_client import description, said

WAIT_SECONDS = 60.0

MARKED: Final = (
    "query",
    "header",
    "cookie",
    "basic",
    "wrong enrollment",
    "wrong bearer",
    "wrong operator",
    "rubbish",
    "packed rubbish",
    "text frame",
    "key for a request",
    "attribute",
    "effective password",
    "effective key",
    "broken effective",
    "health",
    "config status",
    "connection status",
    "package status",
    "custom message",
    "component",
    "connection header",
    "refused header",
    "setting of another connection",
    "body that is no json",
    "unknown field",
    "config secret",
    "config key",
    "config not declared",
    "broken config",
    "config value",
    "while the database fails",
)
"""Where a secret was put."""


def mark(kind: str) -> str:
    assert kind in MARKED
    return f"hunter2{hashlib.sha256(kind.encode()).hexdigest()[:20]}"


def private_key(kind: str) -> str:
    """Return what looks like a private key in PEM."""
    return f"-----BEGIN PRIVATE KEY-----\n{mark(kind)}\n-----END PRIVATE KEY-----\n"


@dataclass
class Passed:
    """What a server was told, and all that it wrote."""

    log: str = ""
    issued: dict[str, str] = field(default_factory=dict)
    exchanges: dict[str, int] = field(default_factory=dict)
    """How many messages of each agent were answered."""
    folder: Path = Path()


class Agents:
    """The agents' side: every message is sent over HTTP, what concerns the handshake over WebSocket too."""

    def __init__(self, cluster: Cluster, passed: Passed) -> None:
        self._passed = passed
        away = Away(cluster, cluster.root / "abroad")
        self._tls: ssl.SSLContext = away.tls()
        self._address = f"127.0.0.1:{away.port}"
        self._client = httpx.Client(
            base_url=f"https://{self._address}", verify=self._tls, timeout=WAIT_SECONDS
        )
        self._sequence = 0

    def send(self, body: bytes, path: str = PATH, **headers: str) -> httpx.Response:
        """POST a body."""
        given = {
            "Content-Type": wire.CONTENT_TYPE,
            **{name.replace("_", "-"): headers[name] for name in headers},
        }
        return self._client.post(path, content=body, headers={"Content-Type": wire.CONTENT_TYPE, **given})

    def tell(self, who: AgentId, authorization: str, **parts: object) -> opamp_pb2.ServerToAgent:
        """Send a message that is answered."""
        self._sequence += 1
        message = said(who, self._sequence, **parts)
        response = self.send(wire.encode_http(message, compress=False), Authorization=authorization)
        response.raise_for_status()
        exchanges = self._passed.exchanges
        exchanges[str(who)] = exchanges.get(str(who), 0) + 1
        return wire.decode(response.content, opamp_pb2.ServerToAgent)

    def upgrade(self, path: str = PATH, payload: bytes | str | None = None, **headers: str) -> None:
        """Open a WebSocket, or be refused; say something over it, and hear the answer if there is one."""
        with (
            contextlib.suppress(InvalidStatus, ConnectionClosed),
            connect(
                f"wss://{self._address}{path}", ssl=self._tls, additional_headers=headers, compression=None
            ) as socket,
        ):
            if payload is not None:
                socket.send(payload)
                socket.recv(timeout=5)

    def close(self) -> None:
        self._client.close()


def reports(bearer: str) -> Iterator[dict[str, object]]:
    """Yield messages that carry secrets where an agent may put them."""
    attributes = description()
    attributes.non_identifying_attributes.append(
        anyvalue_pb2.KeyValue(key="db.password", value=anyvalue_pb2.AnyValue(string_value=mark("attribute")))
    )
    yield {"agent_description": attributes}
    for text in (
        f"exporters: {{x: {{password: {mark('effective password')}}}}}",
        f"tls:\n  key_pem: |\n    {private_key('effective key')}".replace("\n", "\n    "),
        f"a: [{mark('broken effective')}",
    ):
        effective = opamp_pb2.EffectiveConfig()
        effective.config_map.config_map[""].body = text.encode()
        effective.config_map.config_map[""].content_type = "text/yaml"
        yield {"effective_config": effective}
    failed = f"cannot log in: password={mark('health')} token={bearer}"
    yield {"health": opamp_pb2.ComponentHealth(healthy=False, last_error=failed, status=failed)}
    yield {
        "remote_config_status": opamp_pb2.RemoteConfigStatus(
            status=opamp_pb2.RemoteConfigStatuses_FAILED, error_message=f"password: {mark('config status')}"
        )
    }
    yield {
        "connection_settings_status": opamp_pb2.ConnectionSettingsStatus(
            status=opamp_pb2.ConnectionSettingsStatuses_FAILED,
            error_message=f"Authorization: Bearer {mark('connection status')}",
        )
    }
    packages = opamp_pb2.PackageStatuses(error_message=f"password={mark('package status')}")
    packages.packages["p"].error_message = f"password={mark('package status')}"
    yield {"package_statuses": packages}
    yield {
        "custom_message": opamp_pb2.CustomMessage(
            capability="c", type="t", data=mark("custom message").encode()
        )
    }
    components = opamp_pb2.AvailableComponents(hash=b"h")
    components.components["c"].metadata.add(key="password").value.string_value = mark("component")
    yield {"available_components": components}
