"""What the upstream supervisor makes of offers: configurations, own telemetry, connections."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from distribution.demo.cluster import Cluster
from distribution.demo.processes import DemoError
from tests.interop import matrix
from tests.interop.backend import Backend, a_backend
from tests.interop.collector_host import CollectorHost, a_host, supervised, well
from tests.interop.go_agent import Row, row_of, until
from tests.interop.matrix import Client, Column
from tests.interop.orders import Configuration, configured, equipped, label, setting, told

SUPERVISOR = Client.SUPERVISOR

GOOD = """\
receivers: {nop: , otlp: {protocols: {http: {endpoint: "127.0.0.1:0"}}}}
exporters:
  debug:
  otlphttp: {endpoint: "https://nowhere.example:4318", timeout: 90s, headers: {authorization: Bearer hunter4}}
service: {pipelines: {logs: {receivers: [nop], exporters: [debug, otlphttp]}}}
"""
SEVERAL = {
    "": "exporters: {debug: {sampling_initial: 22}}\n",
    "b": "exporters: {debug: {sampling_initial: 11, verbosity: detailed}}\n",
    "a": """\
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "127.0.0.1:0", max_recv_msg_size_mib: 16, include_metadata: true}
      http: {endpoint: "127.0.0.1:0", cors: {allowed_origins: ["https://*"], max_age: 7200}}
exporters:
  otlphttp:
    endpoint: https://nowhere.example:4318
    compression: gzip
    tls: {insecure_skip_verify: true, min_version: "1.3"}
    retry_on_failure: {enabled: true, initial_interval: 500ms, max_elapsed_time: 5m}
    sending_queue: {queue_size: 5000, num_consumers: 2}
service:
  telemetry: {logs: {level: WARN, encoding: json}, metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [debug, otlphttp]}}
""",
}
UNREADABLE = "receivers: {nop: \n  - this is no YAML: ]\n"
UNKNOWN = """\
receivers: {nosuchreceiver: }
exporters: {nop: }
service: {pipelines: {logs: {receivers: [nosuchreceiver], exporters: [nop]}}}
"""


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A place for own telemetry, over TLS."""
    with a_backend(tmp_path_factory.mktemp("backend")) as running:
        yield running


@pytest.fixture
def host(world: Cluster, backend: Backend, tmp_path: Path) -> CollectorHost:
    """A host of its own for each test, whose collector trusts the backend."""
    host = a_host(world, tmp_path)
    label(world, host.uid)
    (tmp_path / "backend-ca.pem").write_bytes(backend.ca.read_bytes())
    return host


def crashed(row: Row) -> Row | None:
    """Find an agent that is connected, and whose collector ended by itself."""
    return row if row["connected"] and row["health"] and "exited" in row["health"]["error"] else None


def test_own_telemetry_arrives(world: Cluster, host: CollectorHost, backend: Backend) -> None:
    """Offered a real backend over TLS, its collector sends metrics and logs there."""
    with host.supervisor("telemetry.log") as supervisor:
        supervised(world, host, supervisor)
        with ExitStack() as settings:
            settings.enter_context(
                setting(world, host.uid, "own_metrics", endpoint=f"{backend.url}/v1/metrics")
            )
            backend.program.wait_for_text("otelcol_process_uptime")
            settings.enter_context(setting(world, host.uid, "own_logs", endpoint=f"{backend.url}/v1/logs"))
            backend.program.wait_for_text("Body: Str(Everything is ready")
            assert f"service.instance.id: Str({host.uid})" in backend.program.text()
            until(world, host.uid, "a healthy collector", well, supervisor)
            stands = equipped(world, host.uid, "offered", supervisor)
            assert "does not report" in stands["note"]
            assert told(world, host.uid, "connection_settings") == 2
    matrix.saw(
        SUPERVISOR, Column.TELEMETRY, "metrics and logs of its collector seen at a real backend over TLS"
    )


def test_its_own_connection_is_left_alone(world: Cluster, host: CollectorHost) -> None:
    """A heartbeat set for it, which it cannot take without a key, costs it nothing, and is said once."""
    with host.supervisor("connection.log") as supervisor:
        before = supervised(world, host, supervisor)
        running = host.collectors()
        with setting(world, host.uid, "opamp", heartbeat_seconds=2):
            supervisor.wait_for_text("must include both certificate and key")
            assert "does not report" in equipped(world, host.uid, "offered", supervisor)["note"]
        with setting(world, host.uid, "own_logs", endpoint="https://127.0.0.1:9/v1/logs"):
            until(world, host.uid, "its new collector", lambda _: other(host, running), supervisor)
        row = until(world, host.uid, "a healthy collector", well, supervisor)
        assert row["serials"] == before["serials"]
        assert told(world, host.uid, "greeting") == 1
        assert supervisor.text().count("must include both certificate and key") == 1
    matrix.cannot(
        SUPERVISOR,
        Column.CONNECTION,
        "it could with certificate and private key from the server, which ours never sends: offered once "
        "without the key, its own log asks for both, and it stays connected as before",
    )


def test_a_good_configuration_is_run(world: Cluster, host: CollectorHost) -> None:
    """Its collector runs what was assigned, filled in with defaults; that is seen before applied is said."""
    configuration = Configuration(world, host.uid)
    with host.supervisor("good.log") as supervisor:
        supervised(world, host, supervisor)
        configuration.assign(configuration.write(GOOD, secret=True))
        configured(world, host.uid, "applying", supervisor)
        found = configured(world, host.uid, "applied", supervisor)
        assert found["differences"] == []
        assert "sampling_initial" in found["effective"]["objects"][0]["body"]
        until(world, host.uid, "a healthy collector", well, supervisor)
        assert told(world, host.uid, "config") == 1
        assert "hunter4" not in str(found) + world.server.log.read_text(encoding="utf-8")
    matrix.saw(SUPERVISOR, Column.CONFIG_GOOD, "run by its collector, applied, and its effective one agrees")
    matrix.saw(SUPERVISOR, Column.EFFECTIVE, "its collector's own, kept and shown, secrets taken out")


