"""An agent on the published OpAMP client for Java: what it does with this server, and what it cannot."""

import json
from pathlib import Path

import pytest

from tests.interop.matrix import Client, Column, cannot
from tests.interop.parts import require, run
from tests.interop.world_parts import JAVA_CLIENT

BEYOND = (
    Column.HEALTH,
    Column.TELEMETRY,
    Column.CONNECTION,
    Column.PACKAGES,
    Column.RESTART,
    Column.ROTATION,
)
SWITCHES = {"enableRemoteConfig", "enableEffectiveConfigReporting"}


@pytest.fixture(scope="module")
def java_client() -> Path:
    """An agent of ours on the published client library for Java."""
    return require(JAVA_CLIENT)


def test_the_library_has_two_switches(java_client: Path) -> None:
    """Remote configuration and effective configuration are all that a program can turn on."""
    lines = run([str(java_client), "builder"], cwd=java_client.parent).splitlines()
    assert {one["name"] for one in map(json.loads, lines) if one["event"] == "can"} == SWITCHES
    for column in BEYOND:
        cannot(
            Client.JAVA,
            column,
            f"the library's builder turns on {' and '.join(sorted(SWITCHES))}, nothing else; "
            "its MessageData hands a program remote configuration only",
        )
