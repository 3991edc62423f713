"""Generates opamp.v1 from its definitions: `protos.py FOLDER` writes into FOLDER as `make protos` does."""

import importlib.resources
import sys
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "proto"


def definitions() -> list[Path]:
    """Return the definitions that modules are generated from, relative to the source root."""
    return sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.proto"))


def generate(folder: Path) -> None:
    """Write the modules and their stubs under `folder`.

    Raises:
        RuntimeError: the definitions do not compile; protoc has said why on stderr.
    """
    known = importlib.resources.files("grpc_tools") / "_proto"
    arguments = ["protoc", f"-I{SOURCE}", f"-I{known}", f"--python_out={folder}", f"--pyi_out={folder}"]
    if protoc.main([*arguments, *map(str, definitions())]) != 0:
        raise RuntimeError(f"protoc refused {', '.join(map(str, definitions()))}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
