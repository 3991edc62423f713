"""The demonstration, as a newcomer runs it: on a folder, and on a real S3 server over TLS."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.stores import STORES, Store, objects_at

LONGEST_SECONDS = 600.0
"""Far over the 90 seconds it is meant to take: a busy machine is no failure of the product."""

SEEN = (
    "Trust is initialised",
    "Publisher acme is delegated",
    "Three agents enroll",
    "1.1.0 rolls out",
    "A deliberate downgrade to 1.0.0",
    "1.2.0 crashes on start",
    "The stored bytes of 1.3.0 are altered",
    "The floor is raised to 1.1.0",
    "socket closed",
    "came back and was refused",
    "journal is whole",
    "Every step happened",
)


@pytest.mark.rounds(1, 1, 20)
@pytest.mark.parametrize("store", STORES)
def test_every_step_happens(
    store: Store,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    rounds: int,
    progress: Callable[[int], None],
) -> None:
    """`quartermaster demo` tells every step, ends with success and leaves nothing behind."""
    with objects_at(store, request) as place:
        environment = {**os.environ, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
        words = [str(Path(sys.executable).parent / "quartermaster"), "demo"]
        if place.endpoint is not None:
            environment |= {"AWS_ENDPOINT_URL_S3": place.endpoint, "AWS_REGION": str(place.region)}
            environment["AWS_CA_BUNDLE"] = str(place.ca_bundle)
        for number in range(rounds):
            progress(number)
            where = [] if place.endpoint is None else ["--s3", f"{place.url}-{number}"]
            done = subprocess.run(
                [*words, *where],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert [words for words in SEEN if words not in done.stdout] == []
            assert list(tmp_path.glob("quartermaster-demo-*")) == []
