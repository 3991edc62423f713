"""What the operators' API answers of configurations; see `shapes`."""

from distribution.domain.config_standing import Standing
from distribution.transport.operators.shapes import Moment, Pairs, Shape


class ConfigVersion(Shape):
    """A version without its objects; `digest` is hexadecimal, `words` are the validator's."""

    name: str
    version: int
    digest: str
    secret: bool
    variables: list[str]
    valid: bool
    validator: str
    words: str
    created_at: Moment
    created_by: str


class ConfigVersions(Shape):
    """Versions, by name and number."""

    versions: list[ConfigVersion]


class NewConfigVersion(ConfigVersion):
    """A version, and whether it was there before."""

    existed: bool


class ShownObject(Shape):
    """One object; of what carries a secret the shape alone."""

    key: str
    role: str
    content_type: str
    body: str


class WholeConfigVersion(ConfigVersion):
    """A version with its objects."""

    objects: list[ShownObject]


class ConfigAssignment(Shape):
    """Which version the agents of a selector run."""

    name: str
    configuration: str
    version: int
    priority: int
    labels: Pairs
    attributes: Pairs


class ConfigStep(ConfigAssignment):
    """One step of an assignment; one of them counts."""

    step: int
    counts: bool
    updated_at: Moment
    updated_by: str


class ConfigAssignments(Shape):
    """The assignments that count, by name."""

    assignments: list[ConfigStep]


class ConfigHistory(Shape):
    """Every step of an assignment, the first one first."""

    steps: list[ConfigStep]


class ListedStanding(Shape):
    """Where an agent stands, and why."""

    uid: str
    configuration: str
    standing: Standing
    why: str
    connected: bool


class Standings(Shape):
    """A page of agents; `next` is the `after` of the one that follows."""

    agents: list[ListedStanding]
    next: int | None


class IntendedConfig(Shape):
    """What an agent is to run."""

    digest: str
    objects: list[ShownObject]


class EffectiveConfig(Shape):
    """What an agent reported last, secrets out."""

    digest: str
    reported_at: Moment
    objects: list[ShownObject]


class ConfigValue(Shape):
    """A variable that an operator set for one agent, without its value."""

    name: str
    updated_at: Moment
    updated_by: str


class AgentConfiguration(ListedStanding):
    """All of one agent's configuration; differences are places where the effective one is not as intended."""

    intended: IntendedConfig | None
    effective: EffectiveConfig | None
    differences: list[str]
    values: list[ConfigValue]
    values_state: str
    """What a change of the variables may name as what it is based on (`at_state`)."""


class ConfigValues(Shape):
    """An agent's variables."""

    uid: str
    values: list[ConfigValue]
    values_state: str
