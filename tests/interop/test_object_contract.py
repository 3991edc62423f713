"""The object port's contract on a real S3-compatible server over TLS."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.interop.stores import S3Place

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 600


def test_the_contract_holds_on_versitygw(versitygw: S3Place, tmp_path: Path) -> None:
    """Every case of the contract suite that runs on an S3 server from outside passes on versitygw."""
    report = tmp_path / "contract.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/contract",
        "-k",
        "external",
        "-q",
        f"--junitxml={report}",
    ]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=versitygw.contract_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    cases = len(list(ET.parse(report).iter("testcase"))) if report.exists() else 0
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert cases > 0
