"""After the database was away everybody is woken: a change may have been committed, and nobody told.

So is whoever is owed it already. The same where a connection broke during a commit: the operator was told
that nobody knows, and agents are let in and told what the database says. Who is not let in any more is cut
when links are checked.
"""

import logging
from collections.abc import Callable

from distribution.flows.pulse import Pulse
from distribution.transport.hub import Hub
from storage.database import Database

logger = logging.getLogger(__name__)


class Healing:
    """Tries the database again and again. `beat` is for one thread."""

    def __init__(
        self,
        pulse: Pulse,
        database: Database,
        hub: Hub,
        *,
        readmit: Callable[[], None],
        relabel: Callable[[], None],
    ) -> None:
        """`readmit` reads again who is let in, `relabel` the labels that operators gave."""
        self._pulse = pulse
        self._database = database
        self._hub = hub
        self._readmit = readmit
        self._relabel = relabel
        self._doubts = database.doubts

    def beat(self) -> None:
        """Try it; if it is there, wake who is owed it. Raises: as `Database.read`; they are owed it still."""
        was_away = self._pulse.why_away() is not None
        self._pulse.beat()
        if self._pulse.why_away() is not None:
            return
        doubts = self._database.doubts
        if doubts != self._doubts:
            self._readmit()
        if was_away or doubts != self._doubts:
            self._doubts = doubts
            self._hub.owed.note(None)
        if self._hub.owed:
            self._relabel()
            self._hub.wake_owed()
            logger.info("agents are woken that were owed it")
