"""An external command that judges: its words, its limits, and what it does not see."""

import sys
import threading
from pathlib import Path

import pytest

from distribution.domain.configuration import ConfigObject, ConfigVersion
from distribution.errors import BusyError, HostError
from distribution.flows.configuration.render import Ready, ready
from distribution.flows.configuration.validator import CommandValidator, NoValidator

SHOW = "import sys, os; [print(open(p).read(), end='|') for p in sys.argv[1:]]"


def version(**texts: str) -> Ready:
    objects = {
        "" if key == "_" else key: ConfigObject(text.encode(), "text/yaml") for key, text in texts.items()
    }
    return ready(ConfigVersion("base", 1, objects))


def python(code: str, *more: str, seconds: int = 20) -> CommandValidator:
    return CommandValidator((sys.executable, "-c", code, *more), seconds)


def test_each_object_is_a_file_in_the_order_of_merging() -> None:
    """The argument with the file is there once for each object: by name, the empty key last."""
    found = python(SHOW, "{file}").judge(version(_="last", b="two", a="one"))
    assert (found.valid, found.words) == (True, "one|two|last|")


def test_a_refusal_in_its_words() -> None:
    """What it says to either stream is kept, and what ended it if it says nothing."""
    loud = python("import sys; print('out'); sys.exit('unknown type foo')", "{file}").judge(version(_="a: 1"))
    assert (loud.valid, set(loud.words.splitlines())) == (False, {"out", "unknown type foo"})
    assert python("raise SystemExit(3)").judge(version(_="a: 1")).words == "ended with 3"


def test_the_name_is_the_command() -> None:
    """So another command is another validator."""
    assert CommandValidator(("a", "--config={file}"), 1).name == "a --config={file}"
    assert (NoValidator().name, NoValidator().judge(version(_="a: 1")).valid) == ("", True)


def test_variables_and_references_have_a_stand_in() -> None:
    """Nothing of this host is looked up: a reference is its default, or a stand-in; what is escaped stays."""
    text = "a: ${qm:label.x}\nb: ${file:/etc/hostname}\nc: ${env:X:-warn}\nd: $${env:X}\ne: ${env:A${env:B}}"
    found = python(SHOW, "{file}").judge(version(_=text))
    assert found.words == "a: 1\nb: 1\nc: warn\nd: $${env:X}\ne: 1|"


def test_it_sees_nothing_of_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database's password in the environment is not the validator's to read."""
    monkeypatch.setenv("QUARTERMASTER_DATABASE_URL", "hunter2")
    found = python("import os; print(sorted(os.environ)); print(os.getcwd() == os.environ['HOME'])")
    words = found.judge(version(_="a: 1")).words
    assert "QUARTERMASTER" not in words
    assert "True" in words


def test_secrets_in_its_words_are_taken_out() -> None:
    """Validators like to say what they read."""
    found = python(SHOW, "{file}").judge(version(_="password: hunter2"))
    assert "hunter2" not in found.words


@pytest.mark.parametrize(
    "code",
    [
        "import time; print('begun', flush=True); time.sleep(60)",
        "import os, time; print('begun', flush=True); os.close(1); os.close(2); time.sleep(60)",
        "import os, time; print('begun', flush=True); os.fork() or time.sleep(60)",
        "print('begun')\nwhile True: print('x' * 1000)",
    ],
    ids=["silent", "closed", "left a child", "endless"],
)
def test_the_time_limit(code: str) -> None:
    """Whatever it does, it is over in time, and what it had said is kept, cut."""
    found = python(code, seconds=1).judge(version(_="a: 1"))
    assert not found.valid
    assert found.words.startswith("not done after 1 s\nbegun")
    assert len(found.words) < 5_000


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    """That is this host's fault, not the configuration's."""
    with pytest.raises(HostError, match="cannot be started"):
        CommandValidator((str(tmp_path / "none"),), 1).judge(version(_="a: 1"))


def test_only_so_many_at_once(tmp_path: Path) -> None:
    """One more is told to come again."""
    gate = tmp_path / "gate"
    code = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)"
    validator = python(code)
    begun = [threading.Thread(target=validator.judge, args=(version(_="a: 1"),)) for _ in range(2)]
    for thread in begun:
        thread.start()
    try:
        while validator._turns._value:
            threading.Event().wait(0.005)
        with pytest.raises(BusyError, match="2 configurations"):
            validator.judge(version(_="a: 1"))
    finally:
        gate.touch()
        for thread in begun:
            thread.join(20)
