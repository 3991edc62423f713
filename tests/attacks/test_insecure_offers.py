"""Offers of ours that a client would read as insecure: each defect ends in a refusal naming the field."""

from dataclasses import replace

import pytest

from distribution.domain.connection_lint import Presents, require_safe, require_safe_destination
from distribution.domain.connection_offer import OpampTold, Told
from distribution.domain.connections import Destination, Signal
from distribution.errors import InsecureOfferError

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"
OPAMP = OpampTold("wss://fleet.example:4320/v1/opamp", 30, PEM, PEM.encode())
OTLP = Destination("https://otlp.example:4318/v1/metrics", {"Authorization": "Basic x"}, PEM)
KAFKA = Destination("kafka.example:9093", {"X-Key": "1"}, "", {"topic": "t"})
GOOD = Told(b"hash", OPAMP, {Signal.METRICS: OTLP, Signal.LOGS: None}, {"kafka": KAFKA})


def refused(told: Told, presents: Presents, field: str) -> None:
    with pytest.raises(InsecureOfferError, match=f"connection settings are not offered: {field}"):
        require_safe(told, presents, reports_status=True)


def opamp(**parts: object) -> Told:
    return Told(b"hash", replace(OPAMP, **parts))  # type: ignore[arg-type] # any field


ON_A_TOKEN = opamp(chain_pem=b"", headers={"authorization": "Bearer x"})


def test_a_good_offer_passes() -> None:
    """The builder of the cases below is sound: without a defect nothing is refused."""
    require_safe(GOOD, Presents.CERTIFICATE, reports_status=False)
    require_safe(opamp(chain_pem=b""), Presents.NOTHING, reports_status=True)
    require_safe(ON_A_TOKEN, Presents.TOKEN, reports_status=True)


@pytest.mark.parametrize(
    ("defect", "told", "presents"),
    [
        ("its_certificate", opamp(chain_pem=b""), Presents.CERTIFICATE),
        ("its_token", ON_A_TOKEN, Presents.TOKEN),
        ("nothing_yet", opamp(chain_pem=b""), Presents.NOTHING),
    ],
)
def test_no_certificate_for_who_reports_no_status(defect: str, told: Told, presents: Presents) -> None:
    """The upstream supervisor is such a one: it would show what it holds to whoever answers in our place."""
    assert defect
    with pytest.raises(InsecureOfferError, match=r"opamp\.certificate is missing"):
        require_safe(told, presents, reports_status=False)
    require_safe(replace(told, opamp=None), presents, reports_status=False)


@pytest.mark.parametrize(
    ("defect", "parts", "presents", "field"),
    [
        ("no_certificate", {"chain_pem": b""}, Presents.CERTIFICATE, "opamp.certificate is missing"),
        ("chain_is_no_pem", {"chain_pem": b"x"}, Presents.CERTIFICATE, "opamp.certificate is missing"),
        ("no_token", {"chain_pem": b""}, Presents.TOKEN, "opamp.headers lack Authorization"),
        ("no_endpoint", {"endpoint": ""}, Presents.CERTIFICATE, "opamp.destination_endpoint is missing"),
        ("plain_ws", {"endpoint": "ws://x:1/o"}, Presents.CERTIFICATE, "opamp.destination_endpoint .*no TLS"),
        (
            "plain_http",
            {"endpoint": "http://x/o"},
            Presents.CERTIFICATE,
            "opamp.destination_endpoint .*no TLS",
        ),
        ("no_scheme", {"endpoint": "x:1"}, Presents.CERTIFICATE, "opamp.destination_endpoint is not a full"),
        (
            "odd_scheme",
            {"endpoint": "grpc://x/o"},
            Presents.CERTIFICATE,
            "opamp.destination_endpoint has the",
        ),
        (
            "no_host",
            {"endpoint": "wss:///o"},
            Presents.CERTIFICATE,
            "opamp.destination_endpoint names no host",
        ),
        (
            "no_address",
            {"endpoint": "wss://[x/o"},
            Presents.CERTIFICATE,
            "opamp.destination_endpoint is not an",
        ),
        ("heartbeat_off", {"heartbeat_seconds": 0}, Presents.CERTIFICATE, "opamp.heartbeat_interval_seconds"),
        ("no_ca", {"ca_pem": ""}, Presents.CERTIFICATE, "opamp.tls.ca_pem_contents"),
        (
            "key_in_chain",
            {"chain_pem": (PEM + KEY).encode()},
            Presents.CERTIFICATE,
            "opamp.certificate carries",
        ),
        ("key_in_ca", {"ca_pem": PEM + KEY}, Presents.CERTIFICATE, "opamp.certificate carries a private key"),
        (
            "header_line",
            {"headers": {"A": "b\r\nC: d"}},
            Presents.CERTIFICATE,
            r"opamp.headers\[A\] has char",
        ),
        (
            "header_name",
            {"headers": {"A: b": "c"}},
            Presents.CERTIFICATE,
            "opamp.headers have a name that is",
        ),
    ],
)
def test_the_opamp_connection(defect: str, parts: dict[str, object], presents: Presents, field: str) -> None:
    """Whatever would drop the agent's credential, its verification or its voice is refused."""
    assert defect
    refused(opamp(**parts), presents, field)


