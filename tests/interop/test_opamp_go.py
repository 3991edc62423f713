"""Agents on the published opamp-go client enroll, are known, install, renew, come again, and are cut."""

import hashlib
import json
import signal
from functools import partial
from pathlib import Path

import pytest

from distribution.demo.cluster import PACKAGE, Cluster
from distribution.demo.processes import wait_for
from distribution.flows.custom import EXPLAIN
from tests.interop import matrix
from tests.interop.fleet import CHANNEL, start_server_again
from tests.interop.go_agent import LIBRARIES, PATIENCE_SECONDS, GoAgent, Library, Row, enrolled, row_of, until
from tests.interop.matrix import Column
from tests.interop.orders import Configuration, configured, equipped, exchanges, label, restart, setting

HEARTBEATS = 4
"""Times at which an agent is seen while it says nothing else."""


@pytest.fixture(scope="module", params=LIBRARIES, ids=lambda library: str(library.client))
def agent(
    request: pytest.FixtureRequest, world: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> GoAgent:
    """An enrolled agent on each version of the library and each transport."""
    library: Library = request.param
    return enrolled(world, library, tmp_path_factory.mktemp("agent"))


def connected(row: Row) -> Row | None:
    """Find an agent that is connected and described."""
    return row if row["connected"] and row["identifying"] else None


def installed(row: Row, version: str) -> Row | None:
    """Find the package installed in a version."""
    return next(
        (
            one
            for one in row["packages"]
            if (one["name"], one["state"], one["version"]) == (PACKAGE, "installed", version)
        ),
        None,
    )


def in_state(row: Row, state: str) -> Row | None:
    """Find the package in a state."""
    return next((one for one in row["packages"] if (one["name"], one["state"]) == (PACKAGE, state)), None)


def test_it_is_known(world: Cluster, agent: GoAgent) -> None:
    """What it says of itself is at the server: what it is, how it is; and each change."""
    client = agent.library.client
    with agent.running("known.log") as program:
        row = until(world, agent.uid, "the agent", connected, program)
        assert row["identifying"] == {"service.name": "opamp-go-client", "service.instance.id": agent.uid}
        assert row["platform"] == "linux-amd64"
        matrix.saw(client, Column.DESCRIPTION, "identifying and other attributes, platform")
        assert (row["health"]["healthy"], row["health"]["status"]) == (True, "running")
        program.signal(signal.SIGUSR2)
        unwell = until(
            world, agent.uid, "ill health", lambda row: row if not row["health"]["healthy"] else None, program
        )
        assert unwell["health"]["error"] == "told to be unwell"
        program.signal(signal.SIGUSR2)
        until(world, agent.uid, "good health", lambda row: row if row["health"]["healthy"] else None, program)
        matrix.saw(client, Column.HEALTH, "healthy, unhealthy with its last error, healthy again")


def test_it_is_seen_while_it_is_there(world: Cluster, agent: GoAgent) -> None:
    """Each heartbeat is a later time at which it was seen, and is all it says; with its socket it is gone.

    Over HTTP it does not say that it ends, and has no socket that would.
    """
    label(world, agent.uid)
    beat = setting(world, agent.uid, "opamp", heartbeat_seconds=2)
    with agent.running("seen.log") as program, beat:
        until(world, agent.uid, "the agent", connected, program)
        equipped(world, agent.uid, "applied", program)
        seen: dict[str, int] = {}

        def beaten(row: Row) -> bool | None:
            seen.setdefault(row["last_seen"], len(exchanges(world, agent.uid)))
            return True if list(seen.values()).count(max(seen.values())) >= HEARTBEATS else None

        until(world, agent.uid, "its heartbeats", beaten, program)
        assert sorted(seen) == list(seen)
        program.end()
    if agent.library.transport == "ws":
        wait_for("its end", lambda: not row_of(world, agent.uid)["connected"] or None, PATIENCE_SECONDS)
        what = "connected, seen with every heartbeat; gone when it ends"
    else:
        assert row_of(world, agent.uid)["connected"]
        assert not any("goodbye" in line.get("came", "") for line in exchanges(world, agent.uid))
        what = "connected, seen with every poll; does not say that it ends"
    matrix.saw(agent.library.client, Column.STATUS, what)


def test_packages_go_up_and_down(world: Cluster, agent: GoAgent) -> None:
    """It takes each release that its channel points at, reports it, and is offered nothing twice."""
    world.set_channel(CHANNEL, "1.0.0", "--allow-downgrade")  # before it comes: it may still be at another
    with agent.running("packages.log") as program:
        digests = []
        for version, flags in (
            ("1.0.0", ["--allow-downgrade"]),
            ("1.1.0", []),
            ("1.0.0", ["--allow-downgrade"]),
        ):
            world.set_channel(CHANNEL, version, *flags)
            until(world, agent.uid, version, partial(installed, version=version), program)
            file = agent.folder / "state" / f"{PACKAGE.encode().hex()}.bin"
            digests.append(hashlib.sha256(file.read_bytes()).hexdigest())
        offers = [event for event in program.events() if event["event"] == "offer"]
        assert [one["packages"][PACKAGE]["content_hash"] for one in offers] == digests
        assert len(set(digests)) == 2
    matrix.saw(agent.library.client, Column.PACKAGES, "installed, upgraded and downgraded, one offer each")


@pytest.mark.parametrize("agent", LIBRARIES[:1], indirect=True, ids=lambda library: str(library.client))
def test_what_it_could_not_install_comes_again(world: Cluster, agent: GoAgent) -> None:
    """A package that failed on it says so in its words, and is offered again later, under another hash."""
    world.set_channel(CHANNEL, "1.0.0", "--allow-downgrade")
    with agent.running("before.log") as program:
        until(world, agent.uid, "1.0.0", partial(installed, version="1.0.0"), program)
        program.end()
    world.set_channel(CHANNEL, "1.1.0")
    with agent.running("failed.log", "-refuse-packages", "1") as program:
        failed = until(world, agent.uid, "its failure", partial(in_state, state="failed"), program)
        assert "told to refuse" in failed["error"]
        until(world, agent.uid, "1.1.0", partial(installed, version="1.1.0"), program)
        offers = [one["all_packages_hash"] for one in program.events() if one["event"] == "offer"]
        assert len(offers) == len(set(offers)) == 2
        world.set_channel(CHANNEL, "1.0.0", "--allow-downgrade")
    matrix.saw(
        agent.library.client,
        Column.PACKAGES,
        "what failed, in its words, is offered again under another hash",
    )


def test_a_certificate_is_renewed(world: Cluster, agent: GoAgent) -> None:
    """It asks for a new certificate over the old connection, comes again with it, and the old one is dead."""
    with agent.running("rotation.log") as program:
        before = until(world, agent.uid, "the agent", connected, program)["serials"]
        assert len(before) == 1
        old = [(agent.folder / name).read_bytes() for name in ("cert.pem", "key.pem")]
        program.signal(signal.SIGUSR1)
        program.wait_for_event("rotated")

        def promoted(row: Row) -> Row | None:
            return row if row["connected"] and len(row["serials"]) == 1 and row["serials"] != before else None

        until(world, agent.uid, "the new serial alone", promoted, program)
        assert program.count("rotated") == 1
    for name, text in zip(("old-cert.pem", "old-key.pem"), old, strict=True):
        (agent.folder / name).write_bytes(text)
    stale = tuple(
        word.replace("/cert.pem", "/old-cert.pem").replace("/key.pem", "/old-key.pem")
        for word in agent.arguments
    )
    with GoAgent(agent.uid, agent.folder, stale, agent.library).start("stale.log") as program:
        program.wait_for_text("401")
        assert program.count("connected") == 0
    matrix.saw(
        agent.library.client,
        Column.ROTATION,
        "new key, CSR over the live connection; the first connection with the new one ends the old",
    )


def test_it_restarts_on_command(world: Cluster, agent: GoAgent) -> None:
    """It is told to restart once, begins anew with its full state, and is not told again."""
    with agent.running("restart.log") as program:
        until(world, agent.uid, "the agent", connected, program)
        restart(world, agent.uid)
        assert program.wait_for_event("command")["type"].endswith("Restart")
        program.wait_for_event("starting_again")
        beats = 3 if agent.library.transport == "http" else 1

        def again(row: Row) -> Row | None:
            # By what it printed since: it may be back before anybody looks.
            told = [one.get("event") for one in program.events()]
            since = told[told.index("starting_again") :]
            return connected(row) if since.count("connected") >= beats else None

        until(world, agent.uid, "the agent again", again, program)
        assert program.count("command") == 1
    matrix.saw(agent.library.client, Column.RESTART, "told once, alone in its message; begins anew")


def test_it_comes_again_after_the_server_was_away(world: Cluster, agent: GoAgent) -> None:
    """A server that is started anew knows it as before, asks for all of it once, and repeats no offer."""
    world.set_channel(CHANNEL, "1.0.0", "--allow-downgrade")
    label(world, agent.uid)
    configuration = Configuration(world, agent.uid)
    configuration.assign(configuration.write("receivers: {nop: }\n"))
    beat = setting(world, agent.uid, "opamp", heartbeat_seconds=1)
    with agent.running("again.log") as program, beat:
        configured(world, agent.uid, "applied", program)
        equipped(world, agent.uid, "applied", program)
        until(world, agent.uid, "1.0.0", lambda row: installed(row, "1.0.0"), program)
        program.wait_for_event("effective_asked")
        before = row_of(world, agent.uid)
        world.server.stop()
        program.wait_for_event("connect_failed")
        told = {kind: program.count(kind) for kind in ("remote_config", "connection_offer")}
        offers, asked = program.count("offer"), program.count("effective_asked")
        start_server_again(world)
        known = row_of(world, agent.uid)
        for kept in ("identifying", "attributes", "labels", "packages", "health", "serials"):
            assert known[kept] == before[kept]
        until(world, agent.uid, "the agent again", connected, program)

        def full() -> bool:
            return program.count("effective_asked") > asked

        until(world, agent.uid, "the full state", lambda _: full() or None, program)
        world.set_channel(CHANNEL, "1.1.0")
        until(world, agent.uid, "1.1.0", lambda row: installed(row, "1.1.0"), program)
        assert program.count("offer") == offers + 1
        assert program.count("effective_asked") == asked + 1
        assert {kind: program.count(kind) for kind in told} == told
    matrix.saw(
        agent.library.client,
        Column.RECONNECT,
        "comes back by itself, known as before, asked once for its full state, no offer of any kind repeated",
    )


def test_revoked_it_is_out(world: Cluster, library_agent: GoAgent) -> None:
    """Its connection is cut at once, and it is refused wherever it turns."""
    agent = library_agent
    with agent.running("revoked.log") as program:
        until(world, agent.uid, "the agent", connected, program)
        receipt = world.revoke(agent.uid)
        if agent.library.transport == "ws":
            assert receipt["connections_cut"] == 1
        program.wait_for_text("401")
        until(world, agent.uid, "the end", lambda row: row if not row["connected"] else None, program)
    matrix.saw(agent.library.client, Column.REVOCATION, "cut at once, refused with 401 from then on")


@pytest.fixture(params=LIBRARIES, ids=lambda library: str(library.client))
def library_agent(request: pytest.FixtureRequest, world: Cluster, tmp_path: Path) -> GoAgent:
    """An enrolled agent of a test's own."""
    return enrolled(world, request.param, tmp_path)


def test_it_asks_in_a_custom_message(world: Cluster, agent: GoAgent) -> None:
    """A message of a capability that both know is answered; what could be run is asked for by its hash."""
    with agent.running("ask.log", "-ask", EXPLAIN) as program:
        answer = program.wait_for_event("custom")
        assert (answer["capability"], answer["type"]) == (EXPLAIN, "reasons")
        assert json.loads(answer["data"])

        def told(row: Row) -> Row | None:
            return row if row["custom_capabilities"] and row["components"] else None

        row = until(world, agent.uid, "it", told, program)
        assert row["custom_capabilities"] == [EXPLAIN]
        assert bytes.fromhex(row["components"]) == b"components of opamp-go-client"


def test_asking_for_a_uid_it_is_told_its_own(world: Cluster, agent: GoAgent) -> None:
    """Its credential is of one uid; asked for one, the server names that, and the agent goes on with it."""
    with agent.running("uid.log", "-anonymous") as program:
        assert program.wait_for_event("identified")["uid"] == agent.uid
        until(world, agent.uid, "the agent", connected, program)


def test_with_anothers_uid_it_gets_nothing(world: Cluster, agent: GoAgent) -> None:
    """An enrolled agent that says another's instance uid is offered nothing."""
    with agent.as_another().start("other.log") as program:
        program.wait_for_text("401" if agent.library.transport == "http" else "connect")
        assert program.count("offer") == 0
