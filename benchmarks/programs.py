"""The two Go programs of the benchmarks: the server that ours is compared with, and the fleet.

They are built once and kept outside the checkout, as the real programs of tests/interop are, under a name
that holds their sources' digest.
"""

from collections.abc import Callable
from pathlib import Path

from tests.interop.parts import OPAMP_GO, Part, go_command, require, run, sources_in

HERE = Path(__file__).resolve().parent

__all__ = ["LOAD", "OPAMP_GO_SERVER", "require"]


def _built(source: Path) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        words = [go_command(), "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w"]
        run([*words, "-o", str(folder), "."], cwd=source, env={"CGO_ENABLED": "0"})

    return make


def _own(name: str, folder: str, version: str) -> Part:
    return Part(name, version, _built(HERE / folder), sources_in(HERE / folder))


OPAMP_GO_SERVER = _own("opamp-go-server", "opamp_go_server", OPAMP_GO)
LOAD = _own("benchmark-load", "load", "1")
