"""Step 2 of every message: what the agent is to have, decided anew only where that may make a difference.

An error in deciding is no offer, and its reason is for operators' eyes. Memory only.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from distribution.domain.agent import AgentView, Plan, Report
from distribution.errors import DistributionError
from distribution.flows.commands import Commands
from distribution.flows.talk import Talk
from distribution.protocol.session import Session
from keys.identity import AgentId

PlanFor = Callable[[AgentView], Plan]
"""Decides what an agent is to have; memory only. Raises DistributionError where it cannot be decided."""

AsOf = Callable[[], int | None]
"""Tells one state of what plans are decided from, from the next.

None: plans are not the same for all agents of equal labels, platform and capabilities that speak for
themselves.
"""

PLAN_FOR: Final = timedelta(minutes=1)
"""How old a plan may become: what it was decided from may have changed without a wake-up."""

logger = logging.getLogger(__name__)


class Decided:
    """The plans of the talks."""

    def __init__(
        self, plan_for: PlanFor, commands: Commands, heartbeat_seconds: int, as_of: AsOf | None = None
    ) -> None:
        """Without `as_of`, every agent's plan is its own."""
        self.as_of = as_of or _no_state
        self._plan_for = plan_for
        self._commands = commands
        self._heartbeat_seconds = heartbeat_seconds

    def current(self, talk: Talk, session: Session, report: Report, now: datetime) -> Plan:
        """Return the talk's plan, decided again where this message or time may make a difference."""
        able = report.capabilities or session.view.capabilities  # a mere poll may leave them out
        said = report.description is not None or able != session.view.capabilities
        if talk.plan is None or said or not talk.planned_at <= now < talk.planned_at + PLAN_FOR:
            return self.again(talk, session.view.heard(report, now), now)
        return talk.plan

    def again(self, talk: Talk, view: AgentView, now: datetime) -> Plan:
        """Decide the talk's plan from what is known of its agent."""
        plan, before = self.of(view, now), talk.plan
        if before is not None and before is not plan and not _is_other(before, plan) and before == plan:
            plan = before  # the same object stays, by which the session knows that nothing changed
        talk.plan, talk.planned_at = plan, now
        return plan

    def of(self, view: AgentView, now: datetime) -> Plan:
        """Return what this agent is to have, and an order that waits for it; nothing is kept."""
        plan = self.alike(view)
        order = self._commands.pending(AgentId(view.uid), now) if self._commands.waits else None
        return plan if order is None else replace(plan, restart=order)

    @property
    def orders_wait(self) -> bool:
        """Whether there may be an order for anybody."""
        return self._commands.waits

    def has_order(self, talk: Talk, now: datetime) -> bool:
        """Whether an order waits for the talk's agent."""
        if not self._commands.waits or talk.state is None:
            return False
        return self._commands.pending(AgentId(talk.state.view.uid), now) is not None

    def alike(self, view: AgentView) -> Plan:
        """Return what this agent is to have, but for an order; nothing is kept."""
        try:
            return self._plan_for(view)
        except DistributionError as exc:
            return Plan(None, self._heartbeat_seconds, str(exc))
        except Exception:
            logger.exception("plan could not be decided", extra={"agent": str(view.uid)})
            return Plan(None, self._heartbeat_seconds, "internal error")


def _is_other(before: Plan, plan: Plan) -> bool:
    """Whether two plans are seen to differ at a glance: most that differ do so by the packages offered."""
    one, other = before.offer, plan.offer
    return one is not other and one is not None and other is not None and one.hash != other.hash


def _no_state() -> None:
    return None
