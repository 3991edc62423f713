"""The record of decisions is whole: every page is listed, every dependency has its reason."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import ROOT

FOLDER = ROOT / "docs" / "decisions"


def test_every_dependency_has_a_reason() -> None:
    """The page on dependencies has a line for each requirement of pyproject.toml, and for nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    texts = [text for one in [project["project"]["dependencies"], *extras, *groups] for text in one]
    wanted = {canonicalize_name(Requirement(text).name) for text in texts}
    page = (FOLDER / "0003-dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"(?m)^\| `([a-z0-9-]+)` \|", page)) == wanted


def test_every_page_is_listed() -> None:
    """The list of decisions links every page, in order, and the numbers have no gap."""
    pages = sorted(path.name for path in FOLDER.glob("[0-9]*.md"))
    listed = re.findall(r"\]\((\d{4}-[a-z-]+\.md)\)", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert listed == pages
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
