"""QuantLib as an oracle for paper with credit: zero rates and spreads added up, both moved at random."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from crossmargin.domain.instrument import DayCount, Instrument
from tests.reference.test_kinds_against_quantlib import DAY_COUNTS, Case, a_schedule
from tests.reference.test_prices_against_quantlib import (
    AS_OF,
    DAY_COUNT,
    INSTRUMENTS,
    SEEDS,
    TODAY,
    State,
    a_quantlib_bond,
    node,
    ql,
    random_bond,
    zero_curve,
)
from tests.unit.engine.revaluation.markets import a_bill, a_note

SPREADS = {"spread:IG-A:180D": "0.004", "spread:IG-A:5Y": "0.0125", "spread:IG-A:20Y": "0.021"}
GRID = sorted({round(days) for days in np.linspace(1, 40_000, 20)} | {30, 90, 180, 365, 730, 999, 1825, 3650, 7300, 10_950})


@pytest.fixture(autouse=True)
def _evaluation_date() -> Iterator[None]:
    before = ql.Settings.instance().evaluationDate
    ql.Settings.instance().evaluationDate = TODAY
    ql.IborCoupon.createAtParCoupons()
    yield
    ql.Settings.instance().evaluationDate = before
    ql.IndexManager.instance().clearHistories()


def credit_curve(state: State, currency: str) -> ql.YieldTermStructureHandle:
    """Zero rates and spreads, each linear between its nodes, so their sum is linear between the nodes of both: the grid has them all."""
    rates = [node(state, f"zero:{currency}", days / 365) + node(state, "spread:IG-A", days / 365) for days in GRID]
    pillars = [TODAY] + [TODAY + days for days in GRID]
    curve = ql.ZeroCurve(pillars, [rates[0], *rates], DAY_COUNT, ql.NullCalendar(), ql.Linear(), ql.Continuous)
    return ql.YieldTermStructureHandle(curve)


def in_dollars(instrument: Instrument, state: State) -> float:
    return 1.0 if instrument.settlement == "USD" else state["fx:EUR"]


@pytest.mark.parametrize("seed", SEEDS)
def test_bonds_with_credit(seed):
    case = Case(seed, SPREADS)
    bonds = [random_bond(case.random, number) for number in range(INSTRUMENTS)]
    held = [replace(bond, terms=replace(bond.terms, credit_curve="IG-A")) for bond in bonds]

    def value(instrument: Instrument, state: State) -> float:
        handle = ql.RelinkableYieldTermStructureHandle(credit_curve(state, instrument.settlement).currentLink())
        return a_quantlib_bond(instrument.terms, handle).NPV() / 100 * in_dollars(instrument, state)

    case.check(held, value)


@pytest.mark.parametrize("seed", SEEDS)
def test_paper_of_one_payment_with_credit(seed):
    case = Case(seed, SPREADS)
    held = [a_bill(f"CP-{number}", maturity=case.day(1, 4000), credit="IG-A") for number in range(INSTRUMENTS)]

    def value(instrument: Instrument, state: State) -> float:
        return credit_curve(state, "USD").discount(TODAY + (instrument.terms.maturity_date - AS_OF.date()).days)

    case.check(held, value)


@pytest.mark.parametrize("seed", SEEDS)
def test_notes_with_credit_are_projected_without_it_and_discounted_with_it(seed):
    case = Case(seed, SPREADS)
    held = []
    for number in range(10):
        issued = AS_OF.date() + timedelta(days=int(case.random.integers(0, 30)))
        maturity = date(issued.year + int(case.random.integers(1, 12)), issued.month, min(issued.day, 28))
        note = a_note(
            f"NOTE-{number}",
            spread=case.rate(-0.01, 0.03),
            fixed_on=issued - timedelta(days=1),
            per_year=int(case.one_of([1, 2, 4])),
            day_count=DayCount.ACT_360,
            issued=issued,
            maturity=maturity,
            credit="IG-A",
        )
        held.append(note)
    case.check(held, note_value)


def note_value(instrument: Instrument, state: State) -> float:
    terms = instrument.terms
    projected = zero_curve(state, instrument.settlement)
    schedule = a_schedule(terms.issue_date, terms.maturity_date, terms.coupons_per_year, terms.business_days)
    counter = DAY_COUNTS[terms.day_count](schedule)
    tenor = ql.Period(12 // terms.coupons_per_year, ql.Months)
    index = ql.IborIndex("oracle", tenor, 0, ql.USDCurrency(), ql.NullCalendar(), ql.Unadjusted, False, counter, projected)
    bond = ql.FloatingRateBond(0, 100.0, schedule, index, counter, ql.Unadjusted, 0, [1.0], [float(terms.spread_rate)])
    bond.setPricingEngine(ql.DiscountingBondEngine(credit_curve(state, instrument.settlement)))
    return bond.NPV() / 100 * in_dollars(instrument, state)
