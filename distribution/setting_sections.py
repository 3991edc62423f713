"""The sections of the settings file: each setting with its sentence, its reader and its default.

What reads and refuses them is `distribution.settings`.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from distribution import setting_values as values
from distribution.setting_values import Described

Host = Annotated[str, Described("Address the listener binds.", values.text)]
Port = Annotated[int, Described("Port the listener binds; 0 takes a free one.", values.whole(0, 65_535))]
ListenerUrl = Annotated[str, Described("Public address of the listener.", values.address("https"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The server as a whole."""

    trust_domain: Annotated[
        str, Described("Name of the fleet in every agent's certificate (SPIFFE).", values.trust_domain)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentsSettings:
    """The agents' listener: OpAMP over WebSocket and over HTTP, TLS 1.3, client certificates."""

    host: Host = "0.0.0.0"  # noqa: S104 - agents come from other hosts
    port: Port = 4320
    path: Annotated[str, Described("Path of the OpAMP endpoint.", values.request_path)] = "/v1/opamp"
    url: Annotated[
        str, Described("Public address of the endpoint, path included.", values.address("wss", "https"))
    ]
    heartbeat_seconds: Annotated[
        int, Described("How often an agent that is idle reports, in seconds.", values.whole(1, 3600))
    ] = 30
    retry_seconds: Annotated[
        int,
        Described(
            "How long what failed on an agent is waited out before it is offered again, the first time, in "
            "seconds.",
            values.whole(1, 86_400),
        ),
    ] = 600
    stale_after_missed: Annotated[
        int, Described("Reports that may fail to come before an agent is stale.", values.whole(1, 100))
    ] = 3
    gone_after_hours: Annotated[
        int, Described("Hours without a word after which an agent counts as gone.", values.whole(1, 8760))
    ] = 24
    drain_seconds: Annotated[
        int,
        Described(
            "Over how long the connections are closed when the server stops, at most, in seconds.",
            values.whole(0, 600),
        ),
    ] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadsSettings:
    """The downloads' listener: TUF metadata and the packages' bytes."""

    host: Host = "0.0.0.0"  # noqa: S104 - agents come from other hosts
    port: Port = 4321
    url: ListenerUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorsSettings:
    """The operators' listener: the HTTP API, health and metrics. Only this host reaches it by default."""

    host: Host = "127.0.0.1"
    port: Port = 4322
    url: ListenerUrl = "https://127.0.0.1:4322"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Facts: the ledger, the journal, the fleet."""

    url: Annotated[
        str,
        Described(
            "`sqlite:///file`, or `postgresql+psycopg://user:pw@host/name`.",
            values.database_url,
        ),
    ] = dataclasses.field(default="sqlite:///quartermaster.db", repr=False)  # it may hold a password


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsSettings:
    """Bytes: packages, TUF metadata, the journal's kept head."""

    url: Annotated[
        str,
        Described(
            "`file:folder` or `s3://bucket/prefix`; S3 credentials come from the usual AWS variables.",
            values.objects_url,
        ),
    ] = "file:objects"
    endpoint: Annotated[
        str | None,
        Described("Address of an S3-compatible store that is not AWS.", values.address("https", "http")),
    ] = None
    region: Annotated[str | None, Described("Region of the S3 store.", values.text)] = None
    ca_bundle: Annotated[
        Path | None,
        Described("CA certificates (PEM) that verify the S3 store's certificate.", values.file_path),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysSettings:
    """The server's keys, each a `file:` URI or a path. None of them can mint a package."""

    folder: Annotated[
        Path,
        Described(
            "Folder of the server's keys; no other TUF key than the two below may lie in it.",
            values.file_path,
        ),
    ] = Path("keys")
    snapshot: Annotated[str, Described("Private key of the TUF role snapshot.", values.key_uri)] = (
        "keys/snapshot.pem"
    )
    timestamp: Annotated[str, Described("Private key of the TUF role timestamp.", values.key_uri)] = (
        "keys/timestamp.pem"
    )
    issuing_ca: Annotated[str, Described("Private key that signs agents' certificates.", values.key_uri)] = (
        "keys/ca-issuing.key.pem"
    )
    issuing_ca_certificate: Annotated[
        Path, Described("Certificate of the issuing CA (PEM), signed by the root CA.", values.file_path)
    ] = Path("keys/ca-issuing.pem")
    ca_certificate: Annotated[
        Path, Described("Certificate of the root CA (PEM); its key stays offline.", values.file_path)
    ] = Path("keys/ca-root.pem")
    seal: Annotated[
        str,
        Described(
            "Key that seals secrets in the database; made where it is missing and nothing is sealed yet. "
            "Keep a copy apart from the database's; replicas share it.",
            values.key_uri,
        ),
    ] = "keys/seal.key"
    tls_key: Annotated[str, Described("Private key of the three listeners.", values.key_uri)] = (
        "keys/server.key.pem"
    )
    tls_certificate: Annotated[
        Path, Described("Certificate chain of the three listeners (PEM), leaf first.", values.file_path)
    ] = Path("keys/server.pem")
    tuf_root: Annotated[
        Path,
        Described(
            "First version of the TUF root metadata; everything is verified from it.", values.file_path
        ),
    ] = Path("keys/tuf-root.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsSettings:
    """What agents' certificates look like."""

    validity_hours: Annotated[
        int,
        Described(
            "Life of an agent's certificate, in hours; it renews at two thirds.", values.whole(1, 2160)
        ),
    ] = 168


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSettings:
    """What a peer may ask of the server at most."""

    upload_max_bytes: Annotated[
        int, Described("Largest package file a pipeline may upload, in bytes.", values.whole(1, 1 << 40))
    ] = 4 << 30
    uploads_at_once: Annotated[
        int,
        Described(
            "Uploads received at the same time; one more is told to come again.", values.whole(1, 1000)
        ),
    ] = 4
    role_max_bytes: Annotated[
        int,
        Described(
            "Largest TUF role a pipeline may submit, in bytes; TUF clients stop at 5,000,000.",
            values.whole(1024, 5_000_000),
        ),
    ] = 5_000_000
    body_max_bytes: Annotated[
        int, Described("Largest JSON body of the operators' API, in bytes.", values.whole(1024, 1 << 28))
    ] = 16 << 20
    message_max_bytes: Annotated[
        int, Described("Largest OpAMP message, in bytes, after decompression.", values.whole(1024, 64 << 20))
    ] = 4 << 20
    connections_per_address: Annotated[
        int,
        Described(
            "Connections from one address at the same time, on each listener; raise it where more agents "
            "share one.",
            values.whole(1, 1 << 20),
        ),
    ] = 16_384
    handshakes_at_once: Annotated[
        int,
        Described(
            "TLS handshakes at the same time; more let newcomers in no faster and answer the others later.",
            values.whole(1, 10_000),
        ),
    ] = 100
    fruitless_handshakes_per_second: Annotated[
        int,
        Described(
            "Connections of one address that end without a message, in a second, before its next ones wait.",
            values.whole(1, 1_000_000),
        ),
    ] = 5
    enrollments_per_second: Annotated[
        int,
        Described(
            "Requests of peers that enroll, in a second; ten times as many after a quiet time.",
            values.whole(1, 10_000),
        ),
    ] = 100
    enrollments_per_second_per_address: Annotated[
        int,
        Described(
            "The same, from one address.",
            values.whole(1, 10_000),
        ),
    ] = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationsSettings:
    """Remote configurations: who judges them before they can be assigned."""

    validator: Annotated[
        tuple[str, ...] | None,
        Described(
            'Command that judges a version, a list of arguments, such as `["otelcol", "validate", '
            '"--config={file}"]`; an argument with `{file}` is there once for each object.',
            values.command,
        ),
    ] = None
    validator_seconds: Annotated[
        int, Described("How long the validator may take, in seconds.", values.whole(1, 300))
    ] = 20
