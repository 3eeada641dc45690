"""Breakers trip when too many accounts fall at once, or most of them for one instrument, and not before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossmargin.domain.breaker import BandEntry, Breaker, BreakerKind, entries_between, paused_by, trips
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import Band, Contribution
from crossmargin.domain.market_gate import Action
from crossmargin.domain.market_quality_parameters import BreakerLimits
from tests.unit.adapters.prometheus.results import a_result, an_account

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LIMITS = BreakerLimits(calls_per_minute=6, liquidations_per_minute=3, concentration_fraction=Decimal("0.75"), concentration_accounts=4)
CALL, LIQUIDATION, RISK = Band.MARGIN_CALL, Band.LIQUIDATION, Band.AT_RISK


def entered(count, band=CALL, *, before=RISK, name=None, start=0):
    named = None if name is None else InstrumentId(name)
    return [BandEntry(an_account(f"client-{start + number}"), before, band, named, NOON) for number in range(count)]


def result(client, band, **contributions):
    amounts = tuple(Contribution(InstrumentId(name), Decimal(amount)) for name, amount in contributions.items())
    return replace(a_result(an_account(client), band=band), contributions=amounts)


@pytest.mark.parametrize(
    ("before", "after", "entry"),
    [
        (RISK, CALL, CALL),
        (RISK, LIQUIDATION, LIQUIDATION),
        (CALL, LIQUIDATION, LIQUIDATION),
        (CALL, CALL, None),
        (LIQUIDATION, LIQUIDATION, None),
        (LIQUIDATION, CALL, None),
        (Band.HEALTHY, RISK, None),
    ],
)
def test_an_entry_is_a_change_for_the_worse_into_a_call_or_liquidation(before, after, entry):
    found = entries_between({an_account(): before}, [result("alpha", after, BTC=5, ETH=7)], NOON)
    assert [(each.before, each.band, each.instrument_id) for each in found] == ([] if entry is None else [(before, entry, "ETH")])


def test_an_account_that_was_not_seen_before_has_entered_nothing():
    assert entries_between({}, [result("alpha", LIQUIDATION)], NOON) == []


@pytest.mark.parametrize(("count", "tripped"), [(6, set()), (7, {BreakerKind.CALLS})])
def test_one_call_more_than_the_limit_trips(count, tripped):
    assert set(trips(entered(count), LIMITS)) == tripped


@pytest.mark.parametrize(("count", "tripped"), [(3, set()), (4, {BreakerKind.LIQUIDATIONS})])
def test_one_liquidation_more_than_the_limit_trips_also_from_a_call(count, tripped):
    assert set(trips(entered(count, LIQUIDATION, before=CALL), LIMITS)) == tripped


def test_an_account_is_counted_once_however_often_it_comes():
    assert trips(entered(4) + entered(4), LIMITS) == {}


@pytest.mark.parametrize(("for_one", "others", "tripped"), [(3, 1, False), (4, 1, True), (4, 0, True), (3, 0, False)])
def test_most_of_them_for_one_instrument_trips_if_they_are_enough(for_one, others, tripped):
    entries = entered(for_one, name="BTC") + [each for n in range(others) for each in entered(1, name=f"X{n}", start=100 + n)]
    causes = trips(entries, LIMITS)
    assert (BreakerKind.CONCENTRATION in causes) is tripped
    if tripped:
        assert causes[BreakerKind.CONCENTRATION] == f"4 of {4 + others} accounts entered margin call within a minute for BTC"


@pytest.mark.parametrize(
    ("changes", "trips_with"),
    [
        ({"calls_per_minute": 3}, BreakerKind.CALLS),
        ({"liquidations_per_minute": 1}, BreakerKind.LIQUIDATIONS),
        ({"concentration_fraction": Decimal("0.5")}, BreakerKind.CONCENTRATION),
        ({"concentration_accounts": 2}, BreakerKind.CONCENTRATION),
    ],
)
def test_each_limit_decides(changes, trips_with):
    wide = BreakerLimits(calls_per_minute=9, liquidations_per_minute=9, concentration_fraction=Decimal("0.9"), concentration_accounts=4)
    tight = replace(wide, **changes) if "calls_per_minute" not in changes else replace(wide, liquidations_per_minute=3, **changes)
    entries = entered(3, LIQUIDATION, name="BTC") + entered(1, LIQUIDATION, name="ETH", start=50)
    if trips_with is BreakerKind.CONCENTRATION and "concentration_accounts" in changes:
        entries = entered(3, LIQUIDATION, name="BTC")
    assert trips_with not in trips(entries, wide)
    assert trips_with in trips(entries, tight)


def test_a_breaker_pauses_what_it_says_while_it_is_tripped():
    calls, liquidations = Breaker(BreakerKind.CALLS, is_tripped=True), Breaker(BreakerKind.LIQUIDATIONS, is_tripped=True)
    assert paused_by([calls], Action.MARGIN_CALL) == paused_by([calls], Action.LIQUIDATION) == [calls]
    assert paused_by([liquidations], Action.MARGIN_CALL) == []
    assert paused_by([liquidations], Action.LIQUIDATION) == [liquidations]
    assert paused_by([Breaker(BreakerKind.CALLS)], Action.LIQUIDATION) == []
    assert paused_by([calls, liquidations], Action.WITHDRAWAL) == []
