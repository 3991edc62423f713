"""Which settings an agent is to have: by labels alone, the more specific one, and only what it can do."""

from dataclasses import replace
from uuid import UUID

import pytest

from distribution.domain.agent import Capability
from distribution.domain.connection_choice import Kind, Setting, chosen, permitted
from distribution.domain.connections import ConnectionSet, Destination, Signal
from distribution.errors import InvalidError, PolicyError

OTLP = Destination("https://otlp.example:4318/v1/metrics")
EU = Destination("https://eu.example:4318/v1/metrics")
GATEWAY = UUID(int=9)
BEAT = {"opamp": "beat"}
ALL = (
    Capability.REPORTS_OWN_METRICS
    | Capability.REPORTS_OWN_LOGS
    | Capability.REPORTS_OWN_TRACES
    | Capability.ACCEPTS_CONNECTION_SETTINGS
    | Capability.REPORTS_CONNECTION_STATUS
    | Capability.ACCEPTS_OTHER_CONNECTIONS
)


def metrics(name: str, target: Destination | None = OTLP, **selector: str) -> Setting:
    return Setting(name, Kind.METRICS, selector, target)


def test_nothing_applies_where_no_label_matches() -> None:
    """An agent that no setting is for is told nothing."""
    assert chosen({"ring": "b"}, [metrics("m", ring="a")]) is None
    assert chosen({}, []) is None


def test_the_more_specific_setting_wins() -> None:
    """Two matching labels beat one, whatever the order; origin says which won."""
    settings = [metrics("all"), metrics("eu", EU, region="eu"), metrics("eu-a", OTLP, region="eu", ring="a")]
    found = chosen({"region": "eu"}, reversed(settings))
    assert found == ConnectionSet({Signal.METRICS: EU}, names={"own_metrics": "eu"})
    assert found is not None
    assert found.origin == "eu"
    most = chosen({"region": "eu", "ring": "a"}, settings)
    assert most is not None
    assert (most.telemetry, most.origin) == ({Signal.METRICS: OTLP}, "eu-a")


def test_a_tie_is_refused_by_both_names() -> None:
    """No coin decides where telemetry goes."""
    settings = [metrics("b", region="eu"), metrics("a", ring="x")]
    with pytest.raises(PolicyError, match="'a' and 'b' both decide own_metrics by 1 matching labels"):
        chosen({"region": "eu", "ring": "x"}, settings)


def test_each_place_is_decided_for_itself() -> None:
    """Signals, named connections and the heartbeat come from different settings; off is a decision too."""
    kafka, redis = Destination("kafka:9093"), Destination("redis:6380")
    found = chosen(
        {},
        [
            metrics("m"),
            Setting("no-logs", Kind.LOGS),
            Setting("k", Kind.OTHER, destination=kafka, connection="kafka"),
            Setting("r", Kind.OTHER, destination=redis, connection="redis"),
            Setting("beat", Kind.OPAMP, heartbeat_seconds=5),
        ],
    )
    assert found is not None
    assert found.telemetry == {Signal.METRICS: OTLP, Signal.LOGS: None}
    assert found.other == {"kafka": kafka, "redis": redis}
    assert (found.heartbeat_seconds, found.origin) == (5, "beat, k, m, no-logs, r")


def test_where_one_signal_is_decided_every_possible_one_is_said() -> None:
    """Metrics alone are decided: traces and logs are said to be off, to an agent that could send them."""
    found = permitted(ConnectionSet({Signal.METRICS: OTLP}), ALL, certified=True)
    assert found.telemetry == {Signal.METRICS: OTLP, Signal.TRACES: None, Signal.LOGS: None}
    assert permitted(found, ALL, certified=True) == found


@pytest.mark.parametrize(
    ("capabilities", "signals"),
    [
        (Capability.REPORTS_OWN_METRICS, [Signal.METRICS]),
        (Capability.REPORTS_OWN_METRICS | Capability.REPORTS_OWN_LOGS, [Signal.METRICS, Signal.LOGS]),
    ],
)
def test_a_signal_is_said_only_to_an_agent_that_reports_it(
    capabilities: Capability, signals: list[Signal]
) -> None:
    """OpAMP "Connection Settings Management": the server may offer a class only by its capability."""
    found = permitted(ConnectionSet({Signal.METRICS: OTLP}), capabilities, certified=True)
    assert list(found.telemetry) == signals


def test_an_agent_that_cannot_send_what_is_decided_is_told_nothing() -> None:
    """Metrics are decided; an agent that sends only traces keeps them as they are."""
    metrics = ConnectionSet({Signal.METRICS: OTLP}, names={"own_metrics": "m"})
    with pytest.raises(
        PolicyError, match=r"\(m\) is told: m \(own_metrics\) .* capability ReportsOwnMetrics"
    ):
        permitted(metrics, Capability.REPORTS_OWN_TRACES, certified=True)


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (ConnectionSet(heartbeat_seconds=5), Capability.ACCEPTS_CONNECTION_SETTINGS),
        (ConnectionSet(other={"x": Destination("x:1")}), Capability.ACCEPTS_OTHER_CONNECTIONS),
    ],
)
def test_each_class_needs_its_capability(settings: ConnectionSet, needed: Capability) -> None:
    """With the one bit it is offered, with all others it is not."""
    assert permitted(settings, needed, certified=True) == settings
    with pytest.raises(PolicyError, match="does not have the capability Accepts"):
        permitted(settings, ALL & ~needed, certified=True)


