"""An external command that judges configurations, such as the collector's own `validate`.

Rules: a list of arguments, no shell; each argument with `{file}` is there once for each object, with the
path of its text, in the order that supervisors merge objects. A time limit ends the whole process group;
output is cut. The command sees nothing of the server's environment, and nothing of this host is looked up for
an operator: variables and references (`${env:...}`, `${file:...}`) are replaced by a stand-in, or by the
default that a reference has. Blocking: for a worker thread.
"""

import contextlib
import os
import re
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from distribution.domain.config_tree import object_order
from distribution.domain.secrets import redacted_text
from distribution.errors import BusyError, HostError
from distribution.fleet.configurations import Judgement
from distribution.flows.configuration.render import Ready, standing_in

WORDS_MAX_CHARS: Final = 4_000
STAND_IN: Final = "1"
AT_ONCE: Final = 2

_OUTPUT_MAX: Final = 65_536
_FILE: Final = "{file}"
_REFERENCE = re.compile(r"(?<!\$)(\$+)\{([^{}]*)\}")  # where it fails, it fails after one look
_DEFAULT = re.compile(r"[A-Za-z0-9._/:-]*")
_NESTED_MOST: Final = 8


class Validator(Protocol):
    """Judges versions. `name` tells one validator from another one."""

    @property
    def name(self) -> str:
        """How it is called, in operators' words."""
        ...

    def judge(self, found: Ready) -> Judgement:
        """Return what it finds. Raises BusyError: come again. HostError: it cannot be run."""
        ...


class NoValidator:
    """Judges nothing: what is well formed is valid."""

    name: Final = ""

    def judge(self, found: Ready) -> Judgement:  # noqa: ARG002 - the port's signature
        """Find it valid."""
        return Judgement(valid=True)


class CommandValidator:
    """Runs a command. Safe to use from any thread."""

    def __init__(self, argv: Sequence[str], seconds: int) -> None:
        """Keep the command: `argv` as in the settings, `seconds` as its time limit."""
        self._argv = tuple(argv)
        self._seconds = seconds
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    @property
    def name(self) -> str:
        """The command, as it stands in the settings."""
        return " ".join(self._argv)

    def judge(self, found: Ready) -> Judgement:
        """Return what the command finds: valid if it ends with 0 in time.

        Raises:
            BusyError: as many run as may. HostError: the command cannot be started.
        """
        if not self._turns.acquire(blocking=False):
            raise BusyError(f"{AT_ONCE} configurations are being validated already")
        try:
            with tempfile.TemporaryDirectory(prefix="quartermaster-") as folder:
                code, output = self._run(Path(folder), _texts(found))
        finally:
            self._turns.release()
        words = redacted_text(output.decode("utf-8", "replace")).strip()[:WORDS_MAX_CHARS]
        if code is None:
            return Judgement(False, self.name, f"not done after {self._seconds} s\n{words}".strip())
        return Judgement(code == 0, self.name, words or ("" if code == 0 else f"ended with {code}"))

    def _run(self, folder: Path, texts: Mapping[str, bytes]) -> tuple[int | None, bytes]:
        paths = []
        for number, key in enumerate(object_order(texts)):
            paths.append(folder / f"{number}.yaml")
            paths[-1].write_bytes(texts[key])
        argv = [
            part.replace(_FILE, str(path))
            for part in self._argv
            for path in (paths if _FILE in part else [""])
        ]
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own command, without a shell
                argv,
                cwd=folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LANG": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as exc:
            raise HostError(f"validator {self._argv[0]!r} cannot be started: {exc.strerror}") from exc
        return _watched(process, time.monotonic() + self._seconds)


def _watched(process: "subprocess.Popen[bytes]", deadline: float) -> tuple[int | None, bytes]:
    """Read what a process says until it is silent for good or late; return its code, None if it was late."""
    output = bytearray()
    with process, selectors.DefaultSelector() as waiting:
        pipe = process.stdout
        if pipe is None:
            raise RuntimeError("the validator was started without a pipe")
        waiting.register(pipe, selectors.EVENT_READ)
        try:
            while (left := deadline - time.monotonic()) > 0 and waiting.select(left):
                block = os.read(pipe.fileno(), _OUTPUT_MAX)
                if not block:
                    return process.wait(max(0.0, deadline - time.monotonic())), bytes(output)
                output += block[: _OUTPUT_MAX - len(output)]
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return None, bytes(output)


def _texts(found: Ready) -> dict[str, bytes]:
    return {
        key: _looked_up(standing_in(found.templates[key], STAND_IN) if key in found.templates else one.body)
        for key, one in found.version.objects.items()
    }


def _looked_up(body: bytes) -> bytes:
    text = body.decode("utf-8", "surrogateescape")
    for _ in range(_NESTED_MOST):
        text, count = _REFERENCE.subn(_stand_in, text)
        if not count:
            break
    return text.encode("utf-8", "surrogateescape")


def _stand_in(found: re.Match[str]) -> str:
    if len(found[1]) % 2 == 0:
        return found[0]
    default = found[2].partition(":-")[2]
    return found[1][1:] + (default if default and _DEFAULT.fullmatch(default) else STAND_IN)
