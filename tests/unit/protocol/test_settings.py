"""Connection settings on the wire: complete, and read the same by the letter and by known clients."""

from datetime import UTC, datetime, timedelta

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.attempts import attempt_of, is_of, numbered
from distribution.domain.connections import (
    ConnectionOffer,
    ConnectionSet,
    Credential,
    Destination,
    Signal,
)
from distribution.domain.terms import Terms
from distribution.protocol.settings import HTTP, WEBSOCKET, connection_settings

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
TERMS = Terms("https://fleet.example:4320/v1/opamp", "https://fleet.example:4321/", "CA PEM")
METRICS = Destination("https://otlp.example:4318/v1/metrics", {"Authorization": "Basic s3cret"}, "OTLP CA")
TELEMETRY = ConnectionSet({Signal.METRICS: METRICS, Signal.TRACES: None, Signal.LOGS: None})
CREDENTIAL = Credential(b"CHAIN", 30, NOW, 7)


def said(
    settings: ConnectionSet | None = None, credential: Credential | None = None, attempt: int = 1
) -> opamp_pb2.ConnectionSettingsOffers:
    offer = None if settings is None else ConnectionOffer(settings, attempt)
    return connection_settings(offer, credential, TERMS, WEBSOCKET)


def test_a_signal_is_said_with_its_endpoint_headers_and_trust() -> None:
    """A destination with a CA of its own is verified with that and nothing else, from TLS 1.2 on."""
    assert said(TELEMETRY).own_metrics == opamp_pb2.TelemetryConnectionSettings(
        destination_endpoint="https://otlp.example:4318/v1/metrics",
        headers=opamp_pb2.Headers(headers=[opamp_pb2.Header(key="Authorization", value="Basic s3cret")]),
        tls=opamp_pb2.TLSConnectionSettings(ca_pem_contents="OTLP CA", min_version="1.2"),
    )


def test_a_signal_that_is_off_is_there_with_an_empty_endpoint() -> None:
    """Absent would mean unchanged by the specification and off to the supervisor; this means off to both."""
    message = opamp_pb2.ConnectionSettingsOffers.FromString(said(TELEMETRY).SerializeToString())
    assert [message.HasField(name) for name in ("own_metrics", "own_traces", "own_logs")] == [True] * 3
    assert (message.own_traces.destination_endpoint, message.own_logs.destination_endpoint) == ("", "")


def test_what_is_not_decided_is_not_there() -> None:
    """Settings of other connections leave the OpAMP connection and own telemetry as they are."""
    message = said(ConnectionSet(other={"kafka": Destination("broker:9093", settings={"topic": "t"})}))
    assert [field.name for field, _ in message.ListFields()] == ["hash", "other_connections"]
    assert message.other_connections["kafka"] == opamp_pb2.OtherConnectionSettings(
        destination_endpoint="broker:9093",
        other_settings={"topic": "t"},
        tls=opamp_pb2.TLSConnectionSettings(include_system_ca_certs_pool=True, min_version="1.2"),
    )


def test_headers_of_other_connections_are_said() -> None:
    """They are whole, as those of own telemetry are."""
    found = said(ConnectionSet(other={"x": Destination("https://x.example", {"X-Key": "1"})}))
    assert [(one.key, one.value) for one in found.other_connections["x"].headers.headers] == [("X-Key", "1")]


@pytest.mark.parametrize(("route", "scheme"), [(WEBSOCKET, "wss"), (HTTP, "https")])
def test_the_opamp_connection_is_a_full_snapshot(route: object, scheme: str) -> None:
    """Endpoint of the agent's transport, certificate with its CA, trust, heartbeat; never a private key."""
    offer = ConnectionOffer(ConnectionSet(heartbeat_seconds=5), 1, b"CHAIN")
    message = connection_settings(offer, None, TERMS, WEBSOCKET if route is WEBSOCKET else HTTP)
    assert message.opamp == opamp_pb2.OpAMPConnectionSettings(
        destination_endpoint=f"{scheme}://fleet.example:4320/v1/opamp",
        heartbeat_interval_seconds=5,
        certificate=opamp_pb2.TLSCertificate(cert=b"CHAIN", ca_cert=b"CA PEM"),
        tls=opamp_pb2.TLSConnectionSettings(ca_pem_contents="CA PEM", min_version="1.3"),
    )


def test_an_agent_on_a_bearer_token_keeps_its_headers() -> None:
    """It is told the header it shows, and no certificate, because it has none."""
    headers = {"Authorization": "Bearer abc"}
    offer = ConnectionOffer(ConnectionSet(heartbeat_seconds=5), 1, None, headers)
    opamp = connection_settings(offer, None, TERMS, HTTP).opamp
    assert [(one.key, one.value) for one in opamp.headers.headers] == [("Authorization", "Bearer abc")]
    assert not opamp.HasField("certificate")


def test_a_destination_without_headers_has_none() -> None:
    """No empty message stands for them."""
    found = said(ConnectionSet({Signal.LOGS: Destination("https://otlp.example/v1/logs")}))
    assert not found.own_logs.HasField("headers")
    assert found.own_logs.tls.include_system_ca_certs_pool


def test_the_hash_names_settings_and_try() -> None:
    """A further try of the same settings has another hash, and both are known again."""
    first, second = said(TELEMETRY, attempt=1).hash, said(TELEMETRY, attempt=2).hash
    assert (first, second) == (numbered(TELEMETRY.digest, 1), numbered(TELEMETRY.digest, 2))
    assert [is_of(TELEMETRY.digest, one) for one in (first, second)] == [True, True]


def test_a_credential_says_own_telemetry_too() -> None:
    """Some agents build all settings from the message alone; its hash is new and still names the settings."""
    message = said(TELEMETRY, CREDENTIAL, attempt=3)
    assert message.opamp.certificate.cert == b"CHAIN"
    assert message.opamp.heartbeat_interval_seconds == 30
    assert message.own_metrics.destination_endpoint == METRICS.endpoint
    assert message.HasField("own_logs")
    assert (is_of(TELEMETRY.digest, message.hash), attempt_of(message.hash)) == (True, 3)
    later = Credential(b"CHAIN", 30, NOW + timedelta(seconds=1), 8)
    assert message.hash not in (said(TELEMETRY, attempt=3).hash, said(TELEMETRY, later, attempt=3).hash)


def test_a_credential_alone_has_a_hash_of_its_own() -> None:
    """Equal answers to two requests are two offers; the heartbeat is never zero."""
    one, two = said(None, CREDENTIAL), said(None, Credential(b"CHAIN", 0, NOW, 8))
    assert one.hash != two.hash
    assert two.opamp.heartbeat_interval_seconds == 1


def test_a_set_with_a_heartbeat_wins_over_the_credentials() -> None:
    """The operator's interval is said in the answer to a certificate request as well."""
    assert said(ConnectionSet(heartbeat_seconds=7), CREDENTIAL).opamp.heartbeat_interval_seconds == 7


def test_nothing_to_say_is_a_mistake() -> None:
    """Without settings and credential there is no message."""
    with pytest.raises(ValueError, match="neither settings nor a credential"):
        said()


def test_other_connections_need_no_headers() -> None:
    """A destination without any has no message for them."""
    offer = ConnectionOffer(ConnectionSet(other={"db": Destination("db.example:5432")}), 1)
    message = connection_settings(offer, None, TERMS, WEBSOCKET)
    assert not message.other_connections["db"].HasField("headers")