def test_several_objects_are_one_to_it(world: Cluster, host: CollectorHost) -> None:
    """It merges them by their keys, the empty one last; so they are compared, and agree."""
    configuration = Configuration(world, host.uid)
    with host.supervisor("several.log") as supervisor:
        supervised(world, host, supervisor)
        configuration.assign(configuration.write_all(SEVERAL))
        found = configured(world, host.uid, "applied", supervisor)
        assert found["differences"] == []
        [one] = found["effective"]["objects"]
        assert (one["key"], "sampling_initial: 22" in one["body"]) == ("", True)
        assert "sampling_initial: 11" not in one["body"]


def test_applied_after_failed_is_not_believed(world: Cluster, host: CollectorHost) -> None:
    """It says failed of no YAML, and applied of the same when an earlier timer ends: not believed."""
    configuration = Configuration(world, host.uid)
    with host.supervisor("lie.log", seconds=1) as supervisor:
        supervised(world, host, supervisor)
        good, unreadable = (
            configuration.write(GOOD, secret=True),
            configuration.write(UNREADABLE, content_type="text/plain"),
        )
        configuration.assign(good)
        configured(world, host.uid, "applying", supervisor)  # its timer runs, for this one
        configuration.assign(unreadable)
        supervisor.wait_for_text("Reporting failed remote config status")
        digest = world.get(f"/api/v1/agents/{host.uid}/configuration")["intended"]["digest"]

        def claims(row: Row) -> Row | None:
            said = row["config"]
            return row if said["state"] == "applied" and said["hash"].startswith(digest) else None

        until(world, host.uid, "its claim", claims, supervisor)
        assert configured(world, host.uid, "untrue", supervisor)["why"]
        configuration.back()
        configured(world, host.uid, "applied", supervisor)
    matrix.saw(
        SUPERVISOR, Column.CONFIG_BAD, "no YAML: failed, then said to be applied, which is not believed"
    )


def test_what_its_collector_cannot_run(world: Cluster, host: CollectorHost) -> None:
    """An unknown component fails, and makes it crash in a loop; one command mends it."""
    configuration = Configuration(world, host.uid)
    with host.supervisor("crash.log") as supervisor:
        supervised(world, host, supervisor)
        configuration.assign(configuration.write(GOOD, secret=True))
        configured(world, host.uid, "applied", supervisor)
        configuration.assign(configuration.write(UNKNOWN))
        assert "exited unexpectedly" in configured(world, host.uid, "failed", supervisor)["why"]
        assert "nosuchreceiver" in configured(world, host.uid, "untrue", supervisor)["why"]
        assert not row_of(world, host.uid)["health"]["healthy"]
        configuration.back()
        configured(world, host.uid, "applied", supervisor)
        until(world, host.uid, "a healthy collector", well, supervisor)
    matrix.saw(SUPERVISOR, Column.CONFIG_BAD, "unknown component: failed, unhealthy; mended by going back")


def test_what_it_may_validate_itself(world: Cluster, host: CollectorHost) -> None:
    """Validating, it refuses without a restart, but starts with what it refused; that is seen, and mended.

    Once it runs by a bad one it refuses every other: its check merges the file that its collector runs by.
    It keeps what it refuses, so the next start of it, after going back, takes the good one.
    """
    configuration, validate = Configuration(world, host.uid), "validate_config: true"
    with host.supervisor("validate.log", agent=validate) as supervisor:
        supervised(world, host, supervisor)
        configuration.assign(configuration.write(GOOD, secret=True))
        configured(world, host.uid, "applied", supervisor)
        until(world, host.uid, "a healthy collector", well, supervisor)
        running = host.collectors()
        configuration.assign(configuration.write(UNKNOWN))
        assert "validation failed" in configured(world, host.uid, "failed", supervisor)["why"]
        assert host.collectors() == running
        assert well(row_of(world, host.uid))
    with host.supervisor("bad.log", agent=validate) as supervisor:
        refused = until(world, host.uid, "a crash", crashed, supervisor)["config"]["hash"][:64]
        configuration.back()

        def another(row: Row) -> Row | None:
            return row if row["config"]["hash"][:64] != refused else None

        said = until(world, host.uid, "its word about the good one", another, supervisor)["config"]
        assert (said["state"], "nosuchreceiver" in said["error"]) == ("failed", True)
    with host.supervisor("good.log", agent=validate) as supervisor:
        supervised(world, host, supervisor)
    matrix.saw(
        SUPERVISOR,
        Column.CONFIG_BAD,
        "with validate_config: failed without a restart, but run at its next start; it then refuses good "
        "ones too, and takes the one that was gone back to when it is started once more",
    )


def test_an_empty_map_is_never_sent(world: Cluster, host: CollectorHost) -> None:
    """What would stop its collector cannot be written: an empty configuration is refused."""
    configuration = Configuration(world, host.uid)
    with host.supervisor("empty.log") as supervisor:
        supervised(world, host, supervisor)
        running = host.collectors()
        with pytest.raises(DemoError, match="empty"):
            configuration.write("")
        assert host.collectors() == running
        assert told(world, host.uid, "config") == 0


def other(host: CollectorHost, before: list[int]) -> list[int] | None:
    """Find another collector than before on a host."""
    running = host.collectors()
    return running if running and running != before else None