def test_empty_hash() -> None:
    """A client takes it anew each time and can report nothing of it."""
    refused(replace(GOOD, hash=b""), Presents.CERTIFICATE, "hash is empty")


@pytest.mark.parametrize(
    ("defect", "target", "field"),
    [
        ("no_endpoint", replace(OTLP, endpoint=""), "destination_endpoint is missing"),
        ("plain_text", replace(OTLP, endpoint="http://otlp/v1/m"), "destination_endpoint .*'http', .*no TLS"),
        (
            "odd_scheme",
            replace(OTLP, endpoint="grpc://otlp/v1/m"),
            "destination_endpoint has the scheme 'grpc'",
        ),
        ("no_otlp", replace(OTLP, endpoint="wss://otlp/v1/m"), "destination_endpoint has the scheme 'wss'"),
        ("no_path", replace(OTLP, endpoint="https://otlp:4318"), "destination_endpoint has no path"),
        ("blank", replace(OTLP, endpoint="https://otlp/v1/ m"), "destination_endpoint has characters"),
        ("line", replace(OTLP, endpoint="https://otlp/v1/m\n"), "destination_endpoint has characters"),
        ("bad_port", replace(OTLP, endpoint="https://otlp:x/v1"), "destination_endpoint is not an address"),
        ("no_url", replace(OTLP, endpoint="otlp:4318"), "destination_endpoint is not a full URL"),
        ("ca_is_no_pem", replace(OTLP, ca_pem="x"), "tls.ca_pem_contents is no certificate"),
        ("key_in_ca", replace(OTLP, ca_pem=PEM + KEY), "tls.ca_pem_contents carries a private key"),
        ("line_in_header", replace(OTLP, headers={"A": "b\nC: d"}), r"headers\[A\] has characters"),
        ("nul_in_header", replace(OTLP, headers={"A": "b\0"}), r"headers\[A\] has characters"),
        ("not_ascii", replace(OTLP, headers={"A": "ü"}), r"headers\[A\] has characters"),
        ("no_name", replace(OTLP, headers={"": "b"}), "headers have a name that is none"),
        ("twice", replace(OTLP, headers={"A": "b", "a": "c"}), "headers have a name twice"),
        ("too_long", replace(OTLP, headers={"A": "b" * 9000}), r"headers\[A\] has more than"),
        ("too_many", replace(OTLP, headers={f"A{n}": "b" for n in range(33)}), "headers are 33"),
        ("key_in_header", replace(OTLP, headers={"A": KEY.replace("\n", " ")}), r"headers\[A\] carries"),
    ],
)
def test_own_telemetry(defect: str, target: Destination, field: str) -> None:
    """A destination that would leak its headers, or that no client can use, is refused."""
    assert defect
    refused(replace(GOOD, telemetry={Signal.METRICS: target}), Presents.CERTIFICATE, f"own_metrics.{field}")
    with pytest.raises(InsecureOfferError, match=f"own_metrics.{field}"):
        require_safe_destination("own_metrics", target, full_url=True)


