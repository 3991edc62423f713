"""Puts the agent together: the one place that chooses its parts and owns its threads.

main thread     the event loop: client and session
keeper          the program, the state, the trials
preparation     verification and downloads, one at a time
"""

import asyncio
import contextlib
import logging
import os
import platform
import random
import secrets
import signal
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from distribution.agent import config as host_config
from distribution.agent import pins as pinned
from distribution.agent.client import Client, Surroundings
from distribution.agent.config import AgentConfig, Transport
from distribution.agent.conversation import SettingsStatus
from distribution.agent.credentials import Credential, Credentials
from distribution.agent.fetcher import Fetcher, server_context
from distribution.agent.health import Checked, ask
from distribution.agent.host import Host
from distribution.agent.keeper import Keeper
from distribution.agent.link import Link, address
from distribution.agent.messages import About
from distribution.agent.output import BoundedLog
from distribution.agent.packages import VerifiedPackages
from distribution.agent.pins import Pins
from distribution.agent.polling import PollingLink
from distribution.agent.process import Launcher
from distribution.agent.report import Report
from distribution.agent.rules import WantedSet
from distribution.agent.store import Store
from distribution.agent.thread import Bell, KeeperThread, in_a_thread
from distribution.agent.watch import Watch
from distribution.agent.websocket import open_websocket
from distribution.domain.package import ANY_PLATFORM
from distribution.errors import HostError
from keys import identity
from keys.identity import AgentId

logger = logging.getLogger(__name__)

_GOODBYE_SECONDS = 3.0
_ARCHITECTURES: Mapping[str, str] = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


def now() -> datetime:
    """Return the current time, aware UTC."""
    return datetime.now(UTC)


def new_uid() -> UUID:
    """Return a new instance uid."""
    return identity.new_uid(now(), secrets.token_bytes(10))


def about(config: AgentConfig | None, agent: AgentId) -> About:
    """Return who this agent is; the platform is the one the host fixed for its program."""
    fixed = config.platform if config else ANY_PLATFORM
    if fixed == ANY_PLATFORM:
        machine = platform.machine()
        fixed = f"{platform.system().lower()}-{_ARCHITECTURES.get(machine, machine.lower())}"
    os_type, _, arch = fixed.partition("-")
    service = config.program.package if config else "quartermaster-agent"
    return About(agent=agent, service=service, os_type=os_type, arch=arch, host=platform.node())


async def open_link(
    pins: Pins,
    agent: AgentId,
    headers: dict[str, str],
    *,
    transport: Transport,
    credential: Credential | None = None,
) -> Link:
    """Open a link of the host's transport. Raises NotAdmittedError, UnreachableError or HostError."""
    where = address(pins.agents_url, pins.ca_pem, credential, headers)
    return PollingLink(where, agent) if transport == "http" else await open_websocket(where)


class _Desk:
    """The keeper as a session sees it."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.settings: SettingsStatus | None = None

    @property
    def report(self) -> Report:
        return self._keeper.report

    def offer(self, wanted: WantedSet) -> None:
        self._keeper.offer(wanted)

    def restart_program(self) -> None:
        self._keeper.restart_program()


def _look(config: AgentConfig, log: BoundedLog) -> Checked:
    try:
        log.rotate()
    except HostError:
        logger.exception("the program's log could not be cut")
    return ask(config.health)


def build_keeper(folder: Path, config: AgentConfig, pins: Pins, bell: Bell) -> tuple[Keeper, Launcher]:
    """Return the keeper of this folder, not started, and what starts its programs."""
    store = Store(folder)
    log = BoundedLog(folder / "log" / "program.log", config.program.log_bytes)
    launcher = Launcher(folder / "program.json", log, config.program.stop_seconds)
    watch = Watch(
        launcher,
        partial(_look, config, log),
        health=config.health,
        trial=config.trial,
        monotonic=time.monotonic,
        now=now,
    )
    source = VerifiedPackages(
        pins.downloads_url,
        pins.root,
        Fetcher(server_context(pins.ca_pem)),
        metadata=folder / "tuf",
        staging_file=store.staging_file,
    )
    host = Host(config, store, watch, environment=dict(os.environ))
    keeper = Keeper(config, host, source, submit=in_a_thread, monotonic=time.monotonic, wake=bell.ring)
    return keeper, launcher


async def run(folder: Path) -> None:
    """Run the agent of this folder until SIGTERM or SIGINT. The caller holds the folder's lock.

    Raises:
        SettingsError: `agent.toml` is wrong.
        HostError: this host was not enrolled, or refuses what the agent needs.
        TrustError: the kept root is not the pinned one.
    """
    config = host_config.load(folder)
    pins = pinned.load(folder)
    if pins is None:
        raise HostError(f"folder {folder} is not enrolled; run `quartermaster-agent enroll` first")
    credentials = Credentials(folder, pins.trust_domain, pins.ca_pem)
    agent = credentials.agent(new_uid)
    bell = Bell()
    keeper, launcher = build_keeper(folder, config, pins, bell)
    orphan = launcher.end_orphan()
    if orphan is not None:
        logger.warning("ended a program that an earlier agent left running", extra={"pid": orphan})
    client = Client(
        config.connection,
        pins,
        about(config, agent),
        credentials,
        open_link=lambda credential: open_link(
            pins, agent, {}, transport=config.connection.transport, credential=credential
        ),
        desk=_Desk(keeper),
        surroundings=Surroundings(now, time.monotonic, random.random),
    )
    await _live(client, KeeperThread(keeper, bell, client.changed))


async def _live(client: Client, thread: KeeperThread) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, client.stop)
    try:
        thread.on_failure(lambda: loop.call_soon_threadsafe(client.stop))
        thread.start()
        await _run_and_stop(client)
    finally:
        await asyncio.to_thread(thread.stop)
    if thread.failure is not None:
        raise HostError("the keeper ended unexpectedly; see the log") from thread.failure


async def _run_and_stop(client: Client) -> None:
    """Run the client until it is told to stop; a server that does not answer then is not waited for long."""
    running = asyncio.create_task(client.run(), name="client")
    stopping = asyncio.create_task(client.told_to_stop(), name="stop")
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({running}, timeout=_GOODBYE_SECONDS)
    finally:
        running.cancel()
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
    with contextlib.suppress(asyncio.CancelledError):
        await running
