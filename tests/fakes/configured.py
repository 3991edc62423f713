"""Configurations on a database, with a board, an examiner and a validator that the test speaks for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from distribution.domain.agent import AgentView, Capability, Description
from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import ConfigObject, RemoteConfig
from distribution.fleet.config_assignments import Step
from distribution.fleet.configurations import Judgement, KnownVersion
from distribution.flows.configuration import versions
from distribution.flows.configuration.board import ConfigBoard
from distribution.flows.configuration.effective import Examiner
from distribution.flows.configuration.render import Ready
from distribution.flows.configuration.together import Together
from distribution.flows.configuration.versions import Parts
from keys.sealing import Seal, new_seal_key
from storage.database import Database
from tests.fakes.databases import journalled, opened
from tests.fakes.live_connections import LiveConnections

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
ABLE = (
    Capability.ACCEPTS_REMOTE_CONFIG | Capability.REPORTS_EFFECTIVE_CONFIG | Capability.REPORTS_REMOTE_CONFIG
)


class SpokenValidator:
    """Judges as it was told to; remembers what it saw."""

    def __init__(self) -> None:
        self.name = ""
        self.valid = True
        self.words = ""
        self.seen: list[str] = []

    def judge(self, found: Ready) -> Judgement:
        self.seen.append(str(found.version))
        return Judgement(self.valid, self.name, self.words)


class Configured:
    """What operators would do, and what comes of it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connections = LiveConnections()
        self.validator = SpokenValidator()
        self.seal = Seal([new_seal_key().strip()], "seal")
        self.board = ConfigBoard(database, self.seal)
        self.examiner = Examiner(database, self.board.declared)
        self.together: Together | None = None

    @property
    def parts(self) -> Parts:
        """What flows are given."""
        return Parts(self.database, self.connections, self.validator, self.seal, self.together)

    def create(self, name: str, body: str | dict[str, str] = "a: 1", *, secret: bool = False) -> KnownVersion:
        """Make a version of these texts by key, all YAML."""
        texts = body if isinstance(body, dict) else {"": body}
        objects = {key: yaml(text) for key, text in texts.items()}
        return versions.create(
            self.parts, name, objects, secret=secret, actor="operator:ann", now=NOW
        ).version

    def assign(self, wanted: Assignment) -> Step:
        """Assign, and read the board again as a wake-up would."""
        step = versions.assign(self.parts, wanted, actor="operator:ann", now=NOW)
        self.board.reload()
        return step

    def back(self, name: str) -> Step:
        """Go back, and read the board again."""
        step = versions.back(self.parts, name, actor="operator:ann", now=NOW)
        self.board.reload()
        return step

    def bodies(self, view: AgentView) -> dict[str, str]:
        """Return what an agent is to run, as texts by key; empty if nothing is said to it."""
        found = self.board.config_for(view)
        return {} if found is None else {key: one.body.decode() for key, one in found.objects.items()}

    def kinds(self) -> list[str]:
        """Return the kinds of the journal's entries."""
        return [entry.kind for entry in journalled(self.database)]


def yaml(text: str, role: str = "") -> ConfigObject:
    """Return an object of YAML."""
    return ConfigObject(text.encode(), "text/yaml", role)


def intended(**texts: str) -> RemoteConfig:
    """Return a configuration of these YAML texts; `_` stands for the empty key."""
    return RemoteConfig({"" if key == "_" else key: yaml(text) for key, text in texts.items()}, "base@1")


def view(
    number: int = 7,
    labels: dict[str, str] | None = None,
    attributes: dict[str, str] | None = None,
    capabilities: Capability = ABLE,
) -> AgentView:
    """Return an agent that takes configurations, connected, with these labels and attributes."""
    return AgentView(
        UUID(int=number),
        labels or {},
        Description(attributes=attributes or {}),
        capabilities,
        connected=True,
    )


@contextmanager
def configured(folder: Path) -> Iterator[Configured]:
    """Open a new one in `folder`."""
    with opened(folder) as database:
        yield Configured(database)
