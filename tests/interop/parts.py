"""The real programs that tests/interop runs against: which, at which pinned version, and how each is made.

Rules:

1. A part is built once and kept outside the checkout, in a folder named after the part and its version:
   `$XDG_CACHE_HOME/quartermaster-interop/<name>-<version>` (`~/.cache/...` by default). Another version is
   another folder, so nothing here is ever invalidated, only replaced by a new pin.
2. A part appears whole or not at all: it is built beside its place and renamed.
3. A part that cannot be had is a failure that names it and says why. Nothing is skipped.

`python tests/interop/parts.py` installs and builds everything and prints one line a part.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
GO_MINIMUM = (1, 25)
BUILD_TIMEOUT_SECONDS = 1500
COLLECTOR_MODULES = "v0.149.0"
COLLECTOR_PROVIDERS = "v1.55.0"
EXPORTERS = ("debug", "nop", "otlphttp")
EXTENSIONS = ("healthcheck", "opamp")
OPAMP_GO = "v0.24.0"
OPAMP_GO_BEFORE = "v0.23.0"
OWN_CLIENT = HERE / "opamp_go_client"
SUPERVISOR_MAIN = HERE / "supervisor"
SUPERVISOR_MODULE = "github.com/open-telemetry/opentelemetry-collector-contrib/cmd/opampsupervisor"


class MissingPartError(Exception):
    """A real program that a test needs cannot be had on this machine."""


@dataclass(frozen=True, slots=True)
class Part:
    """One program. `make` puts an executable called `name` into the folder it is given."""

    name: str
    version: str
    make: Callable[[Path], None]
    sources: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the built part is kept; for a part of our own, its sources are a piece of the name."""
        return cache_folder() / "-".join([self.name, self.version, *_fingerprint(self.sources)])

    @property
    def program(self) -> Path:
        """The executable inside `folder`."""
        return self.folder / self.name


