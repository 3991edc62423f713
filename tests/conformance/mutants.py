"""Ten behaviours that can be taken out of the server, to see that the test of their clause then fails.

As a pytest plugin (`-p tests.conformance.mutants`) it takes each out while the test runs that then fails,
and puts it back: one process shows all of them.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import PackagesReport
from distribution.domain.terms import Fault
from distribution.protocol import offers, session, wire
from distribution.protocol.pacing import NEVER, Stance


@dataclass(frozen=True, slots=True)
class Mutant:
    """One behaviour; `take_out` removes it, `file::test` is to fail then."""

    name: str
    file: str
    test: str
    take_out: Callable[[pytest.MonkeyPatch], None]


def _no_full_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "has_missed", lambda *_parts, **_more: False)


def _capabilities_never(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(offers, "SERVER_CAPABILITIES", 0)


def _command_with_company(patch: pytest.MonkeyPatch) -> None:
    def answer(state: Any, plan: Any, now: Any, before: Any = session._answer, **more: Any) -> Any:
        turn = before(state, replace(plan, restart=None), now, **more)
        return replace(turn, reply=replace(turn.reply, restart=plan.restart is not None))

    def own(reply: Any, terms: Any, route: Any, before: Any = offers._own) -> Any:
        message = before(replace(reply, restart=False), terms, route)
        if reply.restart:
            message.command.type = opamp_pb2.CommandType_Restart
        return message

    def alike(reply: Any, terms: Any, before: Any = offers._alike) -> Any:
        return before(replace(reply, restart=False), terms)

    patch.setattr(session, "_answer", answer)
    patch.setattr(offers, "_own", own)
    patch.setattr(offers, "_alike", alike)


def _ungated(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "of_packages", lambda *_parts, **_more: Stance.OPEN)


def _config_never(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(session, "_config", lambda state, _plan, _now: (0, state.config, NEVER))


def _busy_is_open(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PackagesReport, "busy", False)


def _unlimited_bodies(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(wire, "require_size", lambda _size, _most: None)


def _unknown_encoding_is_plain(patch: pytest.MonkeyPatch) -> None:
    def decode(body: bytes, kind: Any, _encoding: str, _most: int = 0) -> Any:
        return wire.decode(body, kind)

    patch.setattr(wire, "decode_http", decode)


def _unlimited_answers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(offers, "_limited", lambda _own, encoded: encoded)


def _wrong_fault(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(offers._FAULTS, Fault.BAD_REQUEST, offers._FAULTS[Fault.UNKNOWN])


_MESSAGES, _OFFERS = "conformance/test_messages.py", "conformance/test_offers.py"

MUTANTS = (
    Mutant(
        "gaps-are-overlooked",
        _MESSAGES,
        "test_a_gap_asks_for_the_full_state_and_nothing_else_does",
        _no_full_state,
    ),
    Mutant(
        "no-capabilities",
        _MESSAGES,
        "test_capabilities_are_said_first_and_left_out_later",
        _capabilities_never,
    ),
    Mutant(
        "offers-beside-a-command", _MESSAGES, "test_a_command_is_alone_in_its_message", _command_with_company
    ),
    Mutant("offers-to-all", _MESSAGES, "test_capabilities_that_an_agent_changes_are_respected", _ungated),
    Mutant(
        "no-configuration",
        _OFFERS,
        "test_a_remote_configuration_is_offered_where_the_hashes_differ",
        _config_never,
    ),
    Mutant(
        "offers-during-downloads",
        _OFFERS,
        "test_no_packages_are_offered_while_a_download_is_in_progress",
        _busy_is_open,
    ),
    Mutant(
        "no-limit-on-bodies",
        "unit/protocol/test_wire.py",
        "test_gzip_bomb_stops_at_the_cap",
        _unlimited_bodies,
    ),
    Mutant(
        "encodings-are-overlooked",
        "unit/protocol/test_wire.py",
        "test_broken_and_foreign_encodings_are_malformed",
        _unknown_encoding_is_plain,
    ),
    Mutant(
        "no-limit-on-answers",
        "unit/protocol/test_offers.py",
        "test_message_that_agents_do_not_take_is_not_sent",
        _unlimited_answers,
    ),
    Mutant(
        "wrong-type-of-error",
        _MESSAGES,
        "test_a_request_for_a_certificate_that_is_refused_is_a_bad_request",
        _wrong_fault,
    ),
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test without the behaviour that it shows."""
    name = item.nodeid.partition("[")[0]
    with pytest.MonkeyPatch.context() as patch:
        for one in MUTANTS:
            if name == f"tests/{one.file}::{one.test}":
                one.take_out(patch)
        return (yield)
