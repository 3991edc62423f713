"""What OpAMP asks of offers: compared by hash, made where they differ, left out where they do not."""

import hashlib

import pytest
from opamp.v1 import opamp_pb2

from distribution.domain.agent import Plan
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, RemoteConfig
from tests.fakes.listening import Listening
from tests.fakes.offers import an_offer
from tests.fakes.speaking import TRANSPORTS, speaking

pytestmark = pytest.mark.parametrize("transport", TRANSPORTS)
CONFIG = RemoteConfig({"": ConfigObject(b"receivers: {}", "text/yaml", "main")}, "base@1")


def applied(named: bytes) -> opamp_pb2.RemoteConfigStatus:
    """Return what an agent says that applied a configuration."""
    return opamp_pb2.RemoteConfigStatus(
        last_remote_config_hash=named, status=opamp_pb2.RemoteConfigStatuses_APPLIED
    )


def test_a_remote_configuration_is_offered_where_the_hashes_differ(at: Listening, transport: str) -> None:
    """In the answer to the very message that names another hash; not again once it names this one."""
    at.plans.plan = Plan(None, 30, config=CONFIG)
    with speaking(at, transport, introduce=False) as agent:
        offered = agent.says(remote_config_status=applied(b"another")).remote_config
        found = offered.config.config_map[""]
        assert (found.body, found.content_type, found.role) == (b"receivers: {}", "text/yaml", "main")
        assert not agent.says(remote_config_status=applied(offered.config_hash)).HasField("remote_config")
        assert not agent.says().HasField("remote_config")


def test_an_agent_that_holds_its_configuration_is_not_offered_it_when_it_returns(
    at: Listening, transport: str
) -> None:
    """Nor after a change that is the same in content."""
    identity = at.enrolled()
    at.plans.plan = Plan(None, 30, config=CONFIG)
    with speaking(at, transport, identity) as agent:
        named = numbered(CONFIG.digest, 1)
        agent.says(remote_config_status=applied(named))
    with speaking(at, transport, identity) as again:
        heard = again.says(remote_config_status=applied(named))
    assert not heard.HasField("remote_config")


def test_hashes_are_sha_256_of_the_content(at: Listening, transport: str) -> None:
    """Of a configuration: key, type, role and body, each after its length; then the number of the try."""
    at.plans.plan = Plan(None, 30, config=CONFIG)
    with speaking(at, transport, introduce=False) as agent:
        offered = agent.says().remote_config
    content = b"".join(
        len(part).to_bytes(8, "big") + part for part in (b"", b"text/yaml", b"main", b"receivers: {}")
    )
    assert offered.config_hash == hashlib.sha256(content).digest() + b"\0\1"


def test_packages_are_offered_where_the_hashes_differ(at: Listening, transport: str) -> None:
    """With the hash of the whole set, and with the hash of each."""
    at.plans.plan = Plan(an_offer(), 30)
    with speaking(at, transport, introduce=False) as agent:
        statuses = opamp_pb2.PackageStatuses(server_provided_all_packages_hash=b"another")
        offered = agent.says(package_statuses=statuses).packages_available
    assert len(offered.all_packages_hash) == 34
    assert [len(package.hash) for package in offered.packages.values()] == [32]


def test_no_packages_are_offered_while_a_download_is_in_progress(at: Listening, transport: str) -> None:
    """Whatever the hashes say: a second offer stops the receiving of known clients."""
    at.plans.plan = Plan(an_offer(), 30)
    busy = opamp_pb2.PackageStatus(name="otelcol", status=opamp_pb2.PackageStatusEnum_Downloading)
    with speaking(at, transport, introduce=False) as agent:
        heard = agent.says(package_statuses=opamp_pb2.PackageStatuses(packages={"otelcol": busy}))
    assert not heard.HasField("packages_available")


def test_the_list_of_components_is_asked_for_by_its_hash(at: Listening, transport: str) -> None:
    """A hash that is not known is asked about once; what is listed is not asked for again."""
    with speaking(at, transport) as agent:
        only = opamp_pb2.AvailableComponents(hash=b"h")
        asked = agent.says(available_components=only)
        assert asked.flags == opamp_pb2.ServerToAgentFlags_ReportAvailableComponents
        listed = opamp_pb2.AvailableComponents(hash=b"h")
        listed.components["receivers"].sub_component_map["otlp"].SetInParent()
        assert agent.says(available_components=listed).flags == 0
        assert agent.says(available_components=only).flags == 0
