"""What the operators' API answers of agents, and of what decides about them; see `shapes`."""

from typing import Any, Literal

from pydantic import Field

from distribution.domain.agent import PackageState
from distribution.domain.configuration import Agreement, ConfigState
from distribution.domain.connection_choice import Kind
from distribution.domain.connection_status import Phase
from distribution.domain.connections import ConnectionState
from distribution.domain.liveness import Liveness
from distribution.transport.operators.shapes import Moment, Pairs, Shape


class OwnHealth(Shape):
    """An agent's health, without its parts."""

    healthy: bool
    status: str
    error: str


class Health(OwnHealth):
    """An agent's health, or that of a part of it."""

    components: dict[str, "Health"] = Field(default_factory=dict)


class Package(Shape):
    """What an agent says of one package."""

    name: str
    state: PackageState
    version: str
    offered_version: str
    error: str


class AgentComponents(Shape):
    """What an agent could run, as it listed it: names, with what is said of each and the parts it has.

    `hash` is of that list, `said_hash` the one it said last: where they differ the list is older.
    """

    uid: str
    said_hash: str | None
    hash: str | None
    reported_at: Moment | None
    components: dict[str, Any] | None


class ListedAgent(Shape):
    """An agent as lists show it."""

    uid: str
    labels: Pairs
    platform: str | None
    identifying: Pairs
    attributes: Pairs
    connected: bool
    live: Liveness
    last_seen: Moment | None
    health: OwnHealth | None
    packages: list[Package]
    packages_error: str
    problem: str
    serials: list[str]


class Explanation(Shape):
    """What the server wants of an agent, what that holds, and what is due next; sentences."""

    uid: str
    live: Liveness
    wants: list[str]
    holds: list[str]
    why: list[str]


class Watched(Shape):
    """One line of a watch: a message, or what the server says of the watch itself."""

    at: Moment
    transport: str
    direction: Literal["from agent", "to agent", "refused", "watching", "dropped"]
    said: dict[str, Any]


class SaidOfConfig(Shape):
    """An agent's word on its remote configuration; `hash` is hexadecimal."""

    state: ConfigState
    hash: str
    error: str


class SaidOfConnections(Shape):
    """An agent's word on its connection settings; `hash` is hexadecimal.

    `unset`: it was offered them and says nothing of them, nor will it if it reports no such status.
    """

    state: ConnectionState
    hash: str
    error: str


class Effective(Shape):
    """What an agent's effective configuration shows of the intended one."""

    agreement: Agreement
    why: str
    digest: str


class Agent(ListedAgent):
    """All that is known of one agent."""

    health: Health | None
    capabilities: list[str]
    config: SaidOfConfig | None
    effective: Effective | None
    connections: SaidOfConnections | None
    components: str | None
    custom_capabilities: list[str]
    credentials: list[str]
    """What lets it in now: `serial:`, `bearer:` or `passage:` and its name."""
    standing: Literal["enrolled", "revoked", "reset", "banned", "admitted"] | None
    """How it stands in the ledger; None if it was never let in."""
    standing_since: Moment | None
    gateway: str | None
    """Whom it may bring, if it is a gateway."""
    given_labels: Pairs
    """Those that operators gave it, which a change replaces; the others are of its token."""
    labels_state: str
    """What a change of these labels may name as what it is based on (`at_state`)."""


class Agents(Shape):
    """A page of agents; `next` is the `after` of the next page."""

    agents: list[ListedAgent]
    total: int
    next: int | None


class Count(Shape):
    """How many agents, by liveness and by health."""

    total: int
    live: dict[str, int]
    health: dict[str, int]


class Cut(Shape):
    """What a revocation ended."""

    agent: str
    serials: list[str]
    tokens: list[str]
    connections_cut: int
    elapsed_ms: float
    banned: bool
    """Whether the agent may not enroll again; a ban outlives a later revocation."""


class Reset(Cut):
    """What a reset ended, the names of what operators gave the agent, and what they should know."""

    labels: list[str]
    values: list[str]
    notes: list[str]


class Restart(Shape):
    """An order to restart; it waits for the agent's next message until `until`."""

    agent: str
    until: str


class Channel(Shape):
    """A channel."""

    name: str
    publisher: str
    package: str
    version: str
    allow_downgrade: bool
    selector: Pairs


class SetChannel(Channel):
    """A channel as it stands."""

    state: str
    """What a change may name as what it is based on (`at_state`)."""
    updated_at: Moment
    updated_by: str


class Deployed(Channel):
    """A channel as it was set, and what an operator should know."""

    state: str
    """What a change may name as what it is based on (`at_state`)."""
    notes: list[str]


class Channels(Shape):
    """All channels."""

    channels: list[SetChannel]


class Connection(Shape):
    """A connection setting; of headers and other settings the names."""

    name: str
    kind: Kind
    selector: Pairs
    endpoint: str
    off: bool
    headers: list[str]
    ca_pem: str
    connection: str
    settings: list[str]
    heartbeat_seconds: int | None
    plain_text_is_meant: bool


class WrittenConnection(Connection):
    """A connection setting as it was set."""

    state: str
    """What a change may name as what it is based on (`at_state`)."""


class SetConnection(WrittenConnection):
    """A connection setting as it stands."""

    updated_at: Moment
    updated_by: str


class Connections(Shape):
    """All connection settings."""

    connections: list[SetConnection]


class TriedConnections(SaidOfConnections):
    """An agent's word, and which try of ours it is about; 0 if none."""

    attempt: int


class CredentialTruth(Shape):
    """What is known of an agent's certificate."""

    proven: bool
    words: str


class ConnectionStanding(Shape):
    """How far an agent is with its connection settings."""

    agent: str
    settings: str
    digest: str
    phase: Phase
    attempt: int
    error: str
    note: str
    problem: str
    """Why nothing is decided for it, or nothing of what is decided can be told to it."""
    left_out: str
    """What of the settings is not told to it, and why."""
    said: TriedConnections | None
    credential: CredentialTruth
