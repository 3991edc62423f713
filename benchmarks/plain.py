"""`quartermaster` with an agents' listener that speaks no TLS, to see what a connection costs without it.

For measuring only. Who an agent is, is read from the address that it comes from: the fleet gives each agent
its own. Everything else is the product's.
"""

import asyncio
import os
import ssl
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509

from benchmarks.crowd import uid_of
from distribution.cli.main import main
from distribution.compose import server
from distribution.flows.enrol import Caller
from distribution.transport import peer
from keys.certificate import Serial
from keys.identity import AgentId

CROWD_VARIABLE = "BENCHMARK_CROWD"
"""The agents' file: their certificates' serials are admitted as ever."""

_FIRST = int(IPv4Address("127.1.0.0"))


def _serials(file: Path) -> list[Serial]:
    lines = (line.split() for line in file.read_text().splitlines())
    ders = (ssl.PEM_cert_to_DER_cert(_pem(words[1])) for words in lines if len(words) == 3)  # noqa: PLR2004
    return [Serial(x509.load_der_x509_certificate(der).serial_number) for der in ders]


def _pem(text: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def _without_tls() -> None:
    serials = _serials(Path(os.environ[CROWD_VARIABLE]))
    make = server.agents_server  # type: ignore[attr-defined] # the name it calls, not one it gives

    def caller(transport: asyncio.BaseTransport, _trust_domain: str) -> Caller:
        host, port = transport.get_extra_info("peername")
        number = int(IPv4Address(host)) - _FIRST
        if not 0 <= number < len(serials):
            return Caller(remote=f"{host}:{port}")
        return Caller(serial=serials[number], claimed=AgentId(uid_of(number)), remote=f"{host}:{port}")

    def plain(**parts: Any) -> uvicorn.Config:
        config = make(**parts)
        config.ssl_context_factory = None
        return config

    peer.caller_of_transport = caller  # type: ignore[assignment] # a caller is known without TLS
    server.agents_server = plain  # type: ignore[attr-defined] # as above


if __name__ == "__main__":
    _without_tls()
    main()
