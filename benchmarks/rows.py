"""The rows of the table "Speed": each is measured on ours and on the Go server in turn, and told as a ratio.

A row's function takes the stage and how much to do; it returns what each round found, for each server. What a
round measures is said in its docstring, with its unit.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.peers import BenchmarkError, Load, Peer
from benchmarks.probed import worst_between
from benchmarks.shell import OFFER
from benchmarks.stage import RELEASES, Stage

Found = dict[str, list[float]]
"""By server, or by what else is compared, the figure of every round."""

SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done. `agents` is the fleet where the row says 10,000, `half` where it says 5,000.

    `known` is the fleet where it says 100,000: written down, not connected. `anew` is how many rounds there
    are of what servers are started for: memory, the living fleet, the bare shell.
    """

    rounds: int
    anew: int
    seconds: float
    agents: int
    half: int
    known: int


QUICK = Effort(rounds=3, anew=1, seconds=1.0, agents=2_000, half=1_000, known=10_000)
FULL = Effort(rounds=5, anew=3, seconds=4.0, agents=10_000, half=5_000, known=100_000)


@dataclass(slots=True)
class Measured:
    """What one run found: figures by name and server, and how the fleet itself did."""

    figures: dict[str, Found] = field(default_factory=dict)
    fleet: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, server: str, value: float) -> None:
        """Note one round's figure."""
        self.figures.setdefault(name, {}).setdefault(server, []).append(value)

    def note_fleet(self, name: str, answer: dict[str, float]) -> None:
        """Note how busy the fleet's core was, and how late it sent."""
        self.fleet.setdefault(f"{name}: core used", []).append(answer["load_cpu"] / answer["load_wall"])
        if "late_p99" in answer:
            self.fleet.setdefault(f"{name}: lateness p99, ms", []).append(1e3 * answer["late_p99"])


def _require_whole(peer: Peer, what: str, answer: dict[str, float], failed: str) -> None:
    if answer[failed]:
        raise BenchmarkError(f"{what} on {peer.name}: {answer[failed]} {failed}: {answer.get('why', '')}")


def _connected(load: Load, peer: Peer, count: int, at_once: int = 64) -> dict[str, float]:
    answer = load.order("connect", peer.address, 0, count, at_once)
    _require_whole(peer, f"{count} connections", answer, "failed")
    peer.met = max(peer.met, count)
    return answer


def _rate(measured: Measured, name: str, load: Load, peer: Peer, *order: object) -> dict[str, float]:
    """Give an order that answers with messages; note CPU microseconds a message."""
    before = peer.cpu
    answer = load.order(*order)
    spent = peer.cpu - before
    for failed in ("broken", "unanswered"):
        _require_whole(peer, name, answer, failed)
    measured.add(name, peer.name, 1e6 * spent / answer["messages"])
    measured.note_fleet(f"{name}, {peer.name}", answer)
    return answer


def heartbeats(measured: Measured, load: Load, peers: Iterable[Peer], effort: Effort) -> None:
    """CPU microseconds a heartbeat over mTLS WebSocket: 500 connections, one message outstanding on each."""
    for peer in peers:
        _connected(load, peer, min(500, effort.half))
        _rate(measured, "heartbeat, closed loop, CPU us", load, peer, "closed", effort.seconds)
        _rate(measured, "heartbeat, 3,333 a second, CPU us", load, peer, "open", 3333, effort.seconds)
        load.order("close")
        peer.quiet(0.3)


def latency(measured: Measured, load: Load, peers: Iterable[Peer], effort: Effort) -> None:
    """Milliseconds from when a heartbeat was due to its answer: 10,000 a second over 5,000 connections.

    And what keeps an answer waiting: how long threads that could have run had no core, and how long others
    ran than the first, which is ours that answers; both in percent of the time.
    """
    name = "heartbeat, 10,000 a second"
    for peer in peers:
        _connected(load, peer, effort.half)
        load.order("open", 10_000, 1.0)  # the first heartbeats are not like the others, on neither side
        peer.quiet()
        before, begun = peer.used, time.monotonic()
        answer = _rate(measured, f"{name}, CPU us", load, peer, "open", 10_000, effort.seconds)
        spent, seconds = peer.used.since(before), time.monotonic() - begun
        measured.add(f"{name}, p99 ms", peer.name, 1e3 * answer["p99"])
        measured.add(f"{name}, without a core, percent", peer.name, 100 * spent.waited / seconds)
        measured.add(f"{name}, other threads, percent", peer.name, 100 * spent.beside / seconds)
        load.order("close")
        peer.quiet(0.3)


