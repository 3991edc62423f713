"""Where things of the demonstration lie: the bytes in a store, an agent's configuration on its host."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

_HOST = """\
[agent]
transport = "{transport}"
heartbeat_seconds = 1
reconnect_max_seconds = 2

[program]
package = "{package}"
command = ["{python}", "{{program}}", "--health-port", "{port}"]
stop_seconds = 5

[health]
check = "http"
url = "http://127.0.0.1:{port}/"
interval_seconds = 0.2

[trial]
seconds = 1
start_seconds = 10

[packages.{package}]
type = "top_level"
target = "{target}"
"""
"""What a host's owner writes once: no server can widen it."""


@dataclass(frozen=True, slots=True)
class ObjectsAt:
    """Where the server keeps bytes: its own folder by default, or an S3-compatible store."""

    url: str = "file:objects"
    endpoint: str | None = None
    region: str | None = None
    ca_bundle: Path | None = None


def host_configuration(*, package: str, target: str, transport: str, health_port: int) -> str:
    """Return an agent's `agent.toml`: what its host accepts, whatever a server offers."""
    return _HOST.format(
        transport=transport, package=package, target=target, python=sys.executable, port=health_port
    )


def s3_at(url: str) -> ObjectsAt:
    """Read `--s3 s3://bucket/prefix`, with the endpoint and region from the usual AWS variables."""
    return ObjectsAt(
        url=url,
        endpoint=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
        region=os.environ.get("AWS_REGION", "us-east-1"),
        ca_bundle=Path(os.environ["AWS_CA_BUNDLE"]) if "AWS_CA_BUNDLE" in os.environ else None,
    )
