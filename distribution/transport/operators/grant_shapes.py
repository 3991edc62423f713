"""What the operators' API answers of certificates by order, bearer tokens and gateways; see `shapes`."""

from distribution.transport.operators.shapes import Moment, Pairs, Shape
from keys.certificate import Slot
from keys.gateways import Admits


class Certificate(Shape):
    """A certificate that an operator ordered."""

    agent: str
    serial: str
    slot: Slot
    not_after: Moment
    chain_pem: str


class Approved(Shape):
    """A request that was approved."""

    agent: str
    key: str
    approved_at: Moment | None


class Request(Approved):
    """A request that waits, or waits to be sent again."""

    asked_at: Moment


class Requests(Shape):
    """All of them."""

    requests: list[Request]


class Bearer(Shape):
    """A bearer token of one agent, without its secret."""

    token_id: str
    agent: str
    created_at: Moment
    created_by: str
    expires_at: Moment
    revoked_at: Moment | None


class NewBearer(Bearer):
    """The one answer that has the token."""

    bearer: str


class RevokedBearer(Bearer):
    """A token that ended, and how many connections with it."""

    connections_cut: int


class Bearers(Shape):
    """An agent's bearer tokens."""

    tokens: list[Bearer]


class Gateway(Shape):
    """A gateway, and for whom it speaks."""

    gateway: str
    admits: Admits
    labels: Pairs
    granted_at: Moment
    granted_by: str
    state: str
    """What a change may name as what it is based on (`at_state`)."""
    agents: list[str]


class Gateways(Shape):
    """All of them."""

    gateways: list[Gateway]


class RevokedGateway(Shape):
    """Who lost the role, and who was behind it."""

    gateway: str
    agents: list[str]


class Passage(Shape):
    """For whom which gateway may speak."""

    gateway: str
    agent: str