def polls(measured: Measured, load: Load, peers: Iterable[Peer], effort: Effort) -> None:
    """CPU microseconds a POST over mTLS: 64 connections that are kept alive, one request outstanding each."""
    for peer in peers:
        load.order("dial", peer.address, 0, 64)
        load.order("polled", 0.3)
        _rate(measured, "HTTP poll, CPU us", load, peer, "polled", effort.seconds)
        load.order("close")
        peer.quiet(0.3)


def storms(measured: Measured, load: Load, peers: Iterable[Peer], effort: Effort) -> None:
    """Seconds until every agent of those that come at once has its first answer; CPU of an agent."""
    for peer in peers:
        if peer.met < effort.agents:
            _connected(load, peer, effort.agents)  # who comes for the first time does not reconnect
            load.order("close")
            peer.quiet()
        before = peer.cpu
        answer = _connected(load, peer, effort.agents, 0)
        measured.add("reconnect at once, seconds", peer.name, answer["seconds"])
        measured.add("reconnect at once, CPU us", peer.name, 1e6 * (peer.cpu - before) / effort.agents)
        measured.note_fleet(f"reconnect at once, {peer.name}", answer)
        load.order("close")
        peer.quiet()


def offers(measured: Measured, load: Load, peers: Iterable[Peer], effort: Effort) -> None:
    """Milliseconds from an operator's act to the last agent's receipt of the offer; CPU until then."""
    for peer in peers:
        _connected(load, peer, effort.half)
        _offered(load, peer, RELEASES[0])  # this one also makes each agent's status known
        seconds, spent = _offered(load, peer, RELEASES[1])
        measured.add("offer to everybody, ms", peer.name, 1e3 * seconds)
        measured.add("offer to everybody, CPU us an agent", peer.name, 1e6 * spent / effort.half)
        load.order("close")
        peer.quiet()


def _offered(load: Load, peer: Peer, version: str) -> tuple[float, float]:
    """Have a version offered to all; return the seconds until the last was told, and those of CPU."""
    peer.quiet()
    load.order("arm")
    load.start("await", 30)
    before, begun = peer.cpu, time.time()
    peer.offer(version)
    answer = load.finish()
    spent = peer.cpu - before
    if answer["told"] != answer["of"]:
        raise BenchmarkError(f"{peer.name} told {answer['told']} of {answer['of']} agents")
    return answer["last"] - begun, spent


def alive(measured: Measured, load: Load, peers: Iterable[Peer], effort: Effort) -> None:
    """Percent of a core while all agents are connected and each says a heartbeat in 30 s."""
    for peer in peers:
        _connected(load, peer, effort.agents, 0)
        peer.quiet()
        before, begun = peer.cpu, time.monotonic()
        answer = load.order("open", effort.agents / 30, 5 * effort.seconds)
        share = (peer.cpu - before) / (time.monotonic() - begun)
        _require_whole(peer, "living agents", answer, "unanswered")
        measured.add("living agents, percent of a core", peer.name, 100 * share)
        load.order("close")
        peer.quiet()


Row = Callable[[Measured, Load, Iterable[Peer], Effort], None]
INTERLEAVED: tuple[Row, ...] = (heartbeats, latency, polls, storms, offers)


def shell(measured: Measured, stage: Stage, effort: Effort) -> None:
    """What heartbeats and an offer cost where ours only writes constant bytes, beside the whole Go server.

    A storm is one of the barest server there is (`barest`): of ours, most of what it meets would stand.
    """
    found = Measured()
    with stage.go() as go, stage.barest() as barest, stage.load() as load:
        for _ in range(effort.anew):
            storms(found, load, (go, barest), effort)
    with stage.go() as go, stage.ours("benchmarks.shell") as bare, stage.load() as load:
        told = Peer(bare.name, bare.address, bare.pid, lambda _: os.kill(bare.pid, OFFER), bare.settle)
        for row in (heartbeats, latency, offers, alive):
            for _ in range(effort.anew):
                row(found, load, (go, told), effort)
    for name, by_server in found.figures.items():
        for server, values in by_server.items():
            for value in values:
                measured.add(f"the bare shell: {name}", server, value)


