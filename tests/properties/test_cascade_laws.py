"""Laws of cascades: nothing is made or lost on the way, to the last cent, whoever falls and however thin the market is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.cascade import CascadeTerms, DepthKind
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.stress import StressKind
from crossmargin.engine.cascade import Cascade, CascadeAccount
from crossmargin.engine.stress_library import StressScenario
from tests.unit.engine.stressed_books import INSTRUMENTS, RULES, a_book, a_market, a_move, a_run, an_account, stress_of

CONTRACTS = ("PERP-LINEAR-USD", "PERP-INVERSE", "BTC", "ETH")
MARKET = a_market(instruments=[each for each in INSTRUMENTS if each.instrument_id in {*CONTRACTS, "USD"}])
METHODOLOGIES = [each for each in Methodology if each is not Methodology.STANDARD_SCHEDULE]
"""Those that the parameters here say enough of."""
UNITS = {"PERP-INVERSE": 500, "ETH": 10}

books = st.dictionaries(st.sampled_from(CONTRACTS), st.decimals(-8, 8, places=2).filter(bool), min_size=1, max_size=3)
houses = st.lists(st.tuples(books, st.integers(-100_000, 400_000)), min_size=1, max_size=3)
terms = st.builds(
    CascadeTerms,
    depth=st.sampled_from(DepthKind),
    depth_multiple=st.sampled_from([Decimal("0.0005"), Decimal("0.01"), Decimal(1)]),
    seed=st.integers(0, 3),
    most_rounds=st.just(4),
)


def totals(cascade):
    """Quantity and cost of every instrument, over all accounts and the street."""
    found = defaultdict(lambda: (Decimal(0), Decimal(0)))
    for holdings in cascade.holdings().values():
        for holding in holdings:
            quantity, cost = found[holding.instrument_id]
            found[holding.instrument_id] = (EXACT.add(quantity, holding.quantity), EXACT.add(cost, holding.cost))
    return {name: pair for name, pair in found.items() if any(pair)}


def value_of(holdings, marks):
    """What holdings are worth, counted here and not by the engine."""
    with localcontext(EXACT):
        return sum((one.quantity * marks[one.instrument_id][0] - one.cost * marks[one.instrument_id][1] for one in holdings), Decimal(0))


@settings(max_examples=10, deadline=None)
@given(houses, terms, st.floats(-0.4, 0.4), st.sampled_from(METHODOLOGIES))
def test_every_cent_that_accounts_lose_is_the_street_s_or_the_market_s(house, how, fall, methodology):
    accounts = []
    for place, (held, cash) in enumerate(house):
        sized = {name: size * UNITS.get(name, 1) for name, size in held.items()}
        own = methodology if place == 0 else Methodology.EXPECTED_SHORTFALL
        portfolio = replace(a_book({"USD": cash, **sized}), account=an_account(f"a{place}"), methodology=own)
        accounts.append(CascadeAccount(portfolio))
    cascade = Cascade(accounts, MARKET, RULES, a_move(spot_BTC=fall, spot_ETH=fall), how, random=np.random.default_rng(how.seed))
    assert not cascade.failures
    held_at_first = totals(cascade)
    street = Decimal(0)
    previous = None
    for each in cascade.rounds():
        assert each.clients_after == exact_sum((each.clients_before, EXACT.minus(each.paid_to_street), each.revaluation))
        assert totals(cascade) == held_at_first
        if previous is not None:
            assert each.clients_before == previous.clients_after
        # The street began with nothing: what it is worth is what accounts paid it, and what the moved marks made of that.
        marks = cascade._marks
        worth = {name: value_of(holdings, marks) for name, holdings in cascade.holdings().items()}
        assert each.street_after == worth[None]
        assert each.clients_after == exact_sum(value for name, value in worth.items() if name is not None)
        street = each.street_after
        previous = each
    if how.depth is DepthKind.INFINITE:
        assert abs(street) < Decimal("0.01")


@settings(max_examples=8, deadline=None)
@given(houses, books, st.integers(-20_000, 60_000), st.floats(-0.4, 0.4), st.integers(0, 3))
def test_without_flow_a_bucket_changes_nothing_for_anybody_else_and_the_shock_is_the_plain_stress(house, bucket, cash, fall, seed):
    """Whether or not a bucket is there, and whatever becomes of it, every core account goes through the same to the cent."""
    cores = [CascadeAccount(a_named(f"a{place}", held, own)) for place, (held, own) in enumerate(house)]
    parent = cores[0].portfolio.account
    apart = CascadeAccount(replace(a_named("bucket", bucket, cash), mode=AccountMode.ISOLATED), parent)
    how, shock = CascadeTerms(depth=DepthKind.INFINITE, seed=seed, most_rounds=4), a_move(spot_BTC=fall, spot_ETH=fall)
    alone, beside = ([*cascade.rounds()] and cascade for cascade in (a_cascade(cores, shock, how), a_cascade([*cores, apart], shock, how)))
    for core in cores:
        name = core.portfolio.account
        assert beside.holdings()[name] == alone.holdings()[name]
        assert beside.standings()[name] == alone.standings()[name]
    first = a_cascade(cores, shock, how)
    next(first.rounds())
    run = a_run(MARKET, StressScenario("fall", StressKind.AD_HOC, shock))
    for core in cores:
        stressed, _ = stress_of(run, core.portfolio)
        assert first.standings()[core.portfolio.account] == stressed.after
    assert first.summary().first_broker_loss == exact_sum(max(Decimal(0), -one.equity) for one in first.standings().values())


def a_named(name, held, cash):
    sized = {each: size * UNITS.get(each, 1) for each, size in held.items()}
    return replace(a_book({"USD": cash, **sized}), account=an_account(name))


def a_cascade(accounts, shock, how):
    return Cascade(accounts, MARKET, RULES, shock, how, random=np.random.default_rng(how.seed))
