"""Work on the admin port's thread lets the event loop in about once a millisecond, and not more often."""

from __future__ import annotations

from threading import Thread

import pytest

from crossmargin.adapters.prometheus import giving_way as module
from crossmargin.adapters.prometheus.giving_way import LONGEST_S, PAUSE_S, SLICE, giving_way


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless somebody works or sleeps, and every pause by when it began."""

    class Clock:
        now, pauses = 100.0, []

        def sleep(self, seconds):
            self.pauses.append((round(self.now, 6), seconds))
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    monkeypatch.setattr(module, "sleep", clock.sleep)
    return clock


def work(clock, *, items, seconds_each):
    """Go through items on a thread that has never paused."""

    def through():
        for _ in giving_way(range(items)):
            clock.now += seconds_each

    thread = Thread(target=through)
    thread.start()
    thread.join()


def test_every_item_comes_once_and_in_order():
    items = list(range(3 * SLICE + 7))
    assert list(giving_way(items)) == items


def test_slow_work_pauses_after_every_slice(clock):
    work(clock, items=4 * SLICE, seconds_each=2 * LONGEST_S / SLICE)
    assert [seconds for _, seconds in clock.pauses] == [PAUSE_S] * 4
    assert PAUSE_S > 0, "a sleep of zero comes back before anybody else has woken"


def test_quick_work_pauses_no_more_often_than_it_must(clock):
    work(clock, items=100 * SLICE, seconds_each=LONGEST_S / (10 * SLICE))
    assert 9 <= len(clock.pauses) <= 11
