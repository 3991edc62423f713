"""The real parts are what they say they are."""

import json
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.interop.programs import free_port, listening, wait_for

CONFIGURATION = """
receivers: {{nop: }}
exporters: {{nop: }}
extensions:
  health_check: {{endpoint: "127.0.0.1:{port}"}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    traces: {{receivers: [nop], exporters: [nop]}}
"""


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_collector_names_its_version(collectors: Mapping[str, Path], version: str) -> None:
    """Each build of the collector says the version it was built with."""
    said = subprocess.run(
        [collectors[version], "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert said.split()[-1] == version


def test_two_builds_differ_in_bytes(collectors: Mapping[str, Path]) -> None:
    """The two versions of the collector are different files."""
    assert collectors["1.0.0"].read_bytes() != collectors["1.1.0"].read_bytes()


@pytest.mark.parametrize("version", ["1.0.0", "1.1.0"])
def test_a_collector_becomes_healthy(collectors: Mapping[str, Path], version: str, tmp_path: Path) -> None:
    """A collector with nothing to collect answers 200 on its health endpoint."""
    port, configuration = free_port(), tmp_path / "collector.yaml"
    configuration.write_text(CONFIGURATION.format(port=port), encoding="utf-8")
    arguments = [str(collectors[version]), "--config", str(configuration)]

    def healthy() -> dict[str, object] | None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as answer:
                return json.load(answer)
        except OSError:
            return None

    with listening(arguments, port, tmp_path / "collector.log") as collector:
        assert wait_for("health", healthy, alive=collector.gone)["status"] == "Server available"
