"""A host with a real collector that reaches our server by itself, or under the upstream supervisor.

Its key is made on the host; the certificate is an operator's answer to a request in a file, which is the way
in for clients that cannot send a request themselves.
"""

import os
import signal
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from distribution.demo.cluster import Cluster
from tests.interop import parts
from tests.interop.go_agent import Row, until
from tests.interop.programs import Program, free_port, wait_for

BASE = """\
receivers: {{nop: }}
exporters:
  nop:
  otlphttp:
    endpoint: https://nowhere.example:4318
    headers: {{authorization: "Bearer {secret}"}}
extensions:
  health_check: {{endpoint: "127.0.0.1:{health}"}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [nop], exporters: [nop, otlphttp]}}
"""

OPAMP = """\
extensions:
  opamp:
    instance_uid: {uid}
    capabilities: {{accepts_restart_command: true}}
    server:
      ws:
        endpoint: {url}
        tls: {{ca_file: {folder}/ca.pem, cert_file: {folder}/cert.pem, key_file: {folder}/key.pem}}
service:
  extensions: [health_check, opamp]
"""

WITH_A_TOKEN = """\
extensions:
  opamp:
    server:
      ws:
        endpoint: {url}
        headers: {{Authorization: "Bearer {token}"}}
        tls: {{ca_file: {folder}/ca.pem}}
service:
  extensions: [health_check, opamp]
"""

SUPERVISOR = """\
server:
  endpoint: {url}{header}
  tls: {{ca_file: {folder}/ca.pem, cert_file: {folder}/cert.pem, key_file: {folder}/key.pem}}
capabilities:
  accepts_remote_config: true{more}
  accepts_restart_command: true
  accepts_opamp_connection_settings: true
  reports_effective_config: true
  reports_own_metrics: true
  reports_own_logs: true
  reports_own_traces: true
  reports_health: true
  reports_remote_config: true
  reports_available_components: true
  reports_heartbeat: true
storage: {{directory: {folder}/storage}}
agent:
  executable: {collector}
  instance_id: {uid}
  config_apply_timeout: {seconds}s{agent}
  bootstrap_timeout: 20s
  passthrough_logs: true
  env: {{SSL_CERT_FILE: {folder}/backend-ca.pem, OTEL_METRIC_EXPORT_INTERVAL: "1000"}}
"""

CONNECTED = "Connected to the server."
READY = "Everything is ready."
SECRET = "a-secret-of-the-exporter"


@dataclass(frozen=True, slots=True)
class CollectorHost:
    """One host: its agent's uid, its folder, and the address of our server."""

    uid: str
    folder: Path
    url: str

    def ask(self) -> Path:
        """Make a new key and a request for it; return the request's file."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.uid)])
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "key.pem").write_bytes(pem)
        (self.folder / "request.pem").write_bytes(request.public_bytes(serialization.Encoding.PEM))
        return self.folder / "request.pem"

    def certify(self, cluster: Cluster, *words: str) -> None:
        """Put a new key and an operator's certificate for it into place."""
        certificate = self.folder / "cert.pem"
        certificate.unlink(missing_ok=True)
        cluster.quartermaster(
            "agents", "certify", "--csr", str(self.ask()), "--out", str(certificate), *words
        )

    @contextmanager
    def collector(self, log: str, token: str = "") -> Iterator[Program]:
        """Run a collector whose opampextension speaks to our server itself.

        With a bearer token it shows that and no certificate, and makes up an instance uid.
        """
        files = [self.folder / "base.yaml", self.folder / "opamp.yaml"]
        files[0].write_text(BASE.format(secret=SECRET, health=free_port()), encoding="utf-8")
        opamp = WITH_A_TOKEN if token else OPAMP
        told = opamp.format(uid=self.uid, url=self.url, folder=self.folder, token=token)
        files[1].write_text(told, encoding="utf-8")
        gate = "extension.opampextension.RemoteRestarts"
        arguments = [str(parts.require(parts.COLLECTOR_1_0)), "--feature-gates", gate]
        for file in files:
            arguments += ["--config", str(file)]
        with Program(arguments, self.folder / log) as program:
            yield program

    @contextmanager
    def supervisor(
        self, log: str, more: str = "", seconds: int = 2, agent: str = "", header: str = ""
    ) -> Iterator[Program]:
        """Run the upstream supervisor with a collector; both are ended.

        `more` is another capability, `agent` another line about its collector; `seconds` it waits until it
        says that a configuration is applied; `header` is the value of one that it shows.
        """
        file = self.folder / "supervisor.yaml"
        collector = parts.require(parts.COLLECTOR_1_0)
        text = SUPERVISOR.format(
            uid=self.uid,
            url=self.url,
            folder=self.folder,
            collector=collector,
            seconds=seconds,
            more=more and f"\n  {more}: true",
            agent=agent and f"\n  {agent}",
            header=header and f"\n  headers: {{X-Tenant: {header}}}",
        )
        file.write_text(text, encoding="utf-8")
        try:
            arguments = [str(parts.require(parts.SUPERVISOR)), "-config", str(file)]
            with Program(arguments, self.folder / log) as program:
                yield program
        finally:
            for left in self.collectors():
                with suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)

    def running(self, supervisor: Program, times: int = 1) -> list[int]:
        """Wait for the collector that a supervisor starts once connected; one before that ends at once.

        `times` counts those that it starts one after the other.
        """

        def ready() -> list[int] | None:
            said = supervisor.text().partition(CONNECTED)[2]
            return (self.collectors() or None) if said.count(READY) >= times else None

        return wait_for("its own collector", ready, alive=supervisor.gone, said=supervisor.text)

    def collectors(self) -> list[int]:
        """Return the process ids of the collectors that run on this host, whoever started them."""
        program, mark = str(parts.require(parts.COLLECTOR_1_0)).encode(), str(self.folder).encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (process / "cmdline").read_bytes()
                if words.startswith(program) and mark in words:
                    found.append(int(process.name))
        return found


def a_host(cluster: Cluster, folder: Path, *words: str) -> CollectorHost:
    """Return a host whose agent was given a certificate by an operator; `words` go to that command."""
    trust = tomllib.loads(cluster.trust_file.read_text(encoding="utf-8"))
    (folder / "ca.pem").write_text(trust["ca_pem"], encoding="utf-8")
    (folder / "backend-ca.pem").write_text(trust["ca_pem"], encoding="utf-8")
    url = f"wss://{trust['agents_url'].partition('://')[2]}"
    host = CollectorHost(str(uuid4()), folder, url)
    host.certify(cluster, *words)
    return host


def well(row: Row) -> Row | None:
    """Find an agent that is connected, and whose collector and all of its parts are healthy."""
    health = row["health"] or {}
    told = health.get("healthy") and "extensions" in health.get("components", {})
    return row if row["connected"] and told else None


def supervised(cluster: Cluster, host: CollectorHost, supervisor: Program) -> Row:
    """Wait until a supervisor that was just started is connected and its collector healthy; return the row.

    For a moment the row alone is still that of the start before.
    """
    host.running(supervisor)
    return until(cluster, host.uid, "a healthy collector", well, supervisor)


def ready(cluster: Cluster, host: CollectorHost, collector: Program, times: int = 1) -> Row:
    """Wait until a collector by itself has started so often and is healthy; return the row."""
    wait_for(
        "its start",
        lambda: collector.text().count(READY) >= times or None,
        alive=collector.gone,
        said=collector.text,
    )
    return until(cluster, host.uid, "a healthy collector", well, collector)
