"""`quartermaster` whose agents' sockets do nothing with a message but answer it with constant bytes.

For measuring only: what a message costs then is the shell's (uvicorn, uvloop, TLS, Python itself). The first
message of a connection is taken as ever, so that there is an answer to repeat.
"""

import sys

from distribution.cli.main import main
from distribution.transport.websocket import AgentSocket

_taken = AgentSocket.buffer_updated


def _answered(self: AgentSocket, nbytes: int) -> None:
    if self._bare:
        self._desk.outbox.later(self._transport, self._bare)
    else:
        _taken(self, nbytes)


if __name__ == "__main__":
    AgentSocket.buffer_updated = _answered  # type: ignore[method-assign] # what is measured is all the rest
    sys.exit(main())
