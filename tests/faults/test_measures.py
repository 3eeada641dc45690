"""What runs measure is what happened: waits for tables as the server logs them, and the calls of a stretch of time."""

from __future__ import annotations

import pytest

from tests.faults.history import Answer, Operation, Outcome
from tests.faults.latencies import latency_line, under_way
from tests.faults.lock_waits import LockWaits

LOG = """\
2026-11-28 07:00:00.000 UTC [10] LOG:  process 10 still waiting for RowExclusiveLock on relation 16400 of database 16388 after 10.1 ms
2026-11-28 07:00:00.080 UTC [10] LOG:  process 10 acquired RowExclusiveLock on relation 16400 of database 16388 after 80.250 ms
2026-11-28 07:00:00.090 UTC [11] LOG:  process 11 acquired AccessShareLock on relation 16400 of database 16388 after 20.5 ms
2026-11-28 07:00:00.300 UTC [12] LOG:  process 12 acquired AccessExclusiveLock on relation 16400 of database 16388 after 99.900 ms
2026-11-28 07:00:00.400 UTC [13] LOG:  process 13 acquired ExclusiveLock on tuple (0,1) of relation 16400 of database 16388 after 700.0 ms
2026-11-28 07:00:00.500 UTC [14] LOG:  process 14 acquired ShareLock on transaction 812 after 800.0 ms
"""


def test_only_waits_of_readers_and_writers_for_tables_count(tmp_path):
    """A migration waits for stronger locks itself, and writers of one account wait for one another's rows without any migration."""
    log = tmp_path / "postgres.log"
    log.write_text(LOG)
    assert LockWaits(log, 0).longest_s() == pytest.approx(0.08025)


def test_what_was_logged_before_does_not_count(tmp_path):
    log = tmp_path / "postgres.log"
    log.write_text(LOG)
    waits = LockWaits(log, log.stat().st_size)
    assert waits.longest_s() == 0
    log.write_text(LOG + LOG.replace("80.250", "120.5"))
    assert waits.longest_s() == pytest.approx(0.1205)


def an_answer(invoked_at, replied_at):
    return Answer(Operation("one", "deposit", "clients/alpha/accounts/core", ()), "replica-1", invoked_at, replied_at, Outcome.BOOKED)


def test_a_call_was_under_way_when_any_moment_of_it_was():
    answers = [an_answer(0, 1), an_answer(0.5, 2.5), an_answer(2.2, 2.4), an_answer(3, 4)]
    assert under_way(answers, 2.0, 3.0) == answers[1:3]
    assert under_way(answers, 2.0, 3.5) == answers[1:]


def test_latencies_are_told_by_median_percentile_and_maximum():
    answers = [an_answer(0, number / 100) for number in range(1, 101)]
    assert latency_line(answers) == "100 calls took 0.510 s at the median, 1.000 s at the 99th percentile, 1.000 s at most"
    assert latency_line([]) == "no calls"
