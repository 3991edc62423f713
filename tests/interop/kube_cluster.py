"""A real Kubernetes API server in a folder, with the operator's resource definitions, and a bridge beside it.

No controller and no kubelet runs: an object is what somebody wrote into it, and a pod's status too.
"""

import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.interop import world_parts
from tests.interop.certificates import make_server_files
from tests.interop.parts import require
from tests.interop.programs import Program, free_port, wait_for

NAMESPACE = "default"
NAME = "edge"
"""The one collector that tests have the bridge manage."""

COLLECTORS = f"/apis/opentelemetry.io/v1beta1/namespaces/{NAMESPACE}/opentelemetrycollectors"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
READY_SECONDS = 90.0
MANAGED = {"opentelemetry.io/opamp-managed": "true"}

BRIDGE = """\
endpoint: {url}
headers: {{Authorization: "Bearer {token}"}}
listenAddr: 127.0.0.1:0
heartbeatInterval: {heartbeat}
name: {name}
description: {{non_identifying_attributes: {{team: edge}}}}
capabilities: {capabilities}
componentsAllowed: {allowed}
"""

CAPABILITIES = (
    "ReportsStatus",
    "ReportsHealth",
    "ReportsEffectiveConfig",
    "AcceptsRemoteConfig",
    "ReportsRemoteConfig",
    "ReportsOwnMetrics",
)


