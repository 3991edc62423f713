"""What becomes of a conversation when an order that came of it is done, or could not be done."""

from dataclasses import replace

import pytest

from distribution.domain.agent import Components
from distribution.domain.configuration import EffectiveSeen
from distribution.protocol.asking import may_ask
from distribution.protocol.effects import Effect, Examine, ExamineAgain, KeepComponents, PackageEvent, Promote
from distribution.protocol.outcomes import taken
from distribution.protocol.session import Session
from storage.errors import UnavailableError
from tests.fakes.configured import intended
from tests.fakes.session_parts import LATER, NOW, QUIET, a_report, greeted

CONFIG = intended(_="a: 1")
AWAY = UnavailableError("away")
LIST = KeepComponents(Components(b"h", "{}"))
EVENT = PackageEvent(installed=True, name="x", version="1", path="", hash=b"", error="")


def session() -> Session:
    return replace(greeted(), settled=QUIET, asked_components=b"h")


def test_what_was_found_is_known() -> None:
    """And the next message is decided anew by it."""
    found = EffectiveSeen(b"d" * 32)
    after = taken(session(), Examine({}, CONFIG), found, NOW)
    assert (after.view.effective, after.settled) == (found, None)
    assert taken(session(), LIST, Components(b"h"), NOW).view.components == Components(b"h")


@pytest.mark.parametrize("effect", [Promote(), EVENT, Examine({}, CONFIG)])
def test_what_changes_nothing_leaves_the_very_same(effect: Effect) -> None:
    """An order that came to nothing."""
    before = session()
    assert taken(before, effect, None, NOW) is before


def test_what_an_agent_did_not_say_is_not_lost() -> None:
    """Only its words are asked for again."""
    before = session()
    assert taken(before, EVENT, AWAY, NOW) is before


@pytest.mark.parametrize("effect", [Examine({}, CONFIG), ExamineAgain(CONFIG), LIST])
def test_words_that_were_lost_count_as_not_said(effect: Effect) -> None:
    """Something is missing, and it is asked for, but not at once."""
    after = taken(session(), effect, AWAY, NOW)
    assert (after.view.sequence, after.settled) == (None, None)
    assert not may_ask(after.asked, NOW + LATER)
    assert may_ask(after.asked, NOW + 3 * LATER)
    assert after.asked_components == (b"" if effect is LIST else b"h")


def test_what_is_not_there_is_asked_for_once_a_configuration() -> None:
    """Some agents never report what they run, and say that they applied it."""
    once = taken(session(), ExamineAgain(CONFIG), None, NOW)
    assert (once.view.sequence, once.asked_effective) == (None, CONFIG.digest)
    answered = replace(once, view=once.view.heard(a_report(5), NOW))
    assert taken(answered, ExamineAgain(CONFIG), None, NOW) is answered
    assert taken(answered, ExamineAgain(intended(_="b: 2")), None, NOW).view.sequence is None


def test_what_is_kept_again_ends_the_pauses() -> None:
    """The next loss is a first one."""
    lost = taken(session(), LIST, AWAY, NOW)
    assert lost.asked is not None
    assert lost.asked.lost == 1
    again = taken(lost, LIST, Components(b"h"), NOW)
    assert again.asked is not None
    assert again.asked.lost == 0
