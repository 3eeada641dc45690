"""Snapshots are stored once under the hash of their content, and history only as a whole."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta, timezone
from decimal import Decimal

import pytest

from crossmargin.domain.errors import Reason
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from tests.unit.usecases.house import NOON, a_history
from tests.unit.usecases.refusals import refused

BITCOIN = FactorId.parse("spot:BTC")
SNAPSHOT = MarketSnapshot(NOON, {BITCOIN: Decimal(61_000)}, {})


async def test_a_snapshot_published_twice_or_by_two_is_stored_once(empty_house):
    tokyo = replace(SNAPSHOT, as_of=NOON.astimezone(timezone(timedelta(hours=9))))
    for snapshot, principal in ((SNAPSHOT, "feed"), (SNAPSHOT, "feed"), (tokyo, "feed"), (SNAPSHOT, "other feed")):
        assert await empty_house.use_cases.publish_snapshot(snapshot, principal=principal) == SNAPSHOT.snapshot_id
    assert list(empty_house.database.contents.snapshots) == [SNAPSHOT.snapshot_id]


async def test_the_latest_snapshot_is_the_one_of_the_latest_moment(empty_house):
    assert await empty_house.ports.market.latest_snapshot_id() is None
    for seconds in (0, 2, 1):
        await empty_house.publish(at=NOON + timedelta(seconds=seconds))
    assert (await empty_house.ports.market.latest_snapshot()).as_of == NOON + timedelta(seconds=2)


async def test_history_counts_the_levels_it_stored_and_not_the_gaps(empty_house):
    days = (date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1))
    history = FactorHistory(days, {BITCOIN: (Decimal(1), None, Decimal(3))})
    assert await empty_house.use_cases.import_history(history) == 2
    stored = await empty_house.ports.market.load_history()
    assert stored.levels[BITCOIN] == (Decimal(1), Decimal(3))


async def test_a_later_import_replaces_levels_of_the_same_day(empty_house):
    await empty_house.use_cases.import_history(a_history("spot:BTC"))
    last = date(2026, 3, 1)
    await empty_house.use_cases.import_history(FactorHistory((last,), {BITCOIN: (Decimal(7),)}))
    stored = await empty_house.ports.market.load_history()
    assert dict(zip(stored.dates, stored.levels[BITCOIN], strict=True))[last] == 7
    assert len(stored.dates) == len(a_history("spot:BTC").dates)


@pytest.mark.parametrize(
    ("factor", "level", "reason"), [("zero:USD:2Y", "11", "INVALID_SNAPSHOT"), ("spot:ETH", "1e20", "INVALID_DECIMAL")]
)
async def test_one_impossible_level_and_nothing_of_the_history_is_stored(empty_house, factor, level, reason):
    days = (date(2026, 2, 28), date(2026, 3, 1))
    levels = {BITCOIN: (Decimal(1), Decimal(2)), FactorId.parse(factor): (None, Decimal(level))}
    await refused(empty_house.use_cases.import_history(FactorHistory(days, levels)), Reason[reason])
    assert (await empty_house.ports.market.load_history()).levels == {}
    assert await empty_house.ports.market.history_version() == 0
