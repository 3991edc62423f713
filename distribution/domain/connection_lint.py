"""The lint of our own offers of connection settings: what a known client would read as insecure is not said.

A client that finds no certificate in an offer may drop its own, its headers and the verification of the
server with it; one that finds a heartbeat of 0 goes silent; a header with a line break is another header. So
every offer is looked at as it will be said, and refused by the name of the field. No I/O.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import chain
from typing import Final
from urllib.parse import SplitResult, unquote, unquote_plus, urlsplit

from distribution.domain.connection_offer import OpampTold, Told
from distribution.domain.connections import Destination
from distribution.domain.secrets import is_reference, names_a_secret, spoken
from distribution.errors import InsecureOfferError

HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 5.6.2
HEADERS_MOST: Final = 32
VALUE_MAX: Final = 8192
"""Characters of one value."""

_PLAIN_SCHEMES: Final = frozenset({"http", "ws", "tcp", "ftp"})
_OPAMP_SCHEMES: Final = frozenset({"wss", "https"})
_OTLP_SCHEMES: Final = frozenset({"https", "http"})
_CERTIFICATE: Final = "-----BEGIN CERTIFICATE-----"
_PAIRS: Final = re.compile("[&;]")
_PRIVATE: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")


class Presents(Enum):
    """What the agent connects by now, and must not lose."""

    CERTIFICATE = "certificate"
    TOKEN = "token"  # noqa: S105 - the name of a kind
    NOTHING = "nothing"


def require_safe(told: Told, presents: Presents, *, reports_status: bool) -> None:
    """Refuse an offer that a client would read as insecure, or that would lock the agent out.

    Args:
        told: the offer as it will be said.
        presents: what the agent connects by.
        reports_status: whether it says what became of settings. A known client that does not takes an absent
            certificate for leave to verify no server.

    Raises:
        InsecureOfferError: it names the first field that is wrong, as it is called on the wire.
    """
    for fault in _faults(told, presents, reports_status=reports_status):
        raise InsecureOfferError(f"connection settings are not offered: {fault}")


def require_safe_destination(where: str, target: Destination, *, full_url: bool) -> None:
    """Refuse one destination, as `require_safe` would; `full_url` for own telemetry. Raises as that.

    A credential in its address is refused here alone: a setting that was taken earlier goes on being offered.
    """
    faults = chain(_destination(where, target, full_url=full_url), _credentials(where, target.endpoint))
    for fault in faults:
        raise InsecureOfferError(f"connection settings are not offered: {fault}")


def _faults(told: Told, presents: Presents, *, reports_status: bool) -> Iterator[str]:
    if not told.hash:
        yield "hash is empty, no status could name them"
    if told.opamp is not None:
        yield from _opamp(told.opamp, presents, reports_status=reports_status)
    for signal, target in told.telemetry.items():
        if target is not None:
            yield from _destination(signal.value, target, full_url=True)
    for name, target in told.other.items():
        yield from _destination(f"other_connections[{name!r}]", target, full_url=False)


def _opamp(opamp: OpampTold, presents: Presents, *, reports_status: bool) -> Iterator[str]:
    chain = opamp.chain_pem.decode(errors="replace")
    if not opamp.endpoint:
        yield "opamp.destination_endpoint is missing"
    else:
        yield from _address("opamp", opamp.endpoint, plain_text_is_meant=False, schemes=_OPAMP_SCHEMES)
    if opamp.heartbeat_seconds < 1:
        yield f"opamp.heartbeat_interval_seconds is {opamp.heartbeat_seconds}, which turns heartbeats off"
    if _CERTIFICATE not in opamp.ca_pem:
        yield "opamp.tls.ca_pem_contents is no certificate, clients would trust anybody or nobody"
    if presents is Presents.CERTIFICATE and _CERTIFICATE not in chain:
        yield "opamp.certificate is missing, the agent would drop the one it has and verify nothing"
    elif not reports_status and _CERTIFICATE not in chain:
        yield "opamp.certificate is missing, an agent that reports no status may verify no server then"
    if _PRIVATE.search(chain) or _PRIVATE.search(opamp.ca_pem):
        yield "opamp.certificate carries a private key"
    if presents is Presents.TOKEN and "authorization" not in {name.lower() for name in opamp.headers}:
        yield "opamp.headers lack Authorization, the agent would drop the token it has"
    yield from _headers("opamp", opamp.headers)


def _destination(where: str, target: Destination, *, full_url: bool) -> Iterator[str]:
    if not target.endpoint:
        yield f"{where}.destination_endpoint is missing"
        return
    schemes = _OTLP_SCHEMES if full_url else None
    yield from _address(
        where, target.endpoint, plain_text_is_meant=target.plain_text_is_meant, schemes=schemes
    )
    if target.ca_pem and _CERTIFICATE not in target.ca_pem:
        yield f"{where}.tls.ca_pem_contents is no certificate"
    if _PRIVATE.search(target.ca_pem):
        yield f"{where}.tls.ca_pem_contents carries a private key"
    yield from _headers(where, target.headers)
    for name, value in target.settings.items():
        if len(value) > VALUE_MAX or len(name) > VALUE_MAX:
            yield f"{where}.other_settings[{name[:40]!r}] has more than {VALUE_MAX} characters"
        if _PRIVATE.search(value):
            yield f"{where}.other_settings[{name[:40]!r}] carries a private key"


def _address(
    where: str, endpoint: str, *, plain_text_is_meant: bool, schemes: frozenset[str] | None
) -> Iterator[str]:
    """Yield what is wrong; a full URL has one of `schemes`, None asks for no URL."""
    field = f"{where}.destination_endpoint"
    if not endpoint.isprintable() or " " in endpoint:
        yield f"{field} has characters that no address has"
        return
    try:
        parts = _parts(endpoint)
        host, _port = parts.hostname, "://" in endpoint and parts.port
    except ValueError:
        yield f"{field} is not an address"
        return
    if "://" not in endpoint:
        if schemes is not None:
            yield f"{field} is not a full URL"
        return
    if not host:
        yield f"{field} names no host"
    if parts.scheme in _PLAIN_SCHEMES and not plain_text_is_meant:
        yield f"{field} has the scheme {parts.scheme!r}, which has no TLS"
    if schemes is not None and parts.path in ("", "/"):
        yield f"{field} has no path, clients use it as it is"
    if schemes is not None and parts.scheme not in schemes:
        yield f"{field} has the scheme {parts.scheme!r}, expected one of {sorted(schemes)}"


def _parts(endpoint: str) -> SplitResult:
    return urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")


def _credentials(where: str, endpoint: str) -> Iterator[str]:
    """Yield what of an address is a credential: addresses are listed, journalled, logged; headers are not.

    No keyword allows it: whatever takes a credential in an address takes it in a header or a setting.
    """
    field, parts = f"{where}.destination_endpoint", _parts(endpoint)
    seen = "which everybody may see; put it into headers"
    if parts.username is not None or parts.password is not None:
        yield f"{field} carries a user or password, {seen}"
    path, _, of_path = parts.path.partition(";")
    places = (parts.query, parts.fragment, of_path)
    given = [pair.partition("=") for text in places for pair in _PAIRS.split(text)]
    for name, _, value in given:
        if value and names_a_secret(unquote_plus(name)) and not is_reference(unquote_plus(value)):
            yield f"{field} carries a credential ({unquote_plus(name)[:40]!r}), {seen}"
    texts = [unquote(path), *(unquote_plus(text) for name, _, value in given for text in (name, value))]
    for text in texts:
        if spoken(text) != text:  # a token of a known form needs no name
            yield f"{field} carries what looks like a credential, {seen}"


def _headers(where: str, headers: Mapping[str, str]) -> Iterator[str]:
    if len(headers) > HEADERS_MOST:
        yield f"{where}.headers are {len(headers)}, at most {HEADERS_MOST} are sent"
    if len({name.lower() for name in headers}) < len(headers):
        yield f"{where}.headers have a name twice"
    for name, value in headers.items():
        if HEADER_NAME.fullmatch(name) is None:
            yield f"{where}.headers have a name that is none"  # which may be a value in its place
        elif not value.isascii() or not value.isprintable():  # RFC 9110 5.5: a line break begins a header
            yield f"{where}.headers[{name}] has characters that no value has"
        elif len(value) > VALUE_MAX:
            yield f"{where}.headers[{name}] has more than {VALUE_MAX} characters"
        elif _PRIVATE.search(value):
            yield f"{where}.headers[{name}] carries a private key"
