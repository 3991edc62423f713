"""Ten thousand agents with real certificates, and what they say, for an installation that is made for a run.

The certificates are drafted, linted and signed by the product's own issuer with the installation's own
issuing key, and stand in its ledger as live. Only the road there is shorter: one transaction, no token, no
journal.
"""

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from opamp.v1 import opamp_pb2
from sqlalchemy import insert

from distribution.demo.cluster import Cluster
from keys import ledger
from keys.certificate import Slot
from keys.custody import file_uri, open_private_key
from keys.identity import AgentId
from keys.issuer import Issuer
from keys.profile import AgentProfile, serial_from
from storage.database import Database

TRUST_DOMAIN = "demo.example"
CAPABILITIES = 0x1 | 0x8 | 0x10 | 0x800 | 0x2000
"""Status, packages and their status, health, heartbeats."""

_SERIAL_BYTES = 19
_UID_BASE = 0x01890A5D_AC96_774B_BCCE_000000000000


@dataclass(frozen=True, slots=True)
class Crowd:
    """Where the agents' file is, and how many there are."""

    file: Path
    count: int


def uid_of(number: int) -> UUID:
    """Return the instance uid of an agent, by its number from 0."""
    return UUID(int=_UID_BASE + number + 1)


def full_state() -> bytes:
    """Return what a first message says after uid and sequence number: who, where, how, which packages."""
    message = opamp_pb2.AgentToServer(capabilities=CAPABILITIES)
    described = {
        "service.name": "io.opentelemetry.collector",
        "service.namespace": "observability",
        "service.version": "0.149.0",
        "service.instance.id": "01890a5d-ac96-774b-bcce-b302099a8057",
    }
    around = {
        "os.type": "linux",
        "os.description": "Debian GNU/Linux 12 (bookworm)",
        "host.name": "ip-10-20-30-40.eu-central-1.compute.internal",
        "host.arch": "amd64",
        "host.id": "0123456789abcdef0123456789abcdef",
        "deployment.environment.name": "production",
    }
    for key, value in described.items():
        message.agent_description.identifying_attributes.add(key=key).value.string_value = value
    for key, value in around.items():
        message.agent_description.non_identifying_attributes.add(key=key).value.string_value = value
    message.health.healthy = True
    message.health.status = "StatusOK"
    for name in ("pipeline:traces", "pipeline:metrics", "extensions"):
        message.health.component_health_map[name].healthy = True
        message.health.component_health_map[name].status = "StatusOK"
    package = message.package_statuses.packages["collector"]
    package.name, package.agent_has_version = "collector", "0.9.0"
    package.agent_has_hash = package.server_offered_hash = b"\x5a" * 32
    package.status = opamp_pb2.PackageStatusEnum_Installed
    message.package_statuses.server_provided_all_packages_hash = b"\xa5" * 32
    return bytes(message.SerializeToString(deterministic=True))


def heartbeat() -> bytes:
    """Return what a heartbeat says after uid and sequence number."""
    return bytes(opamp_pb2.AgentToServer(capabilities=CAPABILITIES).SerializeToString())


def enlist(cluster: Cluster, count: int) -> Crowd:
    """Give `count` agents a certificate and a place in the ledger; the server MUST NOT run meanwhile."""
    keys = cluster.server_folder / "keys"
    certificate = x509.load_pem_x509_certificate((keys / "ca-issuing.pem").read_bytes())
    issuer = Issuer(open_private_key(file_uri(keys / "ca-issuing.key.pem")), certificate)
    file = cluster.root / "agents.txt"
    issuing_der = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()
    head = [f"full {full_state().hex()}", f"beat {heartbeat().hex()}", f"issuer {issuing_der}"]
    rows = list(_issued(issuer, count))
    file.write_text("\n".join([*head, *(line for line, _, _ in rows)]) + "\n")
    database = Database.open(f"sqlite:///{cluster.server_folder / 'quartermaster.db'}")
    try:
        with database.write() as connection:
            connection.execute(insert(ledger.enrollments), [enrolled for _, enrolled, _ in rows])
            connection.execute(insert(ledger.credentials), [credential for _, _, credential in rows])
    finally:
        database.close()
    return Crowd(file, count)


def _issued(issuer: Issuer, count: int) -> Iterator[tuple[str, dict[str, object], dict[str, object]]]:
    now = datetime.now(UTC).replace(microsecond=0)
    profile = AgentProfile(TRUST_DOMAIN, timedelta(days=7))
    holds = issuer.holds(profile, now)
    for number in range(count):
        agent, key = AgentId(uid_of(number)), ec.generate_private_key(ec.SECP256R1())
        serial = serial_from(secrets.token_bytes(_SERIAL_BYTES))
        draft = issuer.draft(profile, agent=agent, public_key=key.public_key(), serial=serial, holds=holds)
        chain = issuer.sign(draft)
        leaf = x509.load_pem_x509_certificate(chain).public_bytes(Encoding.DER)
        secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        line = f"{agent.raw.hex()} {base64.b64encode(leaf).decode()} {base64.b64encode(secret).decode()}"
        enrolled: dict[str, object] = {
            "agent": str(agent),
            "token_id": "benchmark",
            "labels": {},
            "at": now,
            "standing": ledger.Standing.ENROLLED.value,
            "standing_since": now,
        }
        credential: dict[str, object] = {
            "serial": str(serial),
            "agent": str(agent),
            "slot": Slot.CURRENT.value,
            "state": ledger.State.LIVE.value,
            "spki_sha256": draft.sha256,
            "token_id": "benchmark",
            "unsigned_sha256": draft.sha256,
            "not_before": holds.not_before,
            "not_after": holds.not_after,
            "chain_pem": chain,
            "intended_at": now,
            "issued_at": now,
        }
        yield line, enrolled, credential
