"""Each file of keys, distribution/protocol and distribution/catalog is covered by its own tests."""

from pathlib import Path

from tests.house.coverage_gate import GATED, Covered, ask, measure, mirrors, sources
from tests.house.tree import ROOT


def test_every_file_is_covered_by_its_own_tests(tmp_path: Path) -> None:
    """No gated file has a line that its own test file leaves out; the ones that do are named."""
    faults = [covered.fault for covered in ask(measure(tmp_path), tmp_path) if covered.fault]
    assert "\n".join(faults) == ""


def test_the_gate_sees_every_room() -> None:
    """The gate has files of each gated room, and a place for the tests of each."""
    found = {source.relative_to(ROOT).as_posix() for source in sources()}
    assert [room for room in GATED if not any(name.startswith(room + "/") for name in found)] == []
    assert mirrors(ROOT / "keys" / "policy.py") == (ROOT / "tests" / "unit" / "keys" / "test_policy.py",)


def test_a_line_left_out_is_named() -> None:
    """A file whose mirror leaves out a line, or too many branches, is named with what is lacking."""
    lacking = Covered("keys/a.py", "tests/unit/keys/test_a.py", (3, 5), 100.0)
    assert lacking.fault == "keys/a.py: tests/unit/keys/test_a.py leaves out lines 3, 5"
    assert Covered("keys/a.py", "tests/unit/keys/test_a.py", (), 94.0).fault is not None
    assert Covered("keys/a.py", "tests/unit/keys/test_a.py", (), 95.0).fault is None


def test_what_other_tests_touch_counts_for_nothing(tmp_path: Path) -> None:
    """A file that another file's tests run through, but its own do not, is not covered."""
    for folder in ("keys", "tests/unit/keys", "distribution/protocol", "distribution/catalog", "storage"):
        (tmp_path / folder).mkdir(parents=True)
    for package in ("keys", "distribution", "distribution/protocol", "distribution/catalog", "storage"):
        (tmp_path / package / "__init__.py").write_text('"""A package."""\n')
    (tmp_path / "keys/first.py").write_text("def first() -> int:\n    return 1\n")
    (tmp_path / "keys/second.py").write_text(
        "from keys import first\n\n\ndef second() -> int:\n    return first.first() + 1\n"
    )
    (tmp_path / "tests/unit/keys/test_first.py").write_text(
        "from keys import first\n\n\ndef test_it():\n    pass\n"
    )
    (tmp_path / "tests/unit/keys/test_second.py").write_text(
        "from keys.second import second\n\n\ndef test_it():\n    assert second() == 2\n"
    )
    (tmp_path / "tests/conftest.py").write_bytes((ROOT / "tests/conftest.py").read_bytes())
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\naddopts = --import-mode=importlib\n")
    assert [covered.fault for covered in ask(measure(tmp_path, tmp_path), tmp_path, tmp_path)] == [
        "keys/first.py: tests/unit/keys/test_first.py leaves out lines 2",
        None,
    ]
