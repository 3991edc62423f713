"""Reads the tree as data: which files are ours, what each imports, how long each part of it is.

Imports are read from the syntax tree, so a lazy one inside a function and one for types alone count like any
other. `importlib.import_module` with a literal counts as well; with anything else it is reported as `?`.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = (ROOT / "distribution", ROOT / "keys", ROOT / "storage", ROOT / "proto" / "opamp")
OURS = ("distribution", "keys", "storage", "opamp")
UNKNOWN_IMPORT = "?"


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the product: its import name, its path and its text."""

    name: str
    path: Path
    text: str

    @property
    def tree(self) -> ast.Module:
        """The parsed file."""
        return ast.parse(self.text, filename=str(self.path))


def module_name(path: Path) -> str:
    """Return the import name of a product file (`proto` is a source root, not a package)."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "proto" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def product() -> tuple[Module, ...]:
    """Return every module of the product, generated ones included."""
    paths = sorted(path for root in SOURCE_ROOTS for path in root.rglob("*.py"))
    return tuple(Module(module_name(path), path, path.read_text(encoding="utf-8")) for path in paths)


def written() -> list[Module]:
    """Return the modules that people write: all but the generated ones."""
    return [module for module in product() if not module.path.stem.endswith("_pb2")]


@cache
def tracked() -> tuple[Path, ...]:
    """Return the files that git keeps or would keep, the ignored ones left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    return tuple(ROOT / name for name in sorted(set(listed.split("\0"))) if name and (ROOT / name).is_file())


def python_files() -> list[Path]:
    """Return every Python file that people write, tests and tools included."""
    return [path for path in tracked() if path.suffix == ".py" and not path.stem.endswith("_pb2")]


def _absolute(node: ast.ImportFrom, module: Module) -> str:
    if node.level == 0:
        return node.module or ""
    parts = module.name.split(".")
    if module.path.name != "__init__.py":
        parts = parts[:-1]
    parts = parts[: len(parts) - (node.level - 1)]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _called(node: ast.Call) -> str | None:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name not in {"import_module", "__import__"}:
        return None
    first = node.args[0] if node.args else None
    literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return first.value if literal else UNKNOWN_IMPORT


@cache
def _said(module: Module) -> tuple[tuple[int, str, tuple[str, ...]], ...]:
    """Return line, module and names of every import; no names where the module itself is imported."""
    found: list[tuple[int, str, tuple[str, ...]]] = []
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.extend((node.lineno, alias.name, ()) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            found.append((node.lineno, _absolute(node, module), names))
        elif isinstance(node, ast.Call) and (called := _called(node)) is not None:
            found.append((node.lineno, called, ()))
    return tuple(found)


def imports(module: Module, known: frozenset[str] | None = None) -> Iterator[tuple[int, str]]:
    """Yield line and full name of everything the module imports, wherever in the file it does so.

    `from a import b` is `a.b` when that is a module of ours (one of `known`), and `a` otherwise.
    """
    ours = known if known is not None else frozenset(other.name for other in product())
    for line, base, names in _said(module):
        if not names:
            yield line, base
        for name in names:
            inner = f"{base}.{name}"
            yield line, inner if inner in ours else base


def within(name: str, room: str) -> bool:
    """Say whether a module is a room or lies in it."""
    return name == room or name.startswith(room + ".")


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function, methods and inner ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines a function has, from `def` to its end, its docstring left out."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines
