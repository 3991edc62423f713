"""What the document of the API says of each route: a sentence, what it takes, what it answers.

A new route is one entry; `tests/unit/transport/operators/test_openapi.py` names a route that has none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from distribution.domain.liveness import Delivery, Liveness, Wellbeing
from distribution.domain.states import PATTERN
from distribution.transport.operators import agent_shapes as of_agents
from distribution.transport.operators import config_shapes as of_configs
from distribution.transport.operators import grant_shapes as of_grants
from distribution.transport.operators import shapes
from distribution.transport.operators.agents import LabelsBody
from distribution.transport.operators.assignments import STEP_MAX, AssignmentBody, BackBody
from distribution.transport.operators.bodies import Body
from distribution.transport.operators.channels import ChannelBody
from distribution.transport.operators.config_status import ValuesBody
from distribution.transport.operators.configurations import VersionBody
from distribution.transport.operators.connections import ConnectionBody
from distribution.transport.operators.credentials import ResetBody, RevokeBody
from distribution.transport.operators.grants import (
    AdmitBody,
    ApproveBody,
    CertifyBody,
    GatewayBody,
    NewBearerBody,
)
from distribution.transport.operators.people import NewOperatorBody
from distribution.transport.operators.releases import PublisherBody
from distribution.transport.operators.tokens import NewTokenBody

_TEXT: Final[dict[str, Any]] = {"type": "string"}
_PAIR: Final[dict[str, Any]] = {"type": "string", "pattern": "^[^=:]+[=:]"}
_NUMBER: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": (1 << 53) - 1}
_PAGE: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": 1000}


@dataclass(frozen=True, slots=True)
class Query:
    """One parameter of a query."""

    name: str
    schema: Mapping[str, Any]
    about: str
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class About:
    """One route. `also` are other statuses with the same answer; `raw` is the type of a body of bytes."""

    summary: str
    answers: type[BaseModel]
    status: int = 200
    body: type[Body] | None = None
    required: bool = True
    """Whether the body must be there."""
    query: tuple[Query, ...] = ()
    headers: tuple[Mapping[str, Any], ...] = ()
    raw: str | None = None
    also: tuple[int, ...] = ()
    anybody: bool = False
    """Whether any live token suffices."""
    lines: bool = False
    """Whether the answer is a stream of JSON lines."""


_FILTER: Final = (
    Query("label", _PAIR, "key=value that they carry", repeated=True),
    Query("attribute", _PAIR, "key=value that they say of themselves", repeated=True),
    Query("platform", _TEXT, "such as linux-amd64"),
    Query("live", {"enum": [each.value for each in Liveness]}, "one of them", repeated=True),
    Query("health", {"enum": [each.value for each in Wellbeing]}, "one of them", repeated=True),
    Query("packages", {"enum": [each.value for each in Delivery]}, "one of them", repeated=True),
)
_PAGED: Final = (
    Query("after", _NUMBER, "`next` of the page before"),
    Query("limit", _PAGE, "size of a page"),
)
_STEP: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": STEP_MAX}
_AT_STATE: Final = (
    Query("at_state", {"type": "string", "pattern": PATTERN}, "refused if it is at another `state` by now"),
)
_DIGEST: Final[Mapping[str, Any]] = {
    "name": "Repr-Digest",
    "in": "header",
    "required": True,
    "description": "SHA-256 of the body (RFC 9530).",
    "schema": {"type": "string", "pattern": "^sha-256=:[A-Za-z0-9+/]{43}=:$"},
}

_CREDENTIALS: Final[Mapping[tuple[str, str], About]] = {
    ("POST", "/enrollment-tokens"): About(
        "Make an enrollment token; the secret is in this answer alone.",
        shapes.NewToken,
        status=201,
        body=NewTokenBody,
    ),
    ("GET", "/enrollment-tokens"): About("List enrollment tokens.", shapes.Tokens),
    ("DELETE", "/enrollment-tokens/{token_id}"): About("Revoke an enrollment token.", shapes.Token),
    ("POST", "/agents/{uid}/revoke"): About(
        "Take an agent's credentials away and cut it.", of_agents.Cut, body=RevokeBody, required=False
    ),
    ("POST", "/agents/{uid}/reset"): About(
        "Take them away, and what it was given, and let its uid be enrolled anew.",
        of_agents.Reset,
        body=ResetBody,
        required=False,
    ),
    ("POST", "/certificates"): About(
        "Issue a certificate for a request file.", of_grants.Certificate, status=201, body=CertifyBody
    ),
    ("GET", "/certificate-requests"): About("List requests that wait.", of_grants.Requests),
    ("POST", "/certificate-requests/{uid}/approve"): About(
        "Approve a request, by its key.", of_grants.Approved, body=ApproveBody
    ),
    ("POST", "/bearer-tokens"): About(
        "Make one agent's bearer token; it is in this answer alone.",
        of_grants.NewBearer,
        status=201,
        body=NewBearerBody,
    ),
    ("GET", "/agents/{uid}/bearer-tokens"): About("List an agent's bearer tokens.", of_grants.Bearers),
    ("DELETE", "/bearer-tokens/{token_id}"): About(
        "Revoke a bearer token and cut its agent.", of_grants.RevokedBearer
    ),
    ("GET", "/gateways"): About("List gateways.", of_grants.Gateways),
    ("GET", "/gateways/{uid}"): About("Show a gateway.", of_grants.Gateway),
    ("PUT", "/gateways/{uid}"): About("Grant the role of a gateway.", of_grants.Gateway, body=GatewayBody),
    ("DELETE", "/gateways/{uid}"): About("Take the role away.", of_grants.RevokedGateway, query=_AT_STATE),
    ("POST", "/gateways/{uid}/agents"): About(
        "Let a gateway speak for an agent.", of_grants.Passage, status=201, body=AdmitBody
    ),
    ("GET", "/whoami"): About("Whose token this is.", shapes.Operator, anybody=True),
    ("POST", "/operators"): About(
        "Make an operator; the token is in this answer alone.",
        shapes.NewOperator,
        status=201,
        body=NewOperatorBody,
    ),
    ("GET", "/operators"): About("List operators.", shapes.Operators),
    ("DELETE", "/operators/{name}"): About("Revoke an operator's token.", shapes.RevokedOperator),
}

_FLEET: Final[Mapping[tuple[str, str], About]] = {
    ("GET", "/agents"): About("Find agents, a page at a time.", of_agents.Agents, query=(*_FILTER, *_PAGED)),
    ("GET", "/agents/count"): About("Count agents.", of_agents.Count, query=_FILTER),
    ("GET", "/agents/{uid}"): About("Show an agent.", of_agents.Agent),
    ("GET", "/agents/{uid}/components"): About("What an agent could run.", of_agents.AgentComponents),
    ("GET", "/agents/{uid}/explain"): About("Why an agent is offered what.", of_agents.Explanation),
    ("GET", "/agents/{uid}/watch"): About(
        "Show an agent's messages as they come, a line each.",
        of_agents.Watched,
        query=(Query("seconds", {"type": "integer", "minimum": 0, "maximum": 3600}, "how long"),),
        lines=True,
    ),
    ("PATCH", "/agents/{uid}"): About("Replace an agent's labels.", of_agents.Agent, body=LabelsBody),
    ("POST", "/agents/{uid}/restart"): About("Have a connected agent restart, once.", of_agents.Restart),
    ("GET", "/agents/{uid}/connections"): About(
        "How far an agent is with its connection settings.", of_agents.ConnectionStanding
    ),
    ("GET", "/channels"): About("List channels.", of_agents.Channels),
    ("GET", "/channels/{name}"): About("Show a channel.", of_agents.SetChannel),
    ("PUT", "/channels/{name}"): About("Point a channel.", of_agents.Deployed, body=ChannelBody),
    ("DELETE", "/channels/{name}"): About("Remove a channel.", of_agents.Channel, query=_AT_STATE),
    ("GET", "/connections"): About("List connection settings.", of_agents.Connections),
    ("GET", "/connections/{name}"): About("Show a connection setting.", of_agents.SetConnection),
    ("PUT", "/connections/{name}"): About(
        "Set where agents connect.", of_agents.WrittenConnection, body=ConnectionBody
    ),
    ("DELETE", "/connections/{name}"): About(
        "Remove a connection setting.", of_agents.Connection, query=_AT_STATE
    ),
}

_CONFIGURATIONS: Final[Mapping[tuple[str, str], About]] = {
    ("GET", "/configurations"): About("List all versions.", of_configs.ConfigVersions),
    ("POST", "/configurations/{name}/versions"): About(
        "Write a version; the same content again is the version that is there.",
        of_configs.NewConfigVersion,
        status=201,
        body=VersionBody,
        also=(200,),
    ),
    ("GET", "/configurations/{name}/versions"): About(
        "List the versions of a configuration.", of_configs.ConfigVersions
    ),
    ("GET", "/configurations/{name}/versions/{number}"): About(
        "Show a version.", of_configs.WholeConfigVersion
    ),
    ("POST", "/configurations/{name}/versions/{number}/validate"): About(
        "Have a version judged again.", of_configs.ConfigVersion
    ),
    ("GET", "/config-assignments"): About("List assignments.", of_configs.ConfigAssignments),
    ("GET", "/config-assignments/{name}"): About("Show an assignment's steps.", of_configs.ConfigHistory),
    ("PUT", "/config-assignments/{name}"): About(
        "Let the agents of a selector run a version.", of_configs.ConfigStep, body=AssignmentBody
    ),
    ("DELETE", "/config-assignments/{name}"): About(
        "Take an assignment away.",
        of_configs.ConfigAssignment,
        query=(Query("at_step", _STEP, "refused if another step counts by now"),),
    ),
    ("POST", "/config-assignments/{name}/back"): About(
        "Go back to the version before the present one.",
        of_configs.ConfigStep,
        body=BackBody,
        required=False,
    ),
    ("GET", "/config-status"): About(
        "Where agents stand with their configuration.", of_configs.Standings, query=(*_FILTER, *_PAGED)
    ),
    ("GET", "/agents/{uid}/configuration"): About(
        "What an agent is to run, what it runs, and what differs.", of_configs.AgentConfiguration
    ),
    ("PATCH", "/agents/{uid}/config-values"): About(
        "Set variables of one agent.", of_configs.ConfigValues, body=ValuesBody
    ),
}

_CATALOGUE: Final[Mapping[tuple[str, str], About]] = {
    ("GET", "/releases"): About(
        "List releases that verify.",
        shapes.Releases,
        query=(Query("publisher", _TEXT, "whose"), Query("package", _TEXT, "of which package")),
        anybody=True,
    ),
    ("GET", "/publishers"): About("List publishers.", shapes.Publishers, anybody=True),
    ("PUT", "/publishers"): About(
        "Hand in new publishers, signed offline.",
        shapes.AddedPublishers,
        body=PublisherBody,
        also=(201,),
    ),
    ("PUT", "/publishers/{name}/files/{path:path}"): About(
        "Bring a file under the digest it is declared with.",
        shapes.StoredFile,
        status=201,
        raw="application/octet-stream",
        headers=(_DIGEST,),
    ),
    ("PUT", "/publishers/{name}/roles/{role}"): About(
        "Bring a role that its publisher signed.", shapes.Submitted, raw="application/octet-stream"
    ),
    ("GET", "/trust"): About("What this server believes.", shapes.Trust, anybody=True),
    ("GET", "/journal"): About(
        "Read the journal, a page at a time.",
        shapes.Journal,
        query=(*_PAGED, Query("before", _NUMBER, "newest first, below this number; 0 begins at the end")),
    ),
    ("POST", "/journal/verify"): About("Check that the journal is whole.", shapes.JournalWhole),
    ("GET", "/openapi.json"): About("This document.", shapes.OpenApi, anybody=True),
}

ABOUT: Final[Mapping[tuple[str, str], About]] = {**_CREDENTIALS, **_FLEET, **_CONFIGURATIONS, **_CATALOGUE}
"""By method and path, as the route has them."""
