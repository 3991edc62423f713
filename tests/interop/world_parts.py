"""More real programs: a Kubernetes API server, the operator's bridge, agents of ours for Node and Java.

The rules are those of `parts`. The API server and the bridge come out of one Go module of ours, pinned and
hashed in `kube/go.sum`; what both need is compiled once. The bridge's folder also holds the operator's own
resource definitions, without which an API server does not know what a collector is.

`python -m tests.interop.world_parts` builds all of them, as `parts` does its own, and installs what tests and
built parts run beside them: that is not in the cache, which may be older than the machine.
"""

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from tests.fakes import postgres
from tests.interop.parts import (
    GO_ENVIRONMENT,
    HERE,
    MissingPartError,
    Part,
    build,
    go_command,
    install_debian,
    run,
    say,
    sources_in,
)

KUBERNETES = "v1.34.3"
OPERATOR = "v0.148.0"
OPERATOR_MODULE = "github.com/open-telemetry/opentelemetry-operator"
NODE_CLIENT_LIBRARY = "0.5.0"
JAVA_CLIENT_LIBRARY = "1.52.0-alpha"
COPY_DEPENDENCIES = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
NODE_MINIMUM = (18, 19)
JAVA_MINIMUM = 17
JAVA_FLAGS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx64m"

KUBE, NODE, JAVA = HERE / "kube", HERE / "node_client", HERE / "java_client"


def _go_build(folder: Path, name: str, package: str) -> None:
    arguments = [go_command(), "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"]
    run([*arguments, "-o", str(folder / name), package], cwd=KUBE, env=GO_ENVIRONMENT)


def _api_server(folder: Path) -> None:
    _go_build(folder, "kube-apiserver", ".")


def _bridge(folder: Path) -> None:
    _go_build(folder, "operator-opamp-bridge", f"{OPERATOR_MODULE}/cmd/operator-opamp-bridge")
    where = [go_command(), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", OPERATOR_MODULE]
    module = Path(run(where, cwd=KUBE, env=GO_ENVIRONMENT).strip())
    definitions = folder / "crds"
    definitions.mkdir()
    for path in (module / "config" / "crd" / "bases").glob("*.yaml"):
        shutil.copyfile(path, definitions / path.name)


def _tool(command: str, package: str) -> str:
    """Return a command's path, installing its Debian package if there is none and we may."""
    if shutil.which(command) is None:
        install_debian(package)
    found = shutil.which(command)
    if found is None:
        raise MissingPartError(f"{command} is not installed, and Debian's {package} did not bring it")
    return found


def _require_version(command: str, package: str, flag: str, minimum: tuple[int, ...]) -> str:
    """Return a command's path. Raises MissingPartError, naming both versions, if it is too old."""
    path = _tool(command, package)
    said = run([path, flag], cwd=HERE).strip()
    found = re.search(r"(\d+(?:\.\d+)*)", said)
    version = tuple(int(part) for part in found[1].split(".")) if found else ()
    if version[: len(minimum)] < minimum:
        raise MissingPartError(f"{command} is {said!r}, this part needs {'.'.join(map(str, minimum))}")
    return path


def _launcher(path: Path, command: str) -> None:
    """Write a program that becomes another one, which finds this part's folder in $here."""
    path.write_text(f'#!/bin/sh\nhere=$(dirname -- "$0")\nexec {command} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def _node_client(folder: Path) -> None:
    _require_version("node", "nodejs", "--version", NODE_MINIMUM)
    for name in ("package.json", "client.js"):
        shutil.copyfile(NODE / name, folder / name)
    quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--omit=dev"]
    run([_tool("npm", "npm"), "install", *quiet], cwd=folder)
    _launcher(folder / "opamp-node-client", 'node "$here/client.js"')


def _java_client(folder: Path) -> None:
    compiler = _require_version("javac", "default-jdk-headless", "-version", (JAVA_MINIMUM,))
    jars = folder / "jars"
    shutil.copyfile(JAVA / "pom.xml", folder / "pom.xml")
    copy = [COPY_DEPENDENCIES, f"-DoutputDirectory={jars}"]
    run([_tool("mvn", "maven"), "-q", "-B", "-ntp", *copy], cwd=folder)
    classes = ["-Xlint:none", "-d", str(folder / "classes"), "-cp", f"{jars}/*"]
    run([compiler, *classes, str(JAVA / "Client.java")], cwd=folder)
    _launcher(folder / "opamp-java-client", f'java {JAVA_FLAGS} -cp "$here/classes:$here/jars/*" Client')


KUBE_API_SERVER = Part("kube-apiserver", KUBERNETES, _api_server, sources_in(KUBE))
BRIDGE = Part("operator-opamp-bridge", OPERATOR, _bridge, sources_in(KUBE))
NODE_CLIENT = Part("opamp-node-client", NODE_CLIENT_LIBRARY, _node_client, sources_in(NODE))
JAVA_CLIENT = Part("opamp-java-client", JAVA_CLIENT_LIBRARY, _java_client, sources_in(JAVA))

PARTS = (NODE_CLIENT, JAVA_CLIENT, KUBE_API_SERVER, BRIDGE)


def _postgresql() -> str:
    try:
        return str(postgres.programs())
    except postgres.NoPostgresError:
        install_debian("postgresql")
    return str(postgres.programs())


PROGRAMS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("node", lambda: _require_version("node", "nodejs", "--version", NODE_MINIMUM)),
    ("java", lambda: _tool("java", "default-jdk-headless")),
    ("postgresql", _postgresql),
    ("openssl", lambda: _tool("openssl", "openssl")),
)


def install() -> int:
    """Install what is run as it comes; return how many are missing."""
    missing = 0
    for name, have in PROGRAMS:
        try:
            say(f"{name}: {have()}")
        except (MissingPartError, postgres.NoPostgresError) as error:
            missing += 1
            say(f"MISSING {name}: {error}")
    return missing


if __name__ == "__main__":
    sys.exit(build(PARTS) + install())
