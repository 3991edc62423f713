"""A room that has grown too large is two rooms."""

import ast

import pytest

from tests.house.tree import ROOT, functions, length, python_files, within, written

FILE_LINES = 300
FUNCTION_LINES = 40


def test_no_file_is_longer_than_a_reader_likes() -> None:
    """No Python file, tests included, has more than 300 lines."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in python_files()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES
    }
    assert long == {}


def test_no_function_is_longer_than_a_screen() -> None:
    """No function of the product has more than 40 lines, its docstring left out."""
    long = {
        f"{module.name}.{function.name}": length(function)
        for module in written()
        if not within(module.name, "storage.migrations")
        for function in functions(module.tree)
        if length(function) > FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize(("lines", "expected"), [(39, 40), (40, 41)])
def test_a_function_is_measured_without_its_docstring(lines: int, expected: int) -> None:
    """The measure counts from `def` to the last line and leaves the docstring out."""
    body = "".join(f"    x{number} = {number}\n" for number in range(lines))
    tree = ast.parse(f'def f():\n    """One.\n\n    Two.\n    """\n{body}')
    assert [length(function) for function in functions(tree)] == [expected]
