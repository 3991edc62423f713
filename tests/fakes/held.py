"""What another process holds and spends, from the kernel."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

FILES_MORE = 2
SETTLE_SECONDS = 60.0
LOOK_SECONDS = 0.02


class Held:
    """What the server's process holds, from the kernel."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def bytes(self) -> int:
        """Memory that is resident."""
        return int((self._proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files(self) -> int:
        """Open files."""
        return len(list((self._proc / "fd").iterdir()))

    def cpu(self) -> float:
        """Seconds of CPU, of all threads."""
        spent = 0
        for task in (self._proc / "task").iterdir():
            with contextlib.suppress(OSError):
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9


async def settled(held: Held, files: int) -> None:
    """Wait until the server has let go of all connections."""
    until = time.monotonic() + SETTLE_SECONDS
    while held.files() > files + FILES_MORE:
        assert time.monotonic() < until, f"{held.files()} files are open, {files} were before"
        await asyncio.sleep(0.05)


class Peak:
    """The most bytes that were held while somebody looked."""

    def __init__(self) -> None:
        self.bytes = 0


@asynccontextmanager
async def watched(held: Held) -> AsyncIterator[Peak]:
    """Look at a process's memory again and again until the block ends."""
    peak = Peak()

    async def look() -> None:
        while True:
            peak.bytes = max(peak.bytes, held.bytes())
            await asyncio.sleep(LOOK_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield peak
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        peak.bytes = max(peak.bytes, held.bytes())
