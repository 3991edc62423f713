"""How long work lets others have their turn."""

from distribution.fleet.breath import BREATH_SECONDS, WORK_SECONDS, Breath, resting


class Worker:
    """A thread's clock, and how often it slept."""

    def __init__(self) -> None:
        self.worked = 5.0
        self.slept: list[float] = []


def test_a_breath_is_taken_after_enough_work() -> None:
    """Little work is not interrupted, and each breath is counted from the one before."""
    worker = Worker()
    breathe = Breath(lambda: worker.worked, worker.slept.append)
    breathe()
    worker.worked += WORK_SECONDS * 0.9
    breathe()
    assert not worker.slept
    worker.worked += WORK_SECONDS * 0.2
    breathe()
    breathe()
    assert worker.slept == [BREATH_SECONDS]
    worker.worked += WORK_SECONDS * 1.1
    breathe()
    assert worker.slept == [BREATH_SECONDS] * 2


def test_items_come_as_they_are_with_pauses_between() -> None:
    """Nothing is lost, and there is a pause long before a thousand of them."""
    pauses: list[int] = []
    assert list(resting(range(1000), lambda: pauses.append(1))) == list(range(1000))
    assert len(pauses) == 5
