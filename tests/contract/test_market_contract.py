"""What the store of snapshots and factor history promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.usecases.ports import ScenarioRecipe
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
