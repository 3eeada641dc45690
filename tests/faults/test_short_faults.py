"""The service keeps its books under kills, crashes, silence and cut lines; and the harness that says so can tell a service that does not.

The long forms are `python -m tests.faults`.
"""

from __future__ import annotations

import pytest

from tests.faults.bench import Bench
from tests.faults.checker import COUNTERS
from tests.faults.injectors import black_holes, crashes, cuts, delays, freezes, kills, together
from tests.faults.leader import held_up_leader, killed_leader
from tests.faults.mutants import MUTANTS, hunt
from tests.faults.race import BEFORE_LOCK, race, race_findings
from tests.faults.rig import Setup, standing_postgres
from tests.faults.streamed_trades import TradeStreams
from tests.faults.workload import TRADES

QUICK = ("no-idempotency", "synchronous-commit-off", "answers-out-of-order")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """A server of its own, because it will be crashed."""
    folder = tmp_path_factory.mktemp("faults")
    with standing_postgres(folder / "postgres") as postgres:
        yield Bench(postgres, folder)


async def test_all_faults_at_once_leave_the_books_sound_and_every_operation_decided(bench):
    body = together(
        kills(3, between=(10, 25)),
        crashes(2, between=(40, 60)),
        freezes(1, between=(60, 90), seconds=2.7),
        cuts(8),
        black_holes(2, between=(15, 30)),
        delays(8),
    )
    result = await bench.run("short", body, Setup(limited_count=2))
    assert result.findings == []
    assert {name: count.total for name, count in result.counters.items()} == dict.fromkeys(COUNTERS, 0)
    assert result.unknown == 0
    tally = result.tally
    assert (tally.kills, tally.crashes, tally.freezes, tally.black_holes >= 2) == (3, 2, 1, True)
    assert min(tally.cuts_before, tally.cuts_after) >= 8


async def test_streamed_trades_are_booked_once_whatever_becomes_of_the_stream(bench):
    streams = TradeStreams()
    setup = Setup(account_count=8, kinds=(streams.kind(), TRADES), afterwards=streams.end)
    result = await bench.run("streamed", together(kills(2, between=(15, 30)), cuts(4)), setup)
    assert result.findings == []
    assert {name: count.total for name, count in result.counters.items()} == dict.fromkeys(COUNTERS, 0)
    assert (result.unknown, result.tally.kills) == (0, 2)
    assert min(result.tally.cuts_before, result.tally.cuts_after) >= 4
    assert result.by_kind["streamed trades"] > 0


@pytest.mark.parametrize("body", [killed_leader, held_up_leader], ids=lambda body: body.__name__)
async def test_when_the_leader_is_gone_another_one_leads_within_seconds_and_nothing_is_stored_out_of_turn(bench, body):
    result = await bench.run(body.__name__, body, Setup(flags=(), account_count=2, limited_count=4, callers=0, counters=()))
    assert result.findings == []
    assert "after the first one" in result.remarks[0]


@pytest.mark.parametrize("mutant", [mutant for mutant in MUTANTS if mutant.name in QUICK], ids=lambda mutant: mutant.name)
async def test_a_service_that_is_wrong_is_found_out(bench, mutant):
    result = await hunt(bench, mutant)
    assert result.findings == []
    assert "caught" in result.remarks[0]


async def test_racers_never_come_over_a_limit_together_and_looking_before_the_lock_they_do(bench):
    kept = await race(bench, 10)
    assert race_findings(kept) == []
    broken = await race(bench, 4, program=BEFORE_LOCK)
    # Whether every account is raced past its limit is chance; that none is would mean that the race proves nothing.
    assert broken.over > 0
