"""The slow price and the clock of a depeg, over random paths, and what they do to an account."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import LEDGER_UNIT
from crossmargin.domain.peg import Peg, PegSighting, next_peg
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market
from tests.builders import a_haircut_row, a_portfolio, cash, charges_document, coin, stablecoin
from tests.unit.engine.revaluation.markets import GROUPS, a_perpetual, a_snapshot, parameters, random_scenarios

D = Decimal
START = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAY = timedelta(days=1)
PRICES = st.decimals("0.5", "1.5", places=4)
STRETCHES = st.timedeltas(timedelta(microseconds=1), 3 * DAY)
RATES = st.decimals("0.0001", "2", places=4)
STEPS = st.lists(st.tuples(STRETCHES, PRICES, st.sampled_from((True, True, False))), min_size=1, max_size=12)


def rules(rise="0.05", longest="72", recovery="24"):
    return DepegParameters(D("0.99"), D(4), D("0.95"), D(rise), D(longest), D(recovery))


def path(steps, numbers, peg=None):
    """Pegs after each step, with the moments."""
    now, found = START, []
    for stretch, price, believed in steps:
        before, now = now, now + stretch
        peg = next_peg(peg, PegSighting(price, believed), previous=before, now=now, rules=numbers)
        found.append((now, price, peg))
    return found


@given(steps=STEPS, rise=RATES)
def test_the_slow_price_is_never_above_the_price_and_rises_no_faster_than_its_rate(steps, rise):
    earlier = None
    for now, price, peg in path(steps, rules(rise)):
        assert 0 < peg.slow_price <= price
        if earlier is not None:
            then, slow = earlier
            assert peg.slow_price - slow <= rise * D((now - then) // timedelta(microseconds=1)) / D(86_400_000_000)
        earlier = now, peg.slow_price


@given(steps=STEPS, more=st.decimals("0", "0.5", places=4))
def test_higher_prices_never_make_a_lower_slow_price(steps, more):
    lower, higher = (path([(s, price + up, ok) for s, price, ok in steps], rules()) for up in (D(0), more))
    assert all(low.slow_price <= high.slow_price for (_, _, low), (_, _, high) in zip(lower, higher, strict=True))


@given(before=PRICES, price=PRICES, first=STRETCHES, second=STRETCHES, rise=RATES)
def test_looking_twice_at_one_price_is_looking_once(before, price, first, second, rise):
    """But for the last place of the ledger, which each look rounds down."""
    start = Peg(before)
    once = path([(first + second, price, True)], rules(rise), start)[-1][2]
    twice = path([(first, price, True), (second, price, True)], rules(rise), start)[-1][2]
    assert 0 <= once.slow_price - twice.slow_price <= LEDGER_UNIT


@given(steps=STEPS, extra=STRETCHES, longest=st.integers(0, 200))
def test_a_clock_that_runs_never_runs_back(steps, extra, longest):
    numbers = rules(longest=str(longest))
    for now, _, peg in path(steps, numbers):
        assert peg.depegged_for(now) <= peg.depegged_for(now + extra)
        assert peg.has_run_out(now, numbers) <= peg.has_run_out(now + extra, numbers)
        assert peg.below_since is None or peg.below_since <= (peg.back_since or now) <= now


@given(steps=STEPS)
def test_a_depeg_lasts_from_the_first_price_below_the_line_to_the_end_of_a_recovery(steps):
    """Told again from the whole path: back since the last price below, if somebody was believed since."""
    told = path(steps, rules())
    since = back = None
    for (now, price, peg), (_, _, believed) in zip(told, steps, strict=True):
        if price < D("0.99"):
            since, back = since or now, None
        elif since is not None and believed:
            back = back or now
            if now - back >= DAY:
                since = back = None
        assert (peg.below_since, peg.back_since) == (since, back)


# What it does to an account

HAIRCUTS = [
    a_haircut_row("USD"),
    a_haircut_row("BTC", residual="0.02", flat="0.2"),
    a_haircut_row("STABLE", residual="0.02", flat="0.02"),
]
DEPEG = {
    "mild_price": "0.99",
    "haircut_slope": "4",
    "ineligible_price": "0.95",
    "slow_rise_per_day": "0.05",
    "longest_hours": "72",
    "recovery_hours": "24",
}
SET = parameters(tail_fraction="0.1", haircut_schedule=HAIRCUTS, charges=charges_document(GROUPS, depeg=DEPEG))
USDC = InstrumentId("USDC")
BOOK = (cash("USD"), cash("EUR"), coin("BTC"), stablecoin("USDC", collateral_class="STABLE"), a_perpetual("PERP", settlement="USDC"))
SNAPSHOT = a_snapshot()
SCENARIOS = random_scenarios(SNAPSHOT, 40, 11)
PLAIN = revalue_market(BOOK, SNAPSHOT, SCENARIOS, SET)
POLICIES = st.sampled_from((CollateralPolicy.RISKED, CollateralPolicy.PLEDGED))
SLOW = st.decimals("0.5", "1.1", places=3)
FEW = settings(max_examples=40)


def market(slow, since=None):
    snapshot = replace(SNAPSHOT, pegs={USDC: Peg(slow, since)})
    return revalue_market(BOOK, snapshot, SCENARIOS, SET)


def margin(held, at, policy):
    return compute_margin(a_portfolio(held, policies={"USDC": policy, "BTC": CollateralPolicy.RISKED}), at, SET)


@FEW
@given(slow=SLOW, coins=st.integers(0, 500_000), bitcoins=st.integers(-5, 5), contracts=st.integers(-5, 5), policy=POLICIES)
def test_a_slow_price_never_adds_to_the_equity_of_who_holds_the_coin(slow, coins, bitcoins, contracts, policy):
    held = {"USD": 100_000, "USDC": coins, "BTC": bitcoins, "PERP": (contracts, contracts * 61_000)}
    assert margin(held, market(slow), policy).equity.equity <= margin(held, PLAIN, policy).equity.equity


@FEW
@given(slow=SLOW, coins=st.integers(1, 500_000), bitcoins=st.integers(-5, 5))
def test_a_slow_price_changes_nothing_for_who_owes_the_coin(slow, coins, bitcoins):
    held = {"USD": 900_000, "USDC": -coins, "BTC": bitcoins}
    slowed, plain = (margin(held, at, CollateralPolicy.RISKED) for at in (market(slow), PLAIN))
    assert slowed.equity.equity == plain.equity.equity
    assert slowed.requirement == plain.requirement


@FEW
@given(lower=SLOW, higher=SLOW, coins=st.integers(0, 500_000), policy=POLICIES)
def test_a_lower_slow_price_never_counts_for_more(lower, higher, coins, policy):
    low, high = sorted((lower, higher))
    held = {"USD": 100_000, "USDC": coins}
    assert margin(held, market(low), policy).equity.equity <= margin(held, market(high), policy).equity.equity


@FEW
@given(hours=st.integers(0, 72), coins=st.integers(1, 500_000), contracts=st.integers(-5, 5), policy=POLICIES)
def test_no_account_has_more_excess_for_a_clock_that_has_run_out(hours, coins, contracts, policy):
    """The coin counts nothing then and leaves the scenarios: what is needed may be less, what is left never is more."""
    held = {"USD": 100_000, "USDC": coins, "PERP": (contracts, contracts * 61_000)}
    running = margin(held, market(D("0.97"), SNAPSHOT.as_of - timedelta(hours=hours)), policy)
    run_out = margin(held, market(D("0.97"), SNAPSHOT.as_of - timedelta(hours=72, microseconds=1)), policy)
    assert run_out.excess_to_initial <= running.excess_to_initial
    assert run_out.equity.lines[-1].value_in_equity == 0
