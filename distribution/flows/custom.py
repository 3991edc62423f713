"""Custom messages: a small registry of what this server speaks beyond the protocol (OpAMP "Custom Messages").

A capability is a name and a pure function of one message, called on the event loop, so it must be quick. A
message of a capability that is not here is passed over, and an answer goes only to an agent that says that it
knows the capability.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from distribution.domain.agent import CustomMessage, Plan
from distribution.protocol.explain import explain
from distribution.protocol.session import Session

Handler = Callable[[Session, Plan, CustomMessage, datetime], CustomMessage | None]
"""Takes the agent's session and plan, its message and the time (aware UTC); returns the answer, if any."""

Registry = Mapping[str, Handler]

EXPLAIN: Final = "io.opamp-quartermaster.explain/v1"
"""Capability by which an agent asks why it is, or is not, offered something: type `ask`, answer `reasons`."""

logger = logging.getLogger(__name__)


def explained(session: Session, plan: Plan, message: CustomMessage, now: datetime) -> CustomMessage | None:
    """Answer `ask` with the reasons as a JSON list of sentences."""
    if message.type != "ask":
        return None
    return CustomMessage(EXPLAIN, "reasons", json.dumps(explain(session, plan, now)).encode())


OURS: Final[Registry] = MappingProxyType({EXPLAIN: explained})


def answer(
    handlers: Registry, session: Session, plan: Plan, message: CustomMessage, now: datetime
) -> CustomMessage | None:
    """Return the answer to a custom message, None if there is none."""
    handler = handlers.get(message.capability)
    if handler is None or message.capability not in session.view.custom_capabilities:
        return None
    try:
        return handler(session, plan, message, now)
    except Exception:
        logger.exception("custom message failed", extra={"capability": message.capability})
        return None
