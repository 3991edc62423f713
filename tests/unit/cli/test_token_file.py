"""cli/token_file.py: a bad token file is blamed on itself, by name, and nothing of it is shown."""

from pathlib import Path

import pytest

from distribution.cli.main import run
from distribution.cli.session import Options, Session
from distribution.cli.token_file import read_token
from distribution.errors import InvalidError
from tests.fakes.operators_trust import a_trust

SECRET = b"V3ry-s3cret_"


def test_a_token_is_read_without_what_surrounds_it(tmp_path: Path) -> None:
    """A line break at the end belongs to the file, not to the token."""
    path = tmp_path / "token"
    path.write_bytes(b"ann-1." + SECRET + b"\n\n")
    assert read_token(path) == "ann-1.V3ry-s3cret_"


BAD = [
    (b"", "is empty, expected one line with a token"),
    (b" \n\n", "is empty, expected one line with a token"),
    (b"ann." + SECRET + b"\nbob." + SECRET + b"\n", "has 2 lines, expected one with a token"),
    (b"ann." + SECRET + b"\xff", "is not text, expected a token"),
    ("ann.é".encode() + SECRET, "holds no operator's token: it is not of the form NAME.SECRET"),
    (b"ann " + SECRET, "is not of the form NAME.SECRET"),
    (b"qm1.payload." + SECRET, "is not of the form NAME.SECRET"),
    (b"ann.", "is not of the form NAME.SECRET"),
]


@pytest.mark.parametrize(("body", "words"), BAD)
def test_a_bad_file_is_named_and_not_shown(tmp_path: Path, body: bytes, words: str) -> None:
    """Neither in the error nor in its cause: an operator pastes what a terminal says."""
    path = tmp_path / "token"
    path.write_bytes(body)
    with pytest.raises(InvalidError) as caught:
        read_token(path)
    assert str(caught.value).startswith(f"token file {str(path)!r} ")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A folder, or nothing at all."""
    for path, why in ((tmp_path, "Is a directory"), (tmp_path / "none", "No such file or directory")):
        with pytest.raises(InvalidError, match=f"{path.name}' cannot be read: {why}"):
            read_token(path)


@pytest.mark.parametrize("body", [body for body, _ in BAD])
def test_a_bad_token_file_is_not_the_servers_fault(
    tmp_path: Path, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command is refused (1), and does not say that a server did not answer (3)."""
    (tmp_path / "trust.toml").write_text(a_trust().to_toml())
    (tmp_path / "token").write_bytes(body)
    session = Session(Options(None, tmp_path / "trust.toml", tmp_path / "token", None))
    assert run(["agents", "list"], session=session) == 1
    said = capsys.readouterr().err
    assert said.startswith("quartermaster: token file")
    assert "s3cret" not in said
