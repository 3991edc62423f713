"""A listener whose agents are given connection settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from distribution.flows.connections import ConnectionBoard
from keys.sealing import Seal
from tests.fakes.listening import Listening, listening


@contextmanager
def boarded(root: Path, seal: Seal) -> Iterator[Listening]:
    """Open one with a board of its own, whose secrets are sealed by `seal`."""
    with listening(root) as here:
        admission = here.work.admission
        here.plans.connections = ConnectionBoard(
            here.work.database, seal, admission.speaker_for, admission.is_certified
        )
        yield here
