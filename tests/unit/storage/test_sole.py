"""A lock file has one holder, and none once its process is gone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storage.errors import UnavailableError
from storage.sole import sole_holder

HOLD = """
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from storage.sole import sole_holder
with sole_holder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(path: Path) -> Iterator[int]:
    """Another process that holds `path` until it is killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.kill()


def hold(path: Path) -> None:
    with sole_holder(path):
        pass


def test_a_second_holder_is_refused_by_name(tmp_path: Path) -> None:
    """While one process holds the file another is refused, and told whose it is."""
    path = tmp_path / "lock"
    with holding(path) as pid, pytest.raises(UnavailableError, match=f"held by process {pid}, "):
        hold(path)


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    """A process that was killed leaves a file that the next one can hold."""
    path = tmp_path / "lock"
    with holding(path):
        pass
    with sole_holder(path):
        assert path.read_text() == str(os.getpid())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A lock that cannot be opened is refused with its path."""
    with (
        pytest.raises(UnavailableError, match=r"nowhere/lock' cannot be opened"),
        sole_holder(tmp_path / "nowhere" / "lock"),
    ):
        pass
