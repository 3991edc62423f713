"""The TLS of the listeners.

Rules:

1. TLS 1.3 only. A client that offers less is turned away in the handshake.
2. No session tickets: a resumed session would carry an identity past the handshake that verified it.
   `num_tickets = 0` is what ends resumption in TLS 1.3; `OP_NO_TICKET` alone does not.
3. Agents' listener: a client certificate is verified when it is given (chain, time, purpose), because an
   agent that enrolls has none yet. Who is let in is not decided here but by admission, for every message.

A context is immutable once made: other keys or authorities mean another context. Private keys are loaded by
OpenSSL from the file that custody keeps.
"""

import ssl
from pathlib import Path

from distribution.errors import SettingsError


def server_context(*, certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a listener that asks for no client certificate.

    Args:
        certificate: the server's chain in PEM, leaf first.
        key: its private key, a file.

    Raises:
        SettingsError: they cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    # A TCP connection that ends without TLS's goodbye is its end all the same: WebSocket and HTTP say by
    # themselves what is whole. OpenSSL would write an alert to nobody, each time.
    context.options |= ssl.OP_IGNORE_UNEXPECTED_EOF
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key)
    except OSError as exc:  # ssl.SSLError is one
        raise SettingsError(
            f"certificate {str(certificate)!r} and key {str(key)!r} cannot be used: {exc.strerror or exc}"
        ) from exc
    return context


def agents_context(*, certificate: Path, key: Path, issuing_pem: str) -> ssl.SSLContext:
    """Return the context of the agents' listener.

    Args:
        certificate: the server's chain in PEM, leaf first.
        key: its private key, a file.
        issuing_pem: the CAs that issue to agents. Not the root, which vouches for them: where OpenSSL finds
            it, it goes on to it, and verifies in every handshake what it said of the issuing CA.

    Raises:
        SettingsError: a file cannot be read, or the parts do not belong together.
    """
    context = server_context(certificate=certificate, key=key)
    context.verify_mode = ssl.CERT_OPTIONAL
    # An agent's chain ends at the issuing CA that we hold ourselves.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        context.load_verify_locations(cadata=issuing_pem)
    except ssl.SSLError as exc:
        raise SettingsError("the clients' CA is no certificate in PEM") from exc
    return context
