"""Connection settings as messages (OpAMP "ConnectionSettingsOffers"); `domain.connection_offer` says what.

Rules: a private key and the turning off of verification are never written; `tls` is always there, because an
absent one means "unchanged"; a signal that is off has its message, with an empty endpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opamp.v1 import opamp_pb2

from distribution.domain.connection_offer import OpampTold, compose
from distribution.domain.connections import ConnectionOffer, Credential, Destination, Signal
from distribution.domain.terms import Terms


@dataclass(frozen=True, slots=True)
class Route:
    """How the agent is connected. `secure_scheme` is wss or https, as its endpoint must begin."""

    secure_scheme: str


WEBSOCKET: Final = Route("wss")
HTTP: Final = Route("https")

_OURS_MIN: Final = "1.3"
_OTHERS_MIN: Final = "1.2"


def connection_settings(
    offer: ConnectionOffer | None, credential: Credential | None, terms: Terms, route: Route
) -> opamp_pb2.ConnectionSettingsOffers:
    """Return the message that says an offer, an answer to a certificate request, or both.

    Raises:
        ValueError: neither was given.
    """
    told = compose(offer, credential, terms, route.secure_scheme)
    message = opamp_pb2.ConnectionSettingsOffers(hash=told.hash)
    if told.opamp is not None:
        message.opamp.CopyFrom(_opamp(told.opamp))
    places = {
        Signal.METRICS: message.own_metrics,
        Signal.TRACES: message.own_traces,
        Signal.LOGS: message.own_logs,
    }
    for signal, target in told.telemetry.items():
        places[signal].SetInParent()  # an empty message that is there says that the signal is off
        places[signal].MergeFrom(_telemetry(target))
    for name, target in told.other.items():
        message.other_connections[name].CopyFrom(_other(target))
    return message


def _opamp(opamp: OpampTold) -> opamp_pb2.OpAMPConnectionSettings:
    message = opamp_pb2.OpAMPConnectionSettings(
        destination_endpoint=opamp.endpoint,
        heartbeat_interval_seconds=opamp.heartbeat_seconds,
        tls=opamp_pb2.TLSConnectionSettings(ca_pem_contents=opamp.ca_pem, min_version=_OURS_MIN),
    )
    if opamp.headers:
        message.headers.CopyFrom(_headers(opamp.headers))
    if opamp.chain_pem:
        # The agent's own key never left it, so `private_key` stays unset (OpAMP "Agent-initiated CSR Flow").
        message.certificate.cert = opamp.chain_pem
        message.certificate.ca_cert = opamp.ca_pem.encode()
    return message


def _telemetry(target: Destination | None) -> opamp_pb2.TelemetryConnectionSettings:
    if target is None:
        return opamp_pb2.TelemetryConnectionSettings()
    message = opamp_pb2.TelemetryConnectionSettings(destination_endpoint=target.endpoint, tls=_tls(target))
    if target.headers:
        message.headers.CopyFrom(_headers(target.headers))
    return message


def _other(target: Destination) -> opamp_pb2.OtherConnectionSettings:
    message = opamp_pb2.OtherConnectionSettings(
        destination_endpoint=target.endpoint, tls=_tls(target), other_settings=dict(target.settings)
    )
    if target.headers:
        message.headers.CopyFrom(_headers(target.headers))
    return message


def _tls(target: Destination) -> opamp_pb2.TLSConnectionSettings:
    return opamp_pb2.TLSConnectionSettings(
        ca_pem_contents=target.ca_pem,
        include_system_ca_certs_pool=not target.ca_pem,
        min_version=_OTHERS_MIN,
    )


def _headers(headers: Mapping[str, str]) -> opamp_pb2.Headers:
    return opamp_pb2.Headers(
        headers=[opamp_pb2.Header(key=name, value=value) for name, value in headers.items()]
    )
