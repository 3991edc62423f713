"""Documents lead somewhere: every link resolves, every file they mention exists, every test says its fact."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import ROOT, functions, python_files, tracked

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(?ms)^```.*?^```[ \t]*$")
_HEADING = re.compile(r"(?m)^#+ +(.+?) *$")
_PATH = re.compile(r"`((?:distribution|keys|storage|proto|tests|docs|deploy|benchmarks|\.ci)/[^`\s]*)`")
TOP_LEVEL = {
    *("distribution", "keys", "storage", "proto", "tests", "docs", "benchmarks", "deploy"),
    *("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "Makefile"),
    *("Dockerfile", "requirements.lock"),
}


def documents() -> list[Path]:
    """Return every Markdown file that git keeps."""
    return [path for path in tracked() if path.suffix == ".md"]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as a forge derives them."""
    text = _FENCE.sub("", path.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(text))
    return {words.replace(" ", "-") for words in plain}


def broken(path: Path) -> list[str]:
    """Return the links of a document that lead nowhere inside the checkout."""
    found = []
    for link in _LINK.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(f"{path.name}: {link}")
    return found


def test_every_link_leads_somewhere() -> None:
    """Each relative link of each document names a file that exists, and a heading in it."""
    assert "\n".join(link for path in documents() for link in broken(path)) == ""


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """A link to a missing file and one to a missing heading are both named."""
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](#another) [c](gone.md) [d](page.md)", encoding="utf-8")
    assert broken(page) == ["page.md: #another", "page.md: gone.md"]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_a_document_mentions_exists(path: Path) -> None:
    """A path in code marks that begins with one of our folders exists, or is a pattern with a match."""
    found = _PATH.findall(path.read_text(encoding="utf-8"))
    mentioned = [
        name for name in found if not name.endswith((".pem", ".crt", ".json", ".key"))
    ]  # a server's, not ours
    assert [name for name in mentioned if not list(ROOT.glob(name.rstrip("/")))] == []


def test_the_top_level_is_as_agreed() -> None:
    """At the top lie the agreed files and folders, and dot files."""
    names = {path.relative_to(ROOT).parts[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} - TOP_LEVEL == set()


def test_every_module_says_what_it_is() -> None:
    """Every Python file opens with a docstring."""
    silent = [
        path for path in python_files() if ast.get_docstring(ast.parse(path.read_text("utf-8"))) is None
    ]
    assert [str(path.relative_to(ROOT)) for path in silent] == []


def test_every_test_states_its_fact() -> None:
    """Every test function has a docstring of one sentence or more."""
    silent = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in python_files()
        if path.name.startswith("test_")
        for function in functions(ast.parse(path.read_text("utf-8")))
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").strip()
    ]
    assert "\n".join(silent) == ""
