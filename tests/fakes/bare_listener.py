"""A listener that accepts and closes and does nothing else, as a process of its own: the least there is."""

import asyncio
import contextlib
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Bare:
    """One that runs."""

    pid: int
    port: int


async def _close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        await reader.read(1)
    writer.transport.abort()


async def _serve(folder: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "server.pem", folder / "server.key.pem")
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, _context: None)  # peers that leave in the middle are its trade
    server = await asyncio.start_server(_close, "127.0.0.1", 0, ssl=context, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)


@contextmanager
def bare_listener(keys: Path) -> Iterator[Bare]:
    """Run one with the certificate in this folder of a server's keys."""
    argv = [sys.executable, "-m", __name__, str(keys)]
    # Coverage would count what it costs to look on, which for the standard library's loop is most of all.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env=env,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Bare(process.pid, int(process.stdout.readline()))
        finally:
            process.stdin.close()


if __name__ == "__main__":
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_serve(Path(sys.argv[1])))