def memory(measured: Measured, stage: Stage, effort: Effort, *, plain: bool) -> None:
    """Kilobytes a connection that is open and idle: resident size, with all connections less without any.

    Each round is measured on servers that have just been started. The Go server is asked to give back what it
    can before its size is read.
    """
    name = f"idle memory a connection, {'plain' if plain else 'mTLS'}, KB"
    with stage.load(plain=plain) as load:
        for _ in range(effort.anew):
            for server in (
                stage.go(plain=plain),
                stage.ours("benchmarks.plain") if plain else stage.ours(),
            ):
                with server as peer:
                    measured.add(name, peer.name, _held(load, peer, effort.agents) / 1024)


def _held(load: Load, peer: Peer, count: int) -> float:
    """Return how many bytes a connection takes that is idle."""
    # What the first connections bring along for all is not theirs.
    _connected(load, peer, 64)
    load.order("close")
    time.sleep(SETTLE_SECONDS)
    peer.settle()
    before = peer.resident
    _connected(load, peer, count)
    time.sleep(SETTLE_SECONDS)
    peer.settle()
    held = (peer.resident - before) / count
    load.order("close")
    return held


def living(measured: Measured, stage: Stage, effort: Effort) -> None:
    """What a fleet costs that only lives, by a heartbeat each 30 s: core, memory, the loop's worst stall.

    The stall is seen by a probe inside the process: while the fleet lives and is offered something, and, told
    aside, while all of it connects at once, and while all of it is gone at once. Each round has a server that
    has just been started.
    """
    report = stage.cluster.root / "stall"
    with stage.load() as load:
        for _ in range(effort.anew):
            with stage.ours("benchmarks.probed", str(report)) as peer:
                spans = _lived(measured, load, peer, effort)
            for name, (begun, ended) in spans.items():
                stalls = worst_between(report, begun, ended)
                for way, stall in zip(("by the clock", "by own CPU"), stalls, strict=True):
                    measured.add(name, way, 1e3 * stall)


def _lived(measured: Measured, load: Load, peer: Peer, effort: Effort) -> dict[str, tuple[float, float]]:
    """Have a fleet come, live and leave; return from when until when each stall is looked for."""
    peer.quiet()
    storm = time.monotonic()
    _connected(load, peer, effort.agents, 0)
    connected = time.monotonic()
    peer.quiet()
    os.kill(peer.pid, signal.SIGUSR1)  # the probe rests
    before, begun = peer.cpu, time.monotonic()
    answer = load.order("open", effort.agents / 30, 5 * effort.seconds)
    share = (peer.cpu - before) / (time.monotonic() - begun)
    os.kill(peer.pid, signal.SIGUSR2)
    begun = time.monotonic()
    load.order("open", effort.agents / 30, effort.seconds)
    _require_whole(peer, "living agents", answer, "unanswered")
    measured.add("living agents, percent of a core", peer.name, 100 * share)
    measured.add("living agents, resident MB", peer.name, peer.resident / 1e6)
    for version in RELEASES:
        load.order("arm")
        load.start("await", 10)
        peer.offer(version)
        load.finish()
    time.sleep(SETTLE_SECONDS)
    ended = time.monotonic()
    load.order("close")
    peer.quiet()
    peer.quiet()  # the probe tells once a second
    return {
        "worst stall, ms": (begun, ended),
        "worst stall while all connect, ms": (storm, connected + 1),
        "worst stall while all leave, ms": (ended, time.monotonic()),
    }


def compared(stage: Stage, effort: Effort, rows: Iterable[Row], measured: Measured) -> None:
    """Run the interleaved rows: every round measures Go, then ours, on servers that stay up."""
    with ExitStack() as up:
        peers = [up.enter_context(stage.go()), up.enter_context(stage.ours())]
        load = up.enter_context(stage.load())
        for row in rows:
            for _ in range(effort.rounds):
                row(measured, load, peers, effort)
