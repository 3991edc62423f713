"""A PostgreSQL server of its own: in a folder, on a unix socket, as a user that is not root."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
_NOBODY = "nobody"


class NoPostgresError(Exception):
    """PostgreSQL's programs are not installed here."""


def programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl`. Raises NoPostgresError."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = shutil.which("initdb")
    if found is None:
        raise NoPostgresError("neither /usr/lib/postgresql nor the PATH has initdb")
    return Path(found).resolve().parent


@contextmanager
def serving(*, durable: bool = False, disk: str | None = None) -> Iterator[str]:
    """Run a new server and yield the URL of its database.

    Args:
        durable: whether it waits for the disk, as one in use must; tests that kill no machine need not.
        disk: a folder on the disk that is meant; the system's for temporary files by default. Not a long
            path, because a socket's has 107 bytes at most.
    """
    with tempfile.TemporaryDirectory(prefix="qm-pg", dir=disk) as folder:
        yield from _serving(Path(folder), durable=durable)


def _serving(folder: Path, *, durable: bool) -> Iterator[str]:
    tools, data = programs(), folder / "data"
    _own(folder)
    _run(tools / "initdb", "-D", data, "-U", "qm", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    start(folder, durable=durable)
    try:
        yield f"postgresql+psycopg://qm@/postgres?host={folder}"
    finally:
        stop(folder)


def start(folder: Path, *, durable: bool = False) -> None:
    """Start the server of `folder`, and wait until it answers."""
    options = f"-c listen_addresses='' -c unix_socket_directories={folder}"
    if not durable:
        options += " -c fsync=off -c full_page_writes=off"
    words = ("-w", "-t", START_SECONDS, "-l", folder / "log", "-o", options, "start")
    _run(programs() / "pg_ctl", "-D", folder / "data", *words)


def stop(folder: Path) -> None:
    """End the server of `folder` without warning."""
    _run(programs() / "pg_ctl", "-D", folder / "data", "-w", "-m", "immediate", "stop")


def _own(folder: Path) -> None:
    """Give the folder to the user that the server runs as."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(_NOBODY)
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)


def _run(program: Path, *arguments: object) -> None:
    user = _NOBODY if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        user=user,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if program.name == "initdb" else subprocess.DEVNULL,
        stderr=subprocess.PIPE if program.name == "initdb" else subprocess.DEVNULL,
        text=True,
        timeout=2 * START_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program.name} exited {done.returncode}: {done.stderr or arguments}")
