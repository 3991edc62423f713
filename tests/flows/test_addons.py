"""From signed targets and channels to the wire: an addon beside the program, by the labels of a token."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from opamp.v1 import opamp_pb2

from distribution.catalog.catalogue import load
from distribution.domain.assignment import Channel
from distribution.domain.package import PackageType, Version
from distribution.domain.terms import Terms
from distribution.fleet import channels
from distribution.fleet.registry import Registry
from distribution.flows.catalogues import Catalogues
from distribution.flows.enrol import Caller
from distribution.flows.exchange import Exchange
from distribution.flows.planning import Planner
from distribution.protocol import wire
from distribution.protocol.offers import for_websocket
from distribution.protocol.reports import from_websocket
from keys.identity import AgentId
from tests.fakes.authority import AtWork, at_work
from tests.fakes.certificates import agent, new_key
from tests.fakes.live_connections import LiveConnections
from tests.fakes.publishing import World, artifact
from tests.fakes.wire_client import description, said

PROGRAM = "acme/otelcol/1.0.0/linux-amd64/otelcol"
ADDON = "acme/rules/3.1.0/any/rules.yaml"
BODIES = {PROGRAM: b"program", ADDON: b"rules"}
TERMS = Terms("wss://fleet.example:4320/v1/opamp", "https://fleet.example:4321", "CA PEM")
Available = Mapping[str, opamp_pb2.PackageAvailable]


class Fleet:
    """A signed repository, two channels, an authority; agents that say what a linux-amd64 host says."""

    def __init__(self, work: AtWork) -> None:
        self.work = work
        self.world = World(now=work.clock())
        self.world.add_publisher("acme", ("otelcol", "rules"))
        self._release(PROGRAM, PackageType.TOP_LEVEL)
        self._release(ADDON, PackageType.ADDON)
        catalogues = Catalogues(lambda now: load(self.world.store, self.world.root, now))
        catalogues.reload(work.clock())
        self.planner = Planner(work.database, catalogues, heartbeat_seconds=30, clock=work.clock)
        self._channel("stable", "otelcol", "1.0.0", {})
        self._channel("rules-for-the-edge", "rules", "3.1.0", {"site": "edge", "ring": "early"})
        self.planner.reload()
        self.exchange = Exchange(
            database=work.database,
            registry=Registry(work.database, work.admission.labels_of),
            admission=work.admission,
            authority=work.authority,
            connections=LiveConnections(),
            plan_for=self.planner.plan_for,
            heartbeat_seconds=30,
            clock=work.clock,
        )

    def _release(self, path: str, kind: PackageType) -> None:
        body = BODIES[path]
        self.world.upload(path, body)
        self.world.submit("acme", self.world.next_release_role("acme", {path: body}, kind))

    def _channel(self, name: str, package: str, version: str, selector: Mapping[str, str]) -> None:
        channel = Channel(name, "acme", package, Version.parse(version), selector=selector)
        with self.work.database.write() as connection:
            channels.put(connection, channel, actor="operator:ann", now=self.work.clock())

    def offered(self, who: AgentId, labels: Mapping[str, str]) -> Available:
        """Enroll with a token of these labels; return what the answer to the first message offers."""
        token = self.work.token(f"t{who.uuid.int % 1000}", labels=labels)
        issued = self.work.enroll(new_key(), who, token)
        talk = self.exchange.open(Caller(serial=issued.serial, claimed=who))
        first = from_websocket(wire.encode_ws(said(who, agent_description=description())))
        answer = for_websocket(self.exchange.hear(talk, first).reply, TERMS)
        return wire.decode_ws(answer, opamp_pb2.ServerToAgent).packages_available.packages


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with at_work(tmp_path) as work:
        yield Fleet(work)


def test_an_addon_is_offered_beside_the_program_by_the_tokens_labels(fleet: Fleet) -> None:
    """Who carries both labels of the selector gets the addon for any platform, each package with its type."""
    found = fleet.offered(agent(1), {"site": "edge", "ring": "early", "rack": "7"})
    assert {name: (each.type, each.version) for name, each in found.items()} == {
        "otelcol": (opamp_pb2.PackageType_TopLevel, "1.0.0"),
        "rules": (opamp_pb2.PackageType_Addon, "3.1.0"),
    }
    digest = artifact(ADDON, BODIES[ADDON]).sha256
    file = found["rules"].file
    assert file.content_hash == digest.raw
    assert file.download_url == f"https://fleet.example:4321/targets/acme/rules/3.1.0/any/{digest}.rules.yaml"


@pytest.mark.parametrize(
    "labels", [{}, {"site": "edge"}, {"site": "edge", "ring": "late"}], ids=["none", "one of two", "another"]
)
def test_the_addon_is_for_its_labels_alone(fleet: Fleet, labels: dict[str, str]) -> None:
    """Whose token gave it fewer or other labels is offered the program and nothing else."""
    assert set(fleet.offered(agent(2), labels)) == {"otelcol"}
