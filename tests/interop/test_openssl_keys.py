"""A client of another make on our TLS transport: OpenSSL's own, which changes its keys in the middle."""

import asyncio
import shutil
import socket
from pathlib import Path

import uvloop

from distribution.transport.sealed import SealedTransport
from tests.fakes.greeted import shake_hands
from tests.fakes.sealed_pair import SECONDS, HeardInBuffer, turns
from tests.fakes.server_tls import server_tls


async def _told(folder: Path) -> None:
    context, ca_file = server_tls(folder)
    program = shutil.which("openssl")
    assert program, "openssl is missing; install it"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        at = "{}:{}".format(*listening.getsockname())
        words = ["s_client", "-connect", at, "-CAfile", str(ca_file), "-verify_return_error"]
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        client = await asyncio.create_subprocess_exec(
            program, *words, **pipes, stderr=asyncio.subprocess.STDOUT
        )
        here, _ = await asyncio.get_running_loop().sock_accept(listening)
    said, heard = client.stdin, client.stdout
    assert said is not None
    assert heard is not None
    protocol = HeardInBuffer()
    watching = turns()
    SealedTransport(await shake_hands(here, context, SECONDS, watching), protocol, watching)
    expected = b""
    for number in range(4):
        said.write(b"K\n")  # its keys change, and it asks for a change of ours
        await asyncio.wait_for(heard.readuntil(b"KEYUPDATE\n"), SECONDS)
        line = b"message %d\n" % number
        said.write(line)
        expected += line
        await protocol.until(lambda: protocol.data == expected)  # noqa: B023 - it is waited for here
        protocol.transport.write(b"answer %d\n" % number)
        await asyncio.wait_for(heard.readuntil(b"answer %d\n" % number), SECONDS)
    said.write_eof()
    assert await protocol.lost is None
    assert await client.wait() == 0


def test_keys_that_change_change_nothing_else(tmp_path: Path) -> None:
    """What is said between and after changes of keys, asked for by the client, comes and goes whole."""
    uvloop.run(_told(tmp_path))
