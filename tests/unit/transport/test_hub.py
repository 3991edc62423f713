"""Who is connected; cutting and waking from any thread."""

import asyncio
import concurrent.futures
from collections.abc import Iterable
from itertools import groupby

import pytest

from distribution.transport import hub as module
from distribution.transport.hub import Hub
from keys.certificate import Serial
from keys.identity import AgentId
from tests.fakes.certificates import agent
from tests.fakes.links import NotingLink

ONE, TWO = agent(1), agent(2)


def _started() -> Hub:
    hub = Hub()
    hub.start(asyncio.get_running_loop())
    return hub


def test_links_are_known_by_serial_and_agent() -> None:
    """Joining, leaving and leaving again keep the books right."""
    hub = Hub()
    first, second, stranger = NotingLink(1, ONE), NotingLink(1, ONE), NotingLink(None)
    for link in (first, second, stranger):
        hub.join(link)
    assert (len(hub), hub.strangers, hub.is_connected(ONE), hub.is_connected(TWO)) == (3, 1, True, False)
    for link in (first, first, stranger, stranger, second):
        hub.leave(link)
    assert (len(hub), hub.strangers, hub.is_connected(ONE)) == (0, 0, False)


def test_idle_socket_is_no_connection_of_the_agent() -> None:
    """A socket between two requests is there to be cut, but nobody talks over it."""
    hub = Hub()
    hub.join(NotingLink(1, ONE, talks=False))
    assert not hub.is_connected(ONE)


def test_certificate_without_an_agent_can_be_cut() -> None:
    """A link is found by its serial alone."""
    hub, link = Hub(), NotingLink(5)
    hub.join(link)
    hub.leave(link)
    assert len(hub) == 0


def test_cut_on_the_loop() -> None:
    """Every link of the serials is cut and off the list when `cut` returns; others are left alone."""

    async def main() -> None:
        hub = _started()
        links = [NotingLink(1, ONE), NotingLink(1, ONE), NotingLink(2, TWO)]
        for link in links:
            hub.join(link)
        assert hub.cut([Serial(1), Serial(9)], "revoked") == 2
        assert [link.noted for link in links] == [["cut: revoked"], ["cut: revoked"], []]
        assert (len(hub), hub.cut([Serial(1)], "again"), hub.cut([], "nobody")) == (1, 0, 0)
        hub.stop()

    asyncio.run(main())


def test_cut_from_another_thread_comes_back_when_it_is_done() -> None:
    """A flow in a worker thread gets the count of what is closed already."""

    async def main() -> None:
        hub, link = _started(), NotingLink(1, ONE)
        hub.join(link)
        assert await asyncio.to_thread(hub.cut, [Serial(1)], "revoked") == 1
        assert link.noted == ["cut: revoked"]
        hub.stop()

    asyncio.run(main())


def test_link_that_fails_does_not_save_the_others(caplog: pytest.LogCaptureFixture) -> None:
    """A socket that makes trouble while it is cut is logged; the next one is cut all the same."""

    async def main() -> None:
        hub, good = _started(), NotingLink(1, ONE)
        hub.join(NotingLink(1, ONE, fails=True))
        hub.join(good)
        assert hub.cut([Serial(1)], "revoked") == 1
        assert good.noted == ["cut: revoked"]
        hub.stop()

    asyncio.run(main())
    assert "link could not be cut cleanly" in caplog.text


def test_busy_loop_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the loop does not get to it in time the caller is told; the cut is done when it does."""
    monkeypatch.setattr(module, "CUT_WAIT_SECONDS", 0.01)

    async def main() -> None:
        hub, link = _started(), NotingLink(1, ONE)
        hub.join(link)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            cutting = pool.submit(hub.cut, [Serial(1)], "revoked")
            with pytest.raises(TimeoutError):
                cutting.result(10)  # blocks the loop meanwhile
        await asyncio.sleep(0)
        assert link.noted == ["cut: revoked"]
        hub.stop()

    asyncio.run(main())


def test_without_a_loop_there_is_nothing_to_cut_or_wake() -> None:
    """Before the start and after the end nobody is connected."""
    woken: list[Iterable[AgentId] | None] = []
    hub = Hub(before_wake=woken.append)
    assert hub.cut([Serial(1)], "revoked") == 0
    hub.wake()
    assert woken == [None]

    async def main() -> None:
        hub.start(asyncio.get_running_loop())

    asyncio.run(main())  # the loop is closed now, and the hub was not told
    assert hub.cut([Serial(1)], "revoked") == 0
    hub.wake([ONE])
    assert woken == [None, frozenset({ONE})]
    hub.stop()
    hub.stop()


def test_wake_reaches_the_chosen() -> None:
    """Some agents or all; a link that left in between is not touched."""

    async def main() -> None:
        hub = _started()
        one, two, gone = NotingLink(1, ONE), NotingLink(2, TWO), NotingLink(3, agent(3))
        for link in (one, two, gone):
            hub.join(link)
        hub.wake([ONE, agent(9)])
        hub.wake()
        hub.leave(gone)
        await asyncio.sleep(0)
        assert (one.noted, two.noted, gone.noted) == (["wake", "wake"], ["wake"], [])
        hub.stop()

    asyncio.run(main())


def test_many_links_are_served_in_slices(caplog: pytest.LogCaptureFixture) -> None:
    """A wake-up of many yields to the loop in between, and a link that fails stops nobody."""

    async def main() -> None:
        hub = _started()
        links = [NotingLink(number + 1, ONE, fails=number == 3) for number in range(450)]
        for link in links:
            hub.join(link)
        hub.wake()
        await asyncio.sleep(0)
        assert sum(len(link.noted) for link in links) < len(links)
        for _ in range(12):
            await asyncio.sleep(0)
        assert [link.noted for link in links] == [["wake"]] * 450
        hub.stop()

    asyncio.run(main())
    assert "link failed" in caplog.text


def test_a_slice_is_one_moment_and_the_next_another() -> None:
    """What is looked at for one link counts for those of its slice, and for nobody who comes otherwise."""
    moments: list[object] = []

    async def main() -> None:
        hub = _started()
        for number in range(120):
            link = NotingLink(number + 1, ONE)
            link.after = lambda: moments.append(hub.moment)
            hub.join(link)
        assert hub.moment is None
        hub.wake()
        while len(moments) < 120:
            await asyncio.sleep(0)
            assert hub.moment is None
        hub.stop()

    asyncio.run(main())
    assert None not in moments
    assert [len(list(same)) for _, same in groupby(moments, id)] == [50, 50, 20]


def test_links_are_checked_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent links are looked at as long as the hub runs."""
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.001)

    async def main() -> None:
        hub, link = _started(), NotingLink(1, ONE)
        thrice = asyncio.Event()
        link.after = lambda: thrice.set() if len(link.noted) == 3 else None
        hub.join(link)
        await asyncio.wait_for(thrice.wait(), 10)
        hub.stop()
        assert set(link.noted) == {"check"}

    asyncio.run(main())