@pytest.mark.parametrize(
    ("defect", "target", "field"),
    [
        ("no_endpoint", replace(KAFKA, endpoint=""), "destination_endpoint is missing"),
        ("plain_text", replace(KAFKA, endpoint="ws://kafka/x"), "destination_endpoint has the scheme 'ws'"),
        ("key", replace(KAFKA, settings={"tls": KEY}), r"other_settings\['tls'\] carries a private key"),
        ("too_long", replace(KAFKA, settings={"a": "b" * 9000}), r"other_settings\['a'\] has more than"),
    ],
)
def test_other_connections(defect: str, target: Destination, field: str) -> None:
    """They are named by their names; an address need not be a URL."""
    assert defect
    refused(
        replace(GOOD, other={"kafka": target}), Presents.NOTHING, rf"other_connections\['kafka'\].{field}"
    )


@pytest.mark.parametrize(
    ("defect", "endpoint", "field"),
    [
        ("token", "https://x/v1/m?token=s3cret", r"carries a credential \('token'\)"),
        ("later", "https://x/v1/m?a=1&api_key=s3cret", r"carries a credential \('api_key'\)"),
        ("semicolon", "https://x/v1/m?a=1;access_token=s3cret", r"carries a credential \('access_token'\)"),
        ("any_case", "https://x/v1/m?ApiKey=s3cret", r"carries a credential \('ApiKey'\)"),
        ("encoded", "https://x/v1/m?%74oken=s3cret", r"carries a credential \('token'\)"),
        ("short_name", "https://x/v1/m?key=s3cret", r"carries a credential \('key'\)"),
        ("signature", "https://x/v1/m?sv=1&sig=s3cret", r"carries a credential \('sig'\)"),
        ("fragment", "https://x/v1/m#access_token=s3cret", r"carries a credential \('access_token'\)"),
        ("parameter_of_path", "https://x/v1/m;token=s3cret", r"carries a credential \('token'\)"),
        ("looks", "https://x/v1/eyJhbGciOiJIUzI1NiJ9.s3cret/m", "carries what looks like a credential"),
        ("user", "https://u@x/v1/m", "carries a user or password"),
        ("password", "https://:s3cret@x/v1/m", "carries a user or password"),
    ],
)
def test_a_credential_in_an_address(defect: str, endpoint: str, field: str) -> None:
    """It would be listed and journalled, as a header's value never is; the refusal does not show it."""
    assert defect
    for full_url in (True, False):
        for other in (endpoint, *(() if full_url else (endpoint.removeprefix("https://"),))):
            with pytest.raises(InsecureOfferError, match=field) as found:
                require_safe_destination("m", replace(OTLP, endpoint=other), full_url=full_url)
            assert "s3cret" not in str(found.value)
    kept = replace(GOOD, telemetry={Signal.METRICS: replace(OTLP, endpoint=endpoint)})
    require_safe(kept, Presents.CERTIFICATE, reports_status=True)  # taken before there was this rule


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://x/v1/m?tenant=a&format=otlp",
        "https://x/v1/m?token=",
        "https://x/v1/m?token_id=7",
        "https://x/v1/keys?page=1",
        "https://x/v1/m?token=${env:TOKEN}",
        "https://x/basic+observability/v1/m",
    ],
)
def test_what_is_no_credential_stays(endpoint: str) -> None:
    """A query by itself is none, nor is a reference to where one is."""
    require_safe_destination("own_metrics", replace(OTLP, endpoint=endpoint), full_url=True)
    for other in ("a.example:9093,b.example:9093", "/run/x.sock", "tcp:9093/topic?acks=all"):
        require_safe_destination("k", replace(KAFKA, endpoint=other), full_url=False)


def test_plain_text_only_by_its_plain_name() -> None:
    """An operator who means it says so by a keyword, for one destination; never for the OpAMP connection."""
    meant = replace(OTLP, endpoint="http://127.0.0.1:4318/v1/metrics", plain_text_is_meant=True)
    require_safe(replace(GOOD, telemetry={Signal.METRICS: meant}), Presents.CERTIFICATE, reports_status=True)