class KubeCluster:
    """An API server that answers. Everybody who knows its one token may do everything."""

    def __init__(self, client: httpx.Client, kubeconfig: Path, program: Program) -> None:
        self._client = client
        self.kubeconfig = kubeconfig
        self.program = program

    def get(self, path: str) -> dict[str, Any]:
        """Return an object."""
        found: dict[str, Any] = self._client.get(path).raise_for_status().json()
        return found

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object and return it as it was stored."""
        return self._write("POST", path, json.dumps(body), "application/json")

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of an object and return it."""
        return self._write("PATCH", path, json.dumps(body), "application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete an object at once; that there is none is no error."""
        answer = self._client.delete(path, params={"gracePeriodSeconds": "0"})
        if answer.status_code != httpx.codes.NOT_FOUND:
            answer.raise_for_status()

    def define(self, file: Path) -> None:
        """Create a resource definition from its YAML."""
        self._write("POST", DEFINITIONS, file.read_text(encoding="utf-8"), "application/yaml")

    def answers(self, path: str) -> bool:
        """Whether a path is served."""
        try:
            return self._client.get(path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def discovered(self) -> str:
        """Return the document in which today's clients look for kinds (Kubernetes "Aggregated discovery")."""
        return self._client.get("/apis", headers={"Accept": DISCOVERY}).raise_for_status().text

    def _write(self, method: str, path: str, body: str, kind: str) -> dict[str, Any]:
        answer = self._client.request(method, path, content=body, headers={"Content-Type": kind})
        if answer.is_error:
            raise AssertionError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        written: dict[str, Any] = answer.json()
        return written


@contextmanager
def kube_cluster(folder: Path) -> Iterator[KubeCluster]:
    """Run an API server that knows what an OpenTelemetryCollector is."""
    files, port, token = make_server_files(folder), free_port(), secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n', encoding="utf-8")
    url = f"https://localhost:{port}"
    kubeconfig = write_kubeconfig(folder / "kubeconfig", url, files.ca, token)
    client = httpx.Client(
        base_url=url,
        verify=ssl.create_default_context(cafile=str(files.ca)),
        headers={"Authorization": f"Bearer {token}"},
        timeout=READY_SECONDS,
    )
    arguments = [str(require(world_parts.KUBE_API_SERVER)), str(folder / "etcd")]
    arguments += [
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certs'}",
    ]
    arguments += [f"--tls-cert-file={files.certificate}", f"--tls-private-key-file={files.key}"]
    arguments += [f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=AlwaysAllow"]
    arguments += [f"--service-account-issuer={url}", f"--service-account-key-file={files.certificate}"]
    arguments += [f"--service-account-signing-key-file={files.key}", "--endpoint-reconciler-type=none"]
    arguments += ["--disable-admission-plugins=ServiceAccount", "--service-cluster-ip-range=10.0.0.0/24"]
    with client, Program(arguments, folder / "kube-apiserver.log") as program:
        kube = KubeCluster(client, kubeconfig, program)
        _until_served(kube, "/readyz")
        for file in (require(world_parts.BRIDGE).parent / "crds").glob("*_opentelemetrycollectors.yaml"):
            kube.define(file)
        _until_served(kube, COLLECTORS)
        _until_known(kube, "OpenTelemetryCollector")
        _until_served(kube, f"/api/v1/namespaces/{NAMESPACE}")
        yield kube


def _until_served(kube: KubeCluster, path: str) -> None:
    def look() -> bool | None:
        return True if kube.answers(path) else None

    wait_for(path, look, alive=kube.program.gone, said=kube.program.text, seconds=READY_SECONDS)


def _until_known(kube: KubeCluster, kind: str) -> None:
    """Wait until a client that asks what there is hears of a kind, which is later than that it is served."""

    def look() -> bool | None:
        return True if kind in kube.discovered() else None

    wait_for(kind, look, alive=kube.program.gone, said=kube.program.text, seconds=READY_SECONDS)


def write_kubeconfig(path: Path, url: str, ca: Path, token: str) -> Path:
    """Write what a client of an API server is given; there need not be one."""
    settings = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "only", "cluster": {"server": url, "certificate-authority": str(ca)}}],
        "users": [{"name": "only", "user": {"token": token}}],
        "contexts": [{"name": "only", "context": {"cluster": "only", "user": "only"}}],
        "current-context": "only",
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    return path


def collector(
    name: str,
    *,
    verbosity: str = "basic",
    mode: str = "deployment",
    labels: Mapping[str, str] = MANAGED,
    **config: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a collector's object as an operator would write it; `config` are parts of its configuration."""
    return {
        "apiVersion": "opentelemetry.io/v1beta1",
        "kind": "OpenTelemetryCollector",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": dict(labels)},
        "spec": {
            "mode": mode,
            "upgradeStrategy": "none",
            "config": {
                "receivers": {"otlp": {"protocols": {"grpc": {}}}},
                "exporters": {"debug": {"verbosity": verbosity}},
                "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["debug"]}}},
                **config,
            },
        },
    }


def add_pod(kube: KubeCluster, of: str, name: str) -> None:
    """Write a pod as the operator would have made it for a collector; it is not running yet."""
    labels = {
        "app.kubernetes.io/managed-by": "opentelemetry-operator",
        "app.kubernetes.io/instance": f"{NAMESPACE}.{of}",
        "app.kubernetes.io/part-of": "opentelemetry",
        "app.kubernetes.io/component": "opentelemetry-collector",
    }
    spec = {"containers": [{"name": "collector", "image": "collector"}]}
    kube.create(PODS, {"metadata": {"name": name, "labels": labels}, "spec": spec})


@dataclass(frozen=True, slots=True)
class Bridge:
    """What every start of one bridge is given."""

    folder: Path
    url: str
    token: str
    ca: Path
    allowed: Mapping[str, list[str]] = field(default_factory=dict)
    """Kinds of components and their names; none are named where everything is allowed."""

    heartbeat: str = "1s"

    def start(self, kubeconfig: Path, log: str, *more: str) -> Program:
        """Start the bridge, with further capabilities; the caller ends it."""
        switched = dict.fromkeys((*CAPABILITIES, *more), True)
        settings = self.folder / "bridge.yaml"
        settings.write_text(
            BRIDGE.format(
                url=self.url,
                token=self.token,
                name=self.folder.name,
                capabilities=json.dumps(switched),
                allowed=json.dumps(self.allowed),
                heartbeat=self.heartbeat,
            ),
            encoding="utf-8",
        )
        program = str(require(world_parts.BRIDGE))
        arguments = [program, "--config-file", str(settings), "--kubeconfig-path", str(kubeconfig)]
        # It has no option for the CA of the OpAMP server: what Go trusts is all that it trusts.
        own = {"SSL_CERT_FILE": str(self.ca), "OPAMP_VERSION": world_parts.OPERATOR, "HOME": str(self.folder)}
        return Program(arguments, self.folder / log, own)