def cache_folder() -> Path:
    """Return the folder that outlives checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return Path(base) / "quartermaster-interop"


def _fingerprint(sources: tuple[Path, ...]) -> list[str]:
    if not sources:
        return []
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    return [digest.hexdigest()[:12]]


def run(arguments: list[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Return what a command printed. Raises MissingPartError if it cannot be run or fails."""
    try:
        done = subprocess.run(
            arguments,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=BUILD_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingPartError(f"{arguments[0]} {arguments[1]}: {error}") from error
    if done.returncode != 0:
        raise MissingPartError(f"{' '.join(arguments)} exited {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def go_command() -> str:
    """Return the Go command, installing Debian's if there is none and we may."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if found is None:
        install_debian("golang-go")
        found = shutil.which("go")
    if found is None:
        raise MissingPartError("go is not installed, and apt-get brought none")
    text = run([found, "version"], cwd=HERE)
    match = re.search(r"go(\d+)\.(\d+)", text)
    if match is None or (int(match[1]), int(match[2])) < GO_MINIMUM:
        raise MissingPartError(f"go is {text.strip()!r}, these parts need {GO_MINIMUM[0]}.{GO_MINIMUM[1]}")
    return found


def install_debian(package: str) -> None:
    """Install a Debian package when we are root and apt-get exists; one at a time, as apt-get wants it.

    Raises:
        MissingPartError: it cannot be installed here; the message names the package.
    """
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise MissingPartError(f"debian package {package} is missing; install it and run this again")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with _only_builder(cache_folder() / "debian"):
        run(["apt-get", "update", "-q"], cwd=HERE, env=quiet)
        run(["apt-get", "install", "-y", "-q", "--no-install-recommends", package], cwd=HERE, env=quiet)


GO_ENVIRONMENT = {"CGO_ENABLED": "0"}


def _go_install(path: str, version: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        arguments = [go_command(), "install", "-trimpath", "-ldflags", "-s -w", f"{path}@{version}"]
        run(arguments, cwd=folder, env={**GO_ENVIRONMENT, "GOBIN": str(folder)})

    return make


def _collector(version: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        go = go_command()
        source = folder / "source"
        recipe = folder / "builder.yaml"
        recipe.write_text(_recipe(version, source), encoding="utf-8")
        builder = require(COLLECTOR_BUILDER)
        path = f"{Path(go).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        run(
            [str(builder), "--config", str(recipe), "--ldflags", "-s -w"],
            cwd=folder,
            env={**GO_ENVIRONMENT, "PATH": path},
        )
        (source / "otelcol").rename(folder / "otelcol")
        shutil.rmtree(source)

    return make


def _recipe(version: str, output: Path) -> str:
    core, contrib = (
        "go.opentelemetry.io/collector",
        "github.com/open-telemetry/opentelemetry-collector-contrib",
    )
    groups = {
        "receivers": [f"{core}/receiver/{name}receiver {COLLECTOR_MODULES}" for name in ("otlp", "nop")],
        "exporters": [f"{core}/exporter/{name}exporter {COLLECTOR_MODULES}" for name in EXPORTERS],
        "extensions": [f"{contrib}/extension/{name}extension {COLLECTOR_MODULES}" for name in EXTENSIONS],
        "providers": [
            f"{core}/confmap/provider/{name}provider {COLLECTOR_PROVIDERS}"
            for name in ("env", "file", "yaml")
        ],
    }
    lines = ["dist:", "  name: otelcol", f"  version: {version}", "  module: quartermaster.example/otelcol"]
    lines.append(f"  output_path: {output}")
    for group, modules in groups.items():
        lines.append(f"{group}:")
        lines.extend(f"  - gomod: {module}" for module in modules)
    return "\n".join(lines) + "\n"


def _own_client(*flags: str) -> Callable[[Path], None]:
    """Return the recipe of our agent on opamp-go; the flags choose the library's version."""

    def make(folder: Path) -> None:
        arguments = [go_command(), "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", *flags]
        run([*arguments, "-o", str(folder / "opamp-go-client"), "."], cwd=OWN_CLIENT, env=GO_ENVIRONMENT)

    return make


def _supervisor(folder: Path) -> None:
    """Build the upstream supervisor around our own main; all else is pinned by its module."""
    source = folder / "source"
    shutil.copytree(SUPERVISOR_MAIN, source)
    for words in (
        ["mod", "init", "quartermaster.example/supervisor"],
        ["get", f"{SUPERVISOR_MODULE}@{COLLECTOR_MODULES}"],
        ["build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / "supervisor"), "."],
    ):
        run([go_command(), *words], cwd=source, env=GO_ENVIRONMENT)
    shutil.rmtree(source)


def sources_in(folder: Path) -> tuple[Path, ...]:
    """Return the files of a program of ours, in a stated order."""
    return tuple(sorted(folder.glob("*.*")))


VERSITYGW = Part("versitygw", "v1.8.0", _go_install("github.com/versity/versitygw/cmd/versitygw", "v1.8.0"))
COLLECTOR_BUILDER = Part(
    "builder", COLLECTOR_MODULES, _go_install("go.opentelemetry.io/collector/cmd/builder", COLLECTOR_MODULES)
)
_PIECES = hashlib.sha256(_recipe("", Path()).encode()).hexdigest()[:8]
COLLECTOR_1_0 = Part("otelcol", f"{COLLECTOR_MODULES}-{_PIECES}-1.0.0", _collector("1.0.0"))
COLLECTOR_1_1 = Part("otelcol", f"{COLLECTOR_MODULES}-{_PIECES}-1.1.0", _collector("1.1.0"))
OPAMP_GO_CLIENT = Part("opamp-go-client", OPAMP_GO, _own_client(), sources_in(OWN_CLIENT))
OPAMP_GO_CLIENT_BEFORE = Part(
    "opamp-go-client",
    OPAMP_GO_BEFORE,
    _own_client("-modfile=opamp023.mod", "-tags=opamp023"),
    sources_in(OWN_CLIENT),
)
SUPERVISOR = Part("supervisor", COLLECTOR_MODULES, _supervisor, sources_in(SUPERVISOR_MAIN))

PARTS = (
    VERSITYGW,
    COLLECTOR_BUILDER,
    COLLECTOR_1_0,
    COLLECTOR_1_1,
    OPAMP_GO_CLIENT,
    OPAMP_GO_CLIENT_BEFORE,
    SUPERVISOR,
)


@contextmanager
def _only_builder(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def require(part: Part) -> Path:
    """Return the part's program, building it if this machine has none of that version yet.

    Raises:
        MissingPartError: it cannot be built here; the message names the part, its version and why.
    """
    if part.program.exists():
        return part.program
    with _only_builder(part.folder):
        if part.program.exists():
            return part.program
        fresh = Path(tempfile.mkdtemp(prefix=part.folder.name + ".", dir=part.folder.parent))
        try:
            part.make(fresh)
            fresh.chmod(0o755)
            fresh.rename(part.folder)
        except MissingPartError as error:
            raise MissingPartError(f"{part.name} {part.version} is missing: {error}") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return part.program


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def build(wanted: tuple[Part, ...]) -> int:
    """Build these parts, one after the other; return how many are missing."""
    missing = 0
    for part in wanted:
        start = time.monotonic()
        try:
            program = require(part)
        except MissingPartError as error:
            missing += 1
            say(f"MISSING {error}")
            continue
        size = program.stat().st_size / 1e6
        say(f"{part.name} {part.version}: {size:.0f} MB, {time.monotonic() - start:.1f} s")
    return missing


if __name__ == "__main__":
    sys.exit(build(PARTS))
