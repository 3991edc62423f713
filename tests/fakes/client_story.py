"""A client on scripted links, with a clock that a test sets, and a server's words about settings."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from opamp.v1 import opamp_pb2

from distribution.agent.client import Client, Surroundings
from distribution.agent.config import ConnectionConfig
from distribution.agent.conversation import SettingsStatus
from distribution.agent.credentials import Credential, Credentials
from distribution.agent.messages import About
from distribution.agent.pins import Pins
from distribution.agent.report import HealthReport, Report
from distribution.agent.rules import WantedSet
from tests.fakes.agent_certificates import certify
from tests.fakes.certificates import DOMAIN, NOW, SmallCa, agent
from tests.fakes.scripted_link import Answer, ScriptedLink

URL = "wss://agents.example:4320/v1/opamp"
OK = opamp_pb2.ServerToAgent()


class FakeDesk:
    """What a session speaks for."""

    def __init__(self) -> None:
        self.report = Report((), b"", HealthReport(well=True, status="running"))
        self.settings: SettingsStatus | None = None
        self.offers: list[WantedSet] = []
        self.restarts = 0

    def offer(self, wanted: WantedSet) -> None:
        self.offers.append(wanted)

    def restart_program(self) -> None:
        self.restarts += 1


class Story:
    """A client on scripted links, with a clock that a test sets."""

    def __init__(self, folder: Path, ca: SmallCa) -> None:
        self.ca = ca
        self.now = NOW
        self.credentials = Credentials(folder, DOMAIN, ca.root_pem)
        self.store_next()
        self.desk = FakeDesk()
        self.links: list[ScriptedLink] = []
        self.opened: list[Credential] = []
        self.refuse: Callable[[Credential], Exception | None] = lambda _: None
        self.answer: Answer = lambda _: [OK]
        self.client: Client | None = None

    def store_next(self) -> None:
        """Put a next credential in place."""
        request = self.credentials.request(agent())
        self.credentials.store(certify(self.ca, request.csr_pem, agent()), agent(), self.now)

    async def open(self, credential: Credential) -> ScriptedLink:
        self.opened.append(credential)
        error = self.refuse(credential)
        if error is not None:
            raise error
        self.links.append(ScriptedLink(self.answer))
        return self.links[-1]

    def tell(self, play: Callable[["Story"], Awaitable[None]], **config: float) -> None:
        """Run the client while `play` happens, then stop it."""

        async def main() -> None:
            settings = ConnectionConfig(
                **{"heartbeat_seconds": 60.0, "reconnect_max_seconds": 0.01, **config}
            )  # type: ignore[arg-type]
            self.client = Client(
                settings,
                Pins(DOMAIN, self.ca.root_pem, 1, "00", URL, "https://d.example", b""),
                About(agent(), "collector", "linux", "amd64", "host"),
                self.credentials,
                open_link=self.open,
                desk=self.desk,
                surroundings=Surroundings(lambda: self.now, asyncio.get_running_loop().time, lambda: 0.5),
            )
            running = asyncio.create_task(self.client.run())
            try:
                async with asyncio.timeout(20):
                    await play(self)
            finally:
                self.client.stop()
                await running

        asyncio.run(main())

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let the loop run until something holds."""
        while not holds():  # noqa: ASYNC110 - what is waited for happens in the client's own tasks
            await asyncio.sleep(0.001)

    def wake(self) -> None:
        """There is something new to report."""
        assert self.client is not None
        self.client.changed(self.desk.report)


def settings(**fields: object) -> opamp_pb2.ServerToAgent:
    """Return an offer of connection settings."""
    message = opamp_pb2.ServerToAgent()
    message.connection_settings.hash = b"s"
    opamp = message.connection_settings.opamp
    opamp.destination_endpoint = str(fields.get("endpoint", URL))
    opamp.heartbeat_interval_seconds = int(str(fields.get("heartbeat", 30)))
    opamp.certificate.cert = fields.get("cert", b"")  # type: ignore[assignment]
    return message
