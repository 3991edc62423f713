"""What an agent's message says, and what of it is refused or cut."""

import pytest
from opamp.v1 import anyvalue_pb2, opamp_pb2

from distribution.domain.agent import (
    Capability,
    Components,
    Health,
    PackageReport,
    PackagesReport,
    PackageState,
)
from distribution.errors import MalformedError, OversizedError
from distribution.protocol import parts, reports, wire
from keys.identity import AgentId

AGENT = AgentId.parse("0192f2a1-7c3e-7abc-8def-0123456789ab")


def _message(**fields: object) -> opamp_pb2.AgentToServer:
    return opamp_pb2.AgentToServer(instance_uid=AGENT.raw, **fields)  # type: ignore[arg-type] # any field


def _pair(key: str, **value: object) -> anyvalue_pb2.KeyValue:
    return anyvalue_pb2.KeyValue(key=key, value=anyvalue_pb2.AnyValue(**value))  # type: ignore[arg-type] # any kind


def test_heartbeat_says_little() -> None:
    """A message of uid, number and capabilities leaves everything else as it was."""
    report = reports.read_report(_message(sequence_num=3, capabilities=0x2009))
    assert (report.uid, report.sequence) == (AGENT.uuid, 3)
    assert report.capabilities == (
        Capability.REPORTS_STATUS | Capability.ACCEPTS_PACKAGES | Capability.REPORTS_HEARTBEAT
    )
    assert (report.description, report.health, report.packages, report.csr) == (None, None, None, None)
    assert not report.disconnect


def test_capabilities_nobody_knows_are_left_out() -> None:
    """Bits of later versions and bits we do not act on are dropped."""
    report = reports.read_report(_message(capabilities=(1 << 63) | 0x10000000 | 0x1))
    assert report.capabilities == Capability.REPORTS_STATUS


@pytest.mark.parametrize("uid", [b"", b"short", bytes(16), bytes(17)], ids=["none", "short", "zero", "long"])
def test_uid_that_is_none_is_malformed(uid: bytes) -> None:
    """Nothing is taken from a message whose sender it does not say."""
    with pytest.raises(MalformedError, match="instance uid"):
        reports.read_report(opamp_pb2.AgentToServer(instance_uid=uid))


def test_description_gives_the_platform() -> None:
    """`os.type` and `host.arch` make the platform, in Go's words."""
    description = opamp_pb2.AgentDescription(
        identifying_attributes=[_pair("service.name", string_value="otelcol")],
        non_identifying_attributes=[
            _pair("os.type", string_value="linux"),
            _pair("host.arch", string_value="amd64"),
        ],
    )
    found = reports.read_report(_message(agent_description=description)).description
    assert found is not None
    assert found.identifying == {"service.name": "otelcol"}
    assert found.platform == "linux-amd64"


def test_scalars_are_kept_as_text_and_the_rest_is_not() -> None:
    """Lists, maps, bytes and empty values describe nothing that is shown."""
    description = opamp_pb2.AgentDescription(
        non_identifying_attributes=[
            _pair("b", bool_value=True),
            _pair("c", bool_value=False),
            _pair("i", int_value=-4),
            _pair("d", double_value=0.5),
            _pair("y", bytes_value=b"x"),
            _pair("n"),
        ]
    )
    found = reports.read_report(_message(agent_description=description)).description
    assert found is not None
    assert found.attributes == {"b": "true", "c": "false", "i": "-4", "d": "0.5"}
    assert found.platform is None


def test_long_text_and_many_attributes_are_cut() -> None:
    """An agent cannot fill the server's memory by describing itself."""
    many = [_pair(f"k{number}", string_value="v" * 5000) for number in range(1000)]
    found = reports.read_report(
        _message(agent_description=opamp_pb2.AgentDescription(identifying_attributes=many))
    ).description
    assert found is not None
    assert len(found.identifying) == reports.ATTRIBUTES_MAX
    assert found.identifying["k0"] == "v" * parts.TEXT_MAX_CHARS


def test_health_is_read() -> None:
    """Healthy or not, with the agent's words."""
    health = opamp_pb2.ComponentHealth(healthy=False, status="starting", last_error="port in use")
    assert reports.read_report(_message(health=health)).health == Health(
        healthy=False, status="starting", error="port in use"
    )


def test_packages_are_read() -> None:
    """Every field of a package's status that decides something is kept."""
    statuses = opamp_pb2.PackageStatuses(
        packages={
            "b": opamp_pb2.PackageStatus(
                name="b",
                agent_has_version="1.0.0",
                agent_has_hash=b"h1",
                server_offered_version="1.1.0",
                server_offered_hash=b"h2",
                status=opamp_pb2.PackageStatusEnum_InstallFailed,
                error_message="no",
            ),
            "a": opamp_pb2.PackageStatus(
                status=opamp_pb2.PackageStatusEnum_Installed, agent_has_hash=b"x" * 99
            ),
        },
        server_provided_all_packages_hash=b"all",
        error_message="some",
    )
    assert reports.read_report(_message(package_statuses=statuses)).packages == PackagesReport(
        (
            PackageReport("a", PackageState.INSTALLED),
            PackageReport("b", PackageState.FAILED, "1.0.0", b"h1", "1.1.0", b"h2", "no"),
        ),
        b"all",
        "some",
    )


