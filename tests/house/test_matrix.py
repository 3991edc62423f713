"""The record of what real clients do: what is missing from it, or contradicts itself, makes no page."""

from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.interop import matrix
from tests.interop.matrix import Cell, Client, Column, MatrixError

PAGE = ROOT / "docs" / "clients.md"
YES = Cell(able=True, words=("seen",), tests=("tests/interop/test_parts.py",))
NO = Cell(able=False, words=("refused",), tests=("tests/interop/test_parts.py",))


def whole() -> dict[tuple[Client, Column], Cell]:
    """Return a cell for every client and column."""
    return {(client, column): YES for client in Client for column in Column}


def test_cells_are_kept_and_added_to(tmp_path: Path) -> None:
    """Two tests that record one cell are both in it, and the file reads back as it was written."""
    report = tmp_path / "reports" / "clients.json"
    for words in ("over TLS", "at once", "over TLS"):
        cell = Cell(able=True, words=(words,), tests=YES.tests)
        matrix.record(report, Client.NODE, Column.STATUS, cell)
    joined = Cell(able=True, words=("at once", "over TLS"), tests=YES.tests)
    assert matrix.read(report) == {(Client.NODE, Column.STATUS): joined}


def test_the_test_that_saw_it_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`saw` and `cannot` name the file of the test that runs."""
    monkeypatch.setattr(matrix, "REPORT", tmp_path / "clients.json")
    matrix.saw(Client.JAVA, Column.HEALTH, "healthy")
    matrix.cannot(Client.JAVA, Column.RESTART, "no such capability")
    cells = matrix.read(tmp_path / "clients.json")
    assert cells[Client.JAVA, Column.HEALTH] == Cell(
        able=True, words=("healthy",), tests=("tests/house/test_matrix.py",)
    )
    assert cells[Client.JAVA, Column.RESTART].able is False


def test_a_contradiction_is_refused(tmp_path: Path) -> None:
    """A client that was seen to do a thing cannot be recorded as unable, in one run or in two."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    matrix.record(first, Client.NODE, Column.HEALTH, YES)
    matrix.record(second, Client.NODE, Column.HEALTH, NO)
    with pytest.raises(MatrixError, match=r"Node client .*, health: .*seen.*refused"):
        matrix.record(first, Client.NODE, Column.HEALTH, NO)
    with pytest.raises(MatrixError, match="the contrary"):
        matrix.merged([first, second])


def test_a_missing_cell_is_named() -> None:
    """A page without a client's column is not made, and the message names both."""
    cells = whole()
    del cells[Client.BRIDGE, Column.REVOCATION]
    with pytest.raises(MatrixError, match=r"operator's bridge .*: revocation"):
        matrix.render(cells)


def test_a_column_that_nobody_does_is_named() -> None:
    """A column that every client only failed at was not exercised."""
    cells = {**whole(), **{(client, Column.RESTART): NO for client in Client}}
    with pytest.raises(MatrixError, match="every client: restart"):
        matrix.render(cells)


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is written from complete reports; from incomplete ones nothing is, with a reason."""
    page, report = tmp_path / "clients.md", tmp_path / "clients.json"
    assert matrix.main([]) == 2
    matrix.record(report, Client.NODE, Column.STATUS, YES)
    assert matrix.main([str(page), str(report)]) == 1
    assert "Java client 1.52.0: status" in capsys.readouterr().err
    assert not page.exists()
    for (client, column), cell in whole().items():
        matrix.record(report, client, column, cell)
    assert matrix.main([str(page), str(report)]) == 0
    assert page.read_text(encoding="utf-8") == matrix.render(whole())


def parts() -> dict[str, list[list[str]]]:
    """Return the rows of each client's table on the page, by the client."""
    found: dict[str, list[list[str]]] = {}
    for part in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = part.splitlines()
        rows = [line.strip("|").split(" | ") for line in lines if line.startswith("| ")]
        found[title] = [[cell.strip() for cell in row] for row in rows[1:]]
    return found


def test_the_page_has_every_client_and_column() -> None:
    """The page that is kept names every client, and says of each column what was seen or why it cannot be."""
    found = parts()
    assert list(found) == [str(client) for client in Client]
    for client, rows in found.items():
        assert [row[0] for row in rows] == [str(column) for column in Column], client
        assert all(row[1] in ("yes", "-") and len(row[2]) > 3 for row in rows), client


def test_every_column_was_seen_on_a_client() -> None:
    """No column of the page is one that every client only failed at."""
    seen = {row[0] for rows in parts().values() for row in rows if row[1] == "yes"}
    assert seen == {str(column) for column in Column}