def test_without_certificate_and_status_the_own_connection_is_left_alone() -> None:
    """Whoever reports status says what it made of an offer; whoever has a certificate keeps it."""
    settings = ConnectionSet({Signal.METRICS: OTLP}, heartbeat_seconds=5, names=BEAT | {"own_metrics": "m"})
    mute = ALL & ~Capability.REPORTS_CONNECTION_STATUS
    found = permitted(settings, mute, certified=False)
    assert (found.heartbeat_seconds, set(found.telemetry)) == (None, set(Signal))
    assert "it has no certificate and reports no status" in found.left_out
    for able, certified in ((ALL, False), (mute, True)):
        told = permitted(settings, able, certified=certified)
        assert (told.heartbeat_seconds, told.left_out) == (5, "")
    with pytest.raises(PolicyError, match=r"settings for it \(beat\) is told: nothing is told of its OpAMP"):
        permitted(ConnectionSet(heartbeat_seconds=5, names=BEAT), mute, certified=False)


def test_behind_a_gateway_all_but_the_own_connection_is_told() -> None:
    """What is left out is said, and is no part of what is told; with nothing left it is a reason."""
    settings = ConnectionSet({Signal.METRICS: OTLP}, heartbeat_seconds=5, names=BEAT | {"own_metrics": "m"})
    found = permitted(settings, ALL, GATEWAY, certified=True)
    alone = permitted(replace(settings, heartbeat_seconds=None), ALL, certified=True)
    assert (found.heartbeat_seconds, found.digest, alone.left_out) == (None, alone.digest, "")
    assert f"it is behind gateway {GATEWAY}" in found.left_out
    with pytest.raises(PolicyError, match=r"settings for it \(beat\) is told: nothing is told of its OpAMP"):
        permitted(ConnectionSet(heartbeat_seconds=5, names=BEAT), ALL, GATEWAY, certified=True)
    unable = ALL & ~Capability.ACCEPTS_CONNECTION_SETTINGS
    with pytest.raises(PolicyError, match="capability AcceptsOpAMPConnectionSettings") as refused:
        permitted(ConnectionSet(heartbeat_seconds=5), unable, GATEWAY, certified=True)
    assert "gateway" not in str(refused.value)


def test_settings_that_were_never_sent_are_not_shown_as_held() -> None:
    """Only what is told counts; of the rest its name, its place and the missing capability are said."""
    wanted = chosen(
        {},
        [
            metrics("om"),
            Setting("ol", Kind.LOGS),
            Setting("oth", Kind.OTHER, destination=Destination("kafka:9093"), connection="kafka"),
            Setting("hb", Kind.OPAMP, heartbeat_seconds=25),
        ],
    )
    assert wanted is not None
    able = Capability.ACCEPTS_CONNECTION_SETTINGS | Capability.REPORTS_CONNECTION_STATUS
    found = permitted(wanted, able, certified=True)
    assert (found.origin, found.heartbeat_seconds, found.telemetry, found.other) == ("hb", 25, {}, {})
    assert found.left_out == (
        "ol (own_logs) is not told, as it does not have the capability ReportsOwnLogs; "
        "om (own_metrics) is not told, as it does not have the capability ReportsOwnMetrics; "
        "oth (other kafka) is not told, as it does not have the capability AcceptsOtherConnectionSettings"
    )
    some = permitted(wanted, able | Capability.REPORTS_OWN_LOGS, certified=True)
    assert (some.origin, some.telemetry) == ("hb, ol", {Signal.LOGS: None})


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        (lambda: Setting("x", Kind.OPAMP), "heartbeat_seconds"),
        (lambda: Setting("x", Kind.OPAMP, heartbeat_seconds=0), "is 0, expected 1 to 3600"),
        (lambda: Setting("x", Kind.OPAMP, heartbeat_seconds=5, destination=OTLP), "endpoint"),
        (lambda: replace(metrics("x"), heartbeat_seconds=5), "heartbeat_seconds"),
        (lambda: replace(metrics("x"), connection="kafka"), "connection"),
        (lambda: Setting("x", Kind.OTHER, destination=OTLP), "connection"),
        (lambda: Setting("x", Kind.OTHER, destination=OTLP, connection="a\nb"), "printable"),
        (lambda: Setting("x", Kind.OTHER, connection="kafka"), "cannot be turned off"),
        (lambda: metrics("x", Destination("https://x.example/v1", settings={"a": "b"})), "settings"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(setting: object, why: str) -> None:
    """Each kind has its own parts; the message names setting and part."""
    assert callable(setting)
    with pytest.raises(InvalidError, match=f"connection setting 'x': .*{why}"):
        setting()
