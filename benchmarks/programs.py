"""The two Go programs of the benchmarks: the server that ours is compared with, and the fleet.

They are built once and kept outside the checkout, as the real programs of tests/interop are, under a name
that holds their sources' digest.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.interop.parts import OPAMP_GO, MissingPartError, Part, _go, require

HERE = Path(__file__).resolve().parent
BUILD_SECONDS = 600

__all__ = ["LOAD", "OPAMP_GO_SERVER", "MissingPartError", "require"]


def _built(source: Path) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        words = [_go(), "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", str(folder), "."]
        done = subprocess.run(  # noqa: S603 - argv is ours
            ["env", "CGO_ENABLED=0", *words],  # noqa: S607 - env is everywhere
            cwd=source,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise MissingPartError(f"{source.name} cannot be built: {done.stderr[-2000:]}")

    return make


def _own(name: str, folder: str, version: str) -> Part:
    source = HERE / folder
    return Part(name, version, _built(source), tuple(sorted(source.glob("*.*"))))


OPAMP_GO_SERVER = _own("opamp-go-server", "opamp_go_server", OPAMP_GO)
LOAD = _own("benchmark-load", "load", "1")
