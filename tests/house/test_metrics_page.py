"""The page of metrics names what the server measures of its load."""

import re

from tests.fakes import metric_names
from tests.house.tree import ROOT


def test_every_meter_of_load_has_its_row() -> None:
    """No name is missing on the page, and none stands twice."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(quartermaster_[a-z_]+)` \|", page, re.MULTILINE)
    assert set(rows) >= metric_names.LOAD
    assert len(rows) == len(set(rows))