def test_unknown_state_is_no_end() -> None:
    """A state of a later protocol reads as pending, not as installed."""
    status = opamp_pb2.PackageStatus()
    status.MergeFromString(b"\x30\x63")  # field 6, value 99: an open enum keeps it
    statuses = opamp_pb2.PackageStatuses(packages={"a": status})
    found = reports.read_report(_message(package_statuses=statuses)).packages
    assert found is not None
    assert found.packages[0].state is PackageState.PENDING


def test_more_packages_than_allowed_are_refused() -> None:
    """Dropping some would read as their removal, so the message is refused, with both numbers."""
    statuses = opamp_pb2.PackageStatuses(
        packages={f"p{number}": opamp_pb2.PackageStatus() for number in range(reports.PACKAGES_MAX + 1)}
    )
    with pytest.raises(MalformedError, match="257 packages, at most 256"):
        reports.read_report(_message(package_statuses=statuses))


def _request(csr: bytes) -> opamp_pb2.ConnectionSettingsRequest:
    return opamp_pb2.ConnectionSettingsRequest(
        opamp=opamp_pb2.OpAMPConnectionSettingsRequest(
            certificate_request=opamp_pb2.CertificateRequest(csr=csr)
        )
    )


def test_certificate_request_is_handed_on_unread() -> None:
    """The request's bytes are judged by the authority, not here."""
    assert reports.read_report(_message(connection_settings_request=_request(b"pem"))).csr == b"pem"


@pytest.mark.parametrize("csr", [b"", b"x" * (reports.CSR_MAX_BYTES + 1)], ids=["empty", "huge"])
def test_certificate_request_of_no_sensible_size_is_malformed(csr: bytes) -> None:
    """An empty request asks for nothing, and one over the cap is not passed on."""
    with pytest.raises(MalformedError, match=f"certificate request has {len(csr)} bytes"):
        reports.read_report(_message(connection_settings_request=_request(csr)))


def test_goodbye_is_read() -> None:
    """`agent_disconnect` marks the last words."""
    assert reports.read_report(_message(agent_disconnect=opamp_pb2.AgentDisconnect())).disconnect


def test_each_transport_has_its_form() -> None:
    """The same message in a frame and in a body gives the same report; a body has its cap."""
    message = _message(sequence_num=3)
    report = reports.read_report(message)
    assert reports.from_websocket(wire.encode_ws(message)) == report
    assert reports.from_http(wire.encode_http(message, compress=True), "gzip", 1000) == report
    with pytest.raises(OversizedError):
        reports.from_http(bytes(11), "", 10)


def test_no_more_attributes_are_looked_at_than_are_kept() -> None:
    """What is left out is not read either: half a million would stop everybody for most of a second."""
    many = [_pair(f"k{number}", bytes_value=b"x") for number in range(reports.ATTRIBUTES_MAX)]
    found = reports.read_report(
        _message(
            agent_description=opamp_pb2.AgentDescription(
                identifying_attributes=[*many, _pair("late", string_value="v")]
            )
        )
    ).description
    assert found is not None
    assert found.identifying == {}


def test_text_holds_no_nul() -> None:
    """PostgreSQL refuses a text with one, and the status of all agents with it."""
    pairs = [_pair("os.type", string_value="li\0nux"), _pair("host.arch", string_value="amd64")]
    found = reports.read_report(
        _message(agent_description=opamp_pb2.AgentDescription(non_identifying_attributes=pairs))
    ).description
    assert found is not None
    assert found.platform == "li\N{REPLACEMENT CHARACTER}nux-amd64"


def test_every_further_part_is_read() -> None:
    """Effective configuration, statuses, components, custom parts, and the wish for a uid."""
    message = _message(flags=opamp_pb2.AgentToServerFlags_RequestInstanceUid)
    message.effective_config.config_map.config_map[""].body = b"receivers: {}"
    message.remote_config_status.last_remote_config_hash = b"c"
    message.connection_settings_status.last_connection_settings_hash = b"s"
    message.available_components.hash = b"h"
    message.custom_capabilities.capabilities.append("io.example.x/v1")
    message.custom_message.capability = "io.example.x/v1"
    report = reports.read_report(message)
    assert report.effective is not None
    assert report.config_status is not None
    assert report.connection_status is not None
    assert report.custom is not None
    assert (report.config_status.hash, report.connection_status.hash) == (b"c", b"s")
    assert (report.components, report.custom_capabilities) == (Components(b"h"), {"io.example.x/v1"})
    assert report.wants_uid
    assert not report.is_heartbeat
