"""Stacks are counted where they belong; what only waits is not counted, and each thread's time is spread over what it was at."""

from __future__ import annotations

from collections import Counter

from tests.benchmarks.stack_samples import by_thread, place_of, spread

LINES = """\
thread (7): MainThread;run (asyncio/runners.py:118);_rows (/srv/crossmargin/adapters/postgres/database.py:9);wait (psycopg/waiting.py:3) 6
thread (7): MainThread;run (asyncio/runners.py:118);EpollSelector.select (selectors.py:468) 90
thread (8): compute_0;_worker (concurrent/futures/thread.py:83);margin (/srv/crossmargin/engine/netting.py:12);sum (numpy/core.py:7) 3
thread (8): compute_0;_worker (concurrent/futures/thread.py:83);round_up (/srv/crossmargin/domain/money.py:4) 1
thread (8): compute_0;_worker (concurrent/futures/thread.py:81) 40
"""


def test_a_stack_belongs_to_the_innermost_part_that_is_told_apart():
    assert by_thread(LINES.splitlines()) == {
        7: Counter({("database: driver and its pool", "wait (waiting.py)"): 6}),
        8: Counter({("engine", "margin (netting.py)"): 3, ("domain", "round_up (money.py)"): 1}),
    }


def test_frames_of_nobody_are_elsewhere():
    assert place_of(["<module> (/usr/bin/tool:1)"]) == ("elsewhere", "elsewhere")


def test_the_time_of_a_thread_is_spread_over_what_it_was_seen_at():
    took = spread({7: 120.0, 8: 40.0, 9: 5.0}, by_thread(LINES.splitlines()))
    assert took == {
        ("database: driver and its pool", "wait (waiting.py)"): 120.0,
        ("engine", "margin (netting.py)"): 30.0,
        ("domain", "round_up (money.py)"): 10.0,
        ("gRPC's own threads", "gRPC's own threads"): 5.0,
    }
