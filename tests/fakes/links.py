"""A link of the hub that notes what is done to it."""

from collections.abc import Callable

from keys.certificate import CredentialId, Serial
from keys.identity import AgentId


class NotingLink:
    """Implements `distribution.transport.hub.Link`; `fails` makes every call an error."""

    def __init__(
        self, serial: int | None, agent: AgentId | None = None, *, talks: bool = True, fails: bool = False
    ) -> None:
        self.credential: CredentialId | None = None if serial is None else Serial(serial)
        self.via: CredentialId | None = None
        self.agent = agent
        self.talks = talks
        self.fails = fails
        self.noted: list[str] = []
        self.after: Callable[[], object] = lambda: None
        """Called after each thing that is done to it."""

    def cut(self, reason: str) -> int:
        self._note(f"cut: {reason}")
        return 1

    def wake(self) -> None:
        self._note("wake")

    def check(self) -> None:
        self._note("check")

    def _note(self, what: str) -> None:
        self.noted.append(what)
        self.after()
        if self.fails:
            raise OSError("the socket is gone")
