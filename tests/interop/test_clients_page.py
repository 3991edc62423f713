"""The page about real clients says what this run saw. It runs last; see conftest.py."""

from tests.interop import matrix


def test_the_page_is_what_this_run_saw() -> None:
    """Every client and column was recorded, and docs/clients.md is what the record makes."""
    page = matrix.ROOT / "docs" / "clients.md"
    assert page.read_text(encoding="utf-8") == matrix.render(matrix.read(matrix.REPORT))
