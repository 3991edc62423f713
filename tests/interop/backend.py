"""A real place for own telemetry: a collector that takes OTLP over TLS and prints what it was sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.interop import parts
from tests.interop.certificates import make_server_files
from tests.interop.programs import Program, free_port

CONFIGURATION = """\
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
        tls: {{cert_file: {certificate}, key_file: {key}}}
exporters:
  debug: {{verbosity: detailed}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics: {{receivers: [otlp], exporters: [debug]}}
    logs: {{receivers: [otlp], exporters: [debug]}}
    traces: {{receivers: [otlp], exporters: [debug]}}
"""


@dataclass(frozen=True, slots=True)
class Backend:
    """A running backend: its address, the CA it is verified with, and what it prints."""

    url: str
    ca: Path
    program: Program


@contextmanager
def a_backend(folder: Path) -> Iterator[Backend]:
    """Run a backend until the end of the context."""
    files, port = make_server_files(folder), free_port()
    text = CONFIGURATION.format(port=port, certificate=files.certificate, key=files.key)
    (folder / "backend.yaml").write_text(text, encoding="utf-8")
    arguments = [str(parts.require(parts.COLLECTOR_1_0)), "--config", str(folder / "backend.yaml")]
    with Program(arguments, folder / "backend.log") as program:
        program.wait_until_listening(port)
        yield Backend(f"https://127.0.0.1:{port}", files.ca, program)
