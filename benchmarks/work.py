"""The units of work: what a message costs in memory, and what a journal entry costs on this disk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from opamp.v1 import opamp_pb2

from distribution.domain.agent import AgentView, Plan
from distribution.domain.offer import Offer, OfferedPackage
from distribution.domain.package import Artifact, Digest, PackageType, TargetPath
from distribution.protocol import reports, session, wire
from storage import journal
from storage.database import Database, migrate

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
BATCH = 100
PACKAGES = 4


def an_offer() -> Offer:
    """Return an offer of a few packages."""
    packages = []
    for number in range(PACKAGES):
        path = TargetPath.parse(f"acme/package{number}/1.{number}.0/linux-amd64/program")
        artifact = Artifact(path, PackageType.ADDON, 1 << 20, Digest(bytes([number]) * 32))
        packages.append(OfferedPackage(f"package{number}", artifact))
    return Offer(tuple(packages))


def hashing() -> Callable[[], object]:
    """Return the hashing of an offer, as each new decision needs it."""
    offer = an_offer()
    return lambda: offer.hash


def heartbeat() -> Callable[[], object]:
    """Return one heartbeat through bytes, message, report and step, without I/O."""
    message = opamp_pb2.AgentToServer(instance_uid=UID.bytes, sequence_num=2, capabilities=0x2001)
    payload = wire.encode_ws(message)
    first = session.Session(AgentView(UID), session.Standing.CURRENT, greeted=True)
    plan = Plan(None, heartbeat_seconds=30)

    def work() -> object:
        report = reports.read_report(wire.decode_ws(payload, opamp_pb2.AgentToServer))
        return session.step(first, report, plan, NOW)

    return work


@contextmanager
def a_database(folder: Path) -> Iterator[Database]:
    """Yield an embedded database at its newest schema."""
    database = Database.open(f"sqlite:///{folder}/benchmark.db")
    try:
        migrate(database)
        yield database
    finally:
        database.close()


def appending(database: Database, entries: int) -> Callable[[], object]:
    """Return one durable transaction of so many journal entries."""

    def work() -> object:
        with database.write() as connection:
            for _ in range(entries):
                journal.append(
                    connection,
                    kind="package.installed",
                    actor=f"agent:{UID}",
                    subject="package:acme/otelcol@1.0.0",
                    detail={"hash": "00" * 32},
                    at=NOW,
                )
        return None

    return work
