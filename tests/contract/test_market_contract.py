"""What the store of snapshots and factor history promises."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.peg import Peg
from crossmargin.usecases.ports.market import ScenarioRecipe
from crossmargin.usecases.ports.writing import PrecedingSnapshotChangedError, PublishedSnapshot
from tests.builders import AS_OF

BTC, EUR, RATE = (FactorId.parse(text) for text in ("spot:BTC", "fx:EUR", "zero:USD:2Y"))
FIRST = date(2026, 1, 1)


def a_snapshot(minutes=0, btc="65000"):
    levels = {BTC: Decimal(btc), RATE: Decimal("-0.00125"), EUR: Decimal("1.0800")}
    return MarketSnapshot(AS_OF + timedelta(minutes=minutes), levels, {InstrumentId("BTC-PERP"): Decimal("65010.50")})


def a_history(days=3, start=FIRST, **columns):
    dates = tuple(start + timedelta(days=day) for day in range(days))
    named = {FactorId.parse(name.replace("_", ":")): tuple(column) for name, column in columns.items()}
    return FactorHistory(dates, named)


def levels(*values):
    return [None if value is None else Decimal(value) for value in values]


async def test_a_snapshot_comes_back_with_the_same_content_and_id(storage):
    snapshot = a_snapshot()
    await storage.create(snapshot)
    stored = await storage.market.get_snapshot(snapshot.snapshot_id)
    assert (stored.as_of, stored.levels, stored.marks) == (snapshot.as_of, snapshot.levels, snapshot.marks)
    assert (stored.content_hash, stored.snapshot_id) == (snapshot.content_hash, snapshot.snapshot_id)


async def test_the_latest_snapshot_is_the_one_with_the_latest_time_not_the_one_stored_last(storage):
    for minutes in (0, 10, 5):
        await storage.create(a_snapshot(minutes))
    assert await storage.market.latest_snapshot_id() == a_snapshot(10).snapshot_id
    assert (await storage.market.latest_snapshot()).snapshot_id == a_snapshot(10).snapshot_id


async def test_of_two_snapshots_at_one_moment_the_one_stored_last_counts(storage):
    for btc in ("65000", "66000", "64000"):
        await storage.create(a_snapshot(btc=btc))
    assert await storage.market.latest_snapshot_id() == a_snapshot(btc="64000").snapshot_id
    assert (await storage.market.latest_snapshot()).levels[BTC] == 64000


async def test_a_snapshot_can_be_stored_again(storage):
    await storage.create(a_snapshot())
    before = storage.row_counts()
    await storage.create(a_snapshot(), a_snapshot())
    assert sum(storage.row_counts().values()) == sum(before.values()) + 1  # the key's row alone


async def test_without_snapshots_there_is_no_market(storage):
    assert await storage.market.latest_snapshot_id() is None
    with pytest.raises(DomainError) as refused:
        await storage.market.latest_snapshot()
    assert refused.value.reason is Reason.NO_MARKET_SNAPSHOT
    with pytest.raises(DomainError) as refused:
        await storage.market.get_snapshot(SnapshotId("0" * 32))
    assert refused.value.reason is Reason.UNKNOWN_SNAPSHOT


async def test_history_comes_back_as_imported_with_its_gaps(storage):
    history = a_history(spot_BTC=levels("1.5", "2", "3"), fx_EUR=levels(None, "1.08", None))
    assert await storage.market.import_history(history) == 4
    stored = await storage.market.load_history()
    assert (stored.dates, stored.levels) == (history.dates, history.levels)


async def test_a_second_import_replaces_levels_and_keeps_the_rest(storage):
    await storage.market.import_history(a_history(spot_BTC=levels("1", "2", "3"), fx_EUR=levels("1", "1", "1")))
    later = a_history(days=2, start=FIRST + timedelta(days=2), spot_BTC=levels("30", "40"))
    assert await storage.market.import_history(later) == 2
    stored = await storage.market.load_history()
    assert stored.levels == {BTC: tuple(levels("1", "2", "30", "40")), EUR: tuple(levels("1", "1", "1", None))}


async def test_a_closed_day_does_not_erase_a_level(storage):
    await storage.market.import_history(a_history(spot_BTC=levels("1", "2", "3")))
    assert await storage.market.import_history(a_history(spot_BTC=levels(None, None, "4"))) == 1
    assert (await storage.market.load_history()).levels[BTC] == tuple(levels("1", "2", "4"))


async def test_some_factors_can_be_loaded_and_those_without_history_are_absent(storage):
    await storage.market.import_history(a_history(spot_BTC=levels("1", "2", "3"), fx_EUR=levels(None, "1.08", None)))
    some = await storage.market.load_history([EUR, RATE])
    assert (some.dates, some.levels) == ((FIRST + timedelta(days=1),), {EUR: (Decimal("1.08"),)})
    none = await storage.market.load_history([])
    assert (none.dates, none.levels) == ((), {})


async def test_the_version_grows_with_every_import(storage):
    versions = [await storage.market.history_version()]
    for _ in range(2):
        await storage.market.import_history(a_history(spot_BTC=levels("1", "2", "3")))
        versions.append(await storage.market.history_version())
    assert versions[0] < versions[1] < versions[2]


async def test_history_as_of_a_version_is_what_it_was_after_that_import(storage):
    versions = [await storage.market.history_version()]
    for first in ("1", "10", "10"):
        await storage.market.import_history(a_history(spot_BTC=levels(first, "2", None)))
        versions.append(await storage.market.history_version())
    later = a_history(days=2, start=FIRST + timedelta(days=2), spot_BTC=levels("3", None), fx_EUR=levels("1.1", "1.2"))
    await storage.market.import_history(later)

    async def at(version, factors=None):
        history = await storage.market.load_history(factors, version=version)
        return history.dates, history.levels

    two_days = (FIRST, FIRST + timedelta(days=1))
    assert await at(versions[0]) == ((), {})
    assert await at(versions[1]) == (two_days, {BTC: tuple(levels("1", "2"))})
    assert await at(versions[2]) == await at(versions[3]) == (two_days, {BTC: tuple(levels("10", "2"))})
    assert await at(versions[3], [EUR]) == ((), {})
    newest = await storage.market.load_history()
    assert await at(await storage.market.history_version()) == (newest.dates, newest.levels)
    assert (await at(versions[3] + 1, [EUR]))[1] == {EUR: tuple(levels("1.1", "1.2"))}


async def test_what_a_scenario_set_was_built_from_is_kept_and_the_first_to_say_so_counts(storage):
    recipe = ScenarioRecipe("ab" * 32, 3, RiskParameterSetId("standard-1"), (EUR, BTC))
    await storage.market.record_scenarios(recipe)
    await storage.market.record_scenarios(replace(recipe, history_version=4))
    assert await storage.market.scenario_recipe(recipe.content_hash) == recipe
    with pytest.raises(DomainError) as refused:
        await storage.market.scenario_recipe("cd" * 32)
    assert refused.value.reason is Reason.UNKNOWN_SCENARIO_SET


# What is remembered of stablecoins

USDC, RLUSD = InstrumentId("USDC"), InstrumentId("RLUSD")


async def test_a_snapshot_comes_back_with_its_pegs(storage):
    since = AS_OF - timedelta(hours=5, microseconds=1)
    pegs = {USDC: Peg(Decimal("0.970000000000000001"), since, since + timedelta(hours=1)), RLUSD: Peg(Decimal("0.9990"))}
    snapshot = replace(a_snapshot(), pegs=pegs)
    assert snapshot.content_hash != a_snapshot().content_hash
    await storage.create(snapshot)
    for stored in (await storage.market.latest_snapshot(), await storage.market.get_snapshot(snapshot.snapshot_id)):
        assert (stored.pegs, stored.content_hash) == (pegs, snapshot.content_hash)


async def test_the_snapshot_before_is_the_last_one_stored_of_the_latest_time_before(storage):
    assert await storage.market.snapshot_before(AS_OF) is None
    for minutes, btc in ((0, "1"), (10, "2"), (10, "3"), (5, "4")):
        await storage.create(a_snapshot(minutes, btc))
    before = [await storage.market.snapshot_before(AS_OF + timedelta(minutes=minutes)) for minutes in (0, 1, 10, 11)]
    assert [None if each is None else each.levels[BTC] for each in before] == [None, 1, 4, 3]


async def test_a_snapshot_that_follows_from_another_one_than_the_one_before_is_not_stored(storage):
    first = a_snapshot(0)
    await storage.create(first)
    for wrong in (None, a_snapshot(1).snapshot_id):
        with pytest.raises(PrecedingSnapshotChangedError):
            await storage.create(PublishedSnapshot(a_snapshot(5), wrong))
    assert await storage.market.latest_snapshot_id() == first.snapshot_id
    await storage.create(PublishedSnapshot(a_snapshot(5), first.snapshot_id))
    assert await storage.market.latest_snapshot_id() == a_snapshot(5).snapshot_id


async def test_of_two_that_follow_from_one_snapshot_at_once_the_later_is_stored_after_the_other_or_not_at_all(storage):
    first = a_snapshot(0)
    await storage.create(first)
    outcomes = await asyncio.gather(
        *(storage.create(PublishedSnapshot(a_snapshot(minutes), first.snapshot_id)) for minutes in (1, 2)), return_exceptions=True
    )
    stored = [minutes for minutes, outcome in zip((1, 2), outcomes, strict=True) if not isinstance(outcome, BaseException)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    # The earlier one has the first before it whenever it comes; the later one only if it comes first.
    assert 1 in stored
    assert all(isinstance(error, PrecedingSnapshotChangedError) for error in refused)
    latest = await storage.market.latest_snapshot_id()
    assert latest == a_snapshot(max(stored)).snapshot_id
