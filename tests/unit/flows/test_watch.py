"""Watching: what is shown to whom, and what to nobody."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography import x509

from distribution.domain.agent import (
    Capability,
    Components,
    CustomMessage,
    Description,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
    Report,
)
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus, RemoteConfig
from distribution.domain.connections import (
    ConnectionOffer,
    ConnectionSet,
    ConnectionState,
    ConnectionStatus,
    Credential,
    Destination,
    Signal,
)
from distribution.domain.terms import Fault
from distribution.errors import BusyError
from distribution.flows import told
from distribution.flows.watch import WAITING_MAX, WATCHING_MAX, Watches
from distribution.protocol.offers import ConfigOffer, Refusal, Reply
from keys.identity import AgentId
from tests.fakes.certificates import small_ca
from tests.fakes.offers import an_offer

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
UID = UUID("0192f2a1-7c3e-7abc-8def-0123456789ab")
AGENT = AgentId(UID)
OTHER = AgentId(UUID(int=9))
SECRET = "hunter2"
CA = small_ca()
HIDDEN = ConfigObject(f"token: {SECRET}".encode(), "text/yaml")


def watches() -> Watches:
    return Watches(lambda: NOW)


def nothing() -> None:
    """Be told, and do nothing."""


def everything() -> Report:
    """Return a message that says all that a message can, a secret in every place that may hold one."""
    return Report(
        UID,
        7,
        Capability.REPORTS_STATUS | Capability.REPORTS_HEALTH,
        description=Description({"service.name": "col"}, {"os.type": "linux"}),
        health=Health(False, "down", "x", {"pipe": Health(True)}),
        packages=PackagesReport((PackageReport("p", PackageState.FAILED, "1", error="x"),), b"\1", "y"),
        csr=SECRET.encode(),
        disconnect=True,
        effective={"main": HIDDEN},
        config_status=ConfigStatus(ConfigState.FAILED, b"\2", "bad"),
        connection_status=ConnectionStatus(ConnectionState.APPLIED, b"\3"),
        components=Components(b"\4", f'{{"{SECRET}": 1}}'),
        custom_capabilities=frozenset({"b", "a"}),
        custom=CustomMessage("cap", "kind", SECRET.encode()),
        wants_uid=True,
    )


def all_of_it() -> Reply:
    """Return an answer that says all that an answer can."""
    chain = CA.root_pem.encode()
    place = Destination(f"https://otlp.example/v1?key={SECRET}", {"Authorization": SECRET})
    settings = ConnectionSet(
        {Signal.METRICS: place, Signal.LOGS: None},
        {"db": place},
        heartbeat_seconds=30,
        names={"own_metrics": "m"},
    )
    return Reply(
        UID,
        Refusal(Fault.UNAVAILABLE, "busy"),
        greeting=True,
        full_state=True,
        offer=an_offer("1.0.0"),
        credential=Credential(chain, 30, NOW),
        config=ConfigOffer(RemoteConfig({"main": HIDDEN}, "base@3"), 2),
        connections=ConnectionOffer(settings, 1, chain, {"Authorization": SECRET}),
        restart=True,
        components=True,
        new_uid=UID,
        custom=CustomMessage("cap", "kind", SECRET.encode()),
        custom_capabilities=("cap",),
    )


def test_secrets_are_shown_by_their_size_or_not_at_all() -> None:
    """Every part of a message is shown, and no secret that any of them holds."""
    came, went = told.came(everything()), told.went(all_of_it())
    assert SECRET not in json.dumps([came, went])
    assert came["effective_config"] == {"main": {"bytes": 14, "content_type": "text/yaml"}}
    assert came["custom_message"] == {"capability": "cap", "type": "kind", "bytes": 7}
    assert set(came) == {
        *("sequence", "capabilities", "description", "health", "packages", "certificate_request"),
        *("effective_config", "config_status", "connection_status", "components", "custom_capabilities"),
        *("custom_message", "uid_request", "goodbye"),
    }
    settings = went["connection_settings"]
    assert isinstance(settings, dict)
    assert settings["telemetry"] == {
        "own_metrics": {"endpoint": "https://otlp.example/v1", "headers": ["Authorization"]},
        "own_logs": "off",
    }
    certificate = x509.load_pem_x509_certificate(CA.root_pem.encode())
    ends = f"{certificate.not_valid_after_utc:%FT%TZ}"
    assert went["certificate"] == {"serial": f"{certificate.serial_number:x}", "not_after": ends}
    assert len(went) == 12


def test_a_heartbeat_shows_that_it_says_nothing() -> None:
    """What a message leaves out is left out."""
    assert told.came(Report(UID, 8)) == {"sequence": 8}
    assert told.went(Reply(UID)) == {}


def test_what_is_no_certificate_is_shown_by_its_size() -> None:
    """A chain that cannot be read stops nobody from watching."""
    shown = told.went(Reply(UID, credential=Credential(b"no certificate", 30, NOW)))["certificate"]
    assert isinstance(shown, dict)
    assert shown["bytes"] == 14


def test_both_directions_are_shown_to_who_watches_that_agent() -> None:
    """A message, its answer, what is said later and what is refused; nothing of other agents."""
    everybody, rung = watches(), []
    assert not everybody
    watch = everybody.open(AGENT, lambda: rung.append(1))
    everybody.heard("ws", UID, Report(UID, 1), Reply(UID, greeting=True))
    everybody.heard("ws", OTHER.uuid, Report(OTHER.uuid, 1), Reply(OTHER.uuid))
    everybody.sent("ws", AGENT, Reply(UID, restart=True))
    everybody.sent("ws", None, Reply(None))
    everybody.refused("http", AGENT, ValueError("no"))
    everybody.refused("http", None, ValueError("no"))
    assert [(one["direction"], one["said"]) for one in watch.take()] == [
        ("from agent", {"sequence": 1}),
        ("to agent", {"greeting": True}),
        ("to agent", {"restart": True}),
        ("refused", {"reason": "no"}),
    ]
    assert len(rung) == 4
    assert watch.take() == []


def test_the_end_of_a_connection_is_shown_to_who_watches() -> None:
    """The error, if there was one, and the reason in the close frame; of a stranger to nobody."""
    everybody = watches()
    watch = everybody.open(AGENT, nothing)
    cut = Reply(None, Refusal(Fault.UNKNOWN, "connection is cut: agent was revoked"))
    everybody.ended("ws", AGENT, cut, "agent was revoked")
    everybody.ended("ws", AGENT, None, "took too long")
    everybody.ended("ws", AGENT, cut, "")
    everybody.ended("ws", None, cut, "agent was revoked")
    error = told.went(cut)
    assert [(one["direction"], one["said"]) for one in watch.take()] == [
        ("to agent", {**error, "close": "agent was revoked"}),
        ("to agent", {"close": "took too long"}),
        ("to agent", error),
    ]


def test_a_slow_watcher_is_told_how_much_it_missed() -> None:
    """What waits for it is bounded; the agent does not wait for it."""
    everybody = watches()
    watch = everybody.open(AGENT, nothing)
    for number in range(WAITING_MAX):
        everybody.heard("ws", UID, Report(UID, number), Reply(UID))
    found = watch.take()
    assert (len(found), found[-1]) == (WAITING_MAX + 1, {"dropped": WAITING_MAX})


def test_two_watch_and_one_goes() -> None:
    """The end of one watch is none of the other's affair; after both nobody watches."""
    everybody = watches()
    one, other = everybody.open(AGENT, nothing), everybody.open(AGENT, nothing)
    everybody.close(one)
    everybody.close(one)
    everybody.heard("ws", UID, Report(UID, 1), Reply(UID))
    assert (one.take(), len(other.take())) == ([], 2)
    everybody.close(other)
    assert not everybody


def test_who_watches_is_bounded() -> None:
    """One more than fits is told to come again."""
    everybody = watches()
    kept = [everybody.open(AgentId(UUID(int=number + 1)), nothing) for number in range(WATCHING_MAX)]
    refused: list[Callable[[], object]] = [everybody.require_room, lambda: everybody.open(AGENT, nothing)]
    for attempt in refused:
        with pytest.raises(BusyError, match="watch already"):
            attempt()
    everybody.close(kept[0])
    everybody.require_room()
