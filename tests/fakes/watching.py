"""One who watches an agent over the operators' API for a second."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from keys.identity import AgentId
from tests.fakes.operators_api import Api

_WAIT_SECONDS = 20.0


def watched(api: Api, agent: AgentId, speak: Callable[[], object]) -> list[dict[str, Any]]:
    """Return all that is shown while `speak` lets the agent say something. Raises TimeoutError."""
    answers: list[str] = []
    path = f"/api/v1/agents/{agent}/watch?seconds=1"
    asking = threading.Thread(target=lambda: answers.append(api.call("GET", path, "read").text))
    asking.start()
    deadline = time.monotonic() + _WAIT_SECONDS
    while not api.services.watches:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody came to watch")
        time.sleep(0.005)
    speak()
    asking.join(_WAIT_SECONDS)
    return [json.loads(line) for line in answers[0].splitlines() if line]
