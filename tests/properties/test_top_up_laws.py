"""Laws of top-ups that hold for any account and any inventory."""

from __future__ import annotations

from decimal import Decimal
from itertools import product

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossmargin.domain.top_up import InventoryItem
from crossmargin.usecases.top_up_trial import cheapest_top_up
from tests.top_up_books import INITIAL, a_trial, at_utilization, rules

D = Decimal
PRICES = {"USD": D(1), "BTC": D(100), "RLUSD": D(1), "USDC": D(1), "XRP": D(2), "EUR": D("1.1")}
CHARGED = {
    "basis": {"perpetual_fraction": "0.01", "dated_fraction": "0.01"},
    "rows": {"BTC": {"spread_fraction": "0.004", "average_daily_volume": "20000"}},
}
"""A basis charge bends the gain the wrong way, a liquidity charge the right way."""
RULES = {"auto": rules(), "pledged": rules(policy="pledged"), "risked and charged": rules(policy="risked", **CHARGED)}
WITHIN = D("0.02")

rates = st.decimals("0", "0.1", places=3)
books = st.fixed_dictionaries(
    {"PERP": st.integers(-60, 60).filter(bool), "USD": st.integers(-500, 1_500)},
    optional={"BTC": st.integers(-10, 10).filter(bool), "EUR": st.integers(-800, 800).filter(bool), "XRP": st.integers(1, 300)},
)
goals = st.sampled_from([INITIAL, at_utilization("0.6"), at_utilization("0.9")])


@st.composite
def inventories(draw, *, most=4):
    names = draw(st.lists(st.sampled_from(sorted(PRICES)), min_size=1, max_size=most, unique=True))
    return [_item(draw, name) for name in names]


def _item(draw, name, lots=5):
    """An item of up to five lots of about 300 dollars each, some with a least delivery of two lots."""
    lot = (D(300) / PRICES[name]).quantize(D("0.01"))
    least = lot * draw(st.sampled_from([0, 0, 2]))
    return InventoryItem(name, lot * draw(st.integers(2, lots)), draw(rates), lot, least)


def _account(held):
    return {name: (units, 100 * units) if name == "PERP" else units for name, units in held.items()}


def _is_enough(trial, delivery):
    return trial.missing(trial.verified(delivery), delivery) <= 0


def _cost(trial, delivery):
    return sum((trial.market_value(one, delivery.get(one.instrument_id, D(0))) * one.cost_rate for one in trial.inventory), D(0))


def _all_deliveries(trial):
    """Every mix of whole lots."""
    choices = [
        [D(0), *(n * one.lot for n in range(1, int(one.quantity / one.lot) + 1) if n * one.lot >= one.minimum_transfer)]
        for one in trial.inventory
    ]
    for quantities in product(*choices):
        yield {one.instrument_id: quantity for one, quantity in zip(trial.inventory, quantities, strict=True) if quantity}


@settings(max_examples=12, deadline=None)
@given(books, inventories(), goals, st.sampled_from(sorted(RULES)))
def test_what_is_suggested_is_there_in_lots_and_reaches_the_target_or_says_that_it_does_not(held, inventory, goal, risk):
    trial = a_trial(_account(held), inventory, goal, risk=RULES[risk])
    top_up = cheapest_top_up(trial)
    delivery = {line.instrument_id: line.quantity for line in top_up.lines if line.quantity}
    for one in inventory:
        quantity = delivery.get(one.instrument_id, D(0))
        assert quantity == 0 or one.minimum_transfer <= quantity <= one.quantity
        assert quantity % one.lot == 0
    result = trial.verified(delivery)
    assert top_up.after.equity == result.equity.equity
    assert top_up.reaches_target == (trial.missing(result, delivery) <= 0)
    if goal is INITIAL:
        assert top_up.reaches_target == (result.excess_to_initial >= 0)
    else:
        assert top_up.reaches_target == (result.utilization is not None and result.utilization <= goal.utilization)
    assert top_up.least_cost <= top_up.cost
    assert top_up.missing_before or not delivery


@settings(max_examples=8, deadline=None)
@given(books, inventories(most=3), goals, st.sampled_from(sorted(RULES)))
def test_no_mix_of_all_that_there_are_is_cheaper_or_enough_where_none_was_found(held, inventory, goal, risk):
    trial = a_trial(_account(held), inventory, goal, risk=RULES[risk])
    top_up = cheapest_top_up(trial)
    assume(top_up.missing_before > 10)
    enough = [delivery for delivery in _all_deliveries(trial) if _is_enough(trial, delivery)]
    assert top_up.reaches_target == bool(enough)
    if enough:
        cheapest = min(_cost(trial, delivery) for delivery in enough)
        assert top_up.cost <= cheapest * (1 + WITHIN) + D("0.05")
        assert top_up.least_cost <= cheapest * (1 + WITHIN) + D("0.05")
    else:
        nearest = min(trial.missing(trial.verified(delivery), delivery) for delivery in _all_deliveries(trial))
        assert top_up.missing <= nearest * (1 + WITHIN) + 1


@settings(max_examples=8, deadline=None)
@given(books, inventories(), goals, st.sampled_from(sorted(RULES)))
def test_no_single_item_is_cheaper_than_the_mix(held, inventory, goal, risk):
    trial = a_trial(_account(held), inventory, goal, risk=RULES[risk])
    top_up = cheapest_top_up(trial)
    assume(top_up.missing_before > 0)
    for one in inventory:
        for lots in range(1, int(one.quantity / one.lot) + 1):
            delivery = {one.instrument_id: lots * one.lot}
            if lots * one.lot < one.minimum_transfer or not _is_enough(trial, delivery):
                continue
            assert top_up.reaches_target
            assert top_up.cost <= _cost(trial, delivery) * (1 + WITHIN) + D("0.05")
            break


@settings(max_examples=6, deadline=None)
@given(books, inventories(), goals, st.data())
def test_when_anything_costs_more_the_top_up_does_not_cost_less(held, inventory, goal, data):
    dearer = [
        one.__class__(one.instrument_id, one.quantity, one.cost_rate + data.draw(rates), one.lot, one.minimum_transfer) for one in inventory
    ]
    one, other = (cheapest_top_up(a_trial(_account(held), each, goal)) for each in (inventory, dearer))
    assume(one.reaches_target)
    assert other.reaches_target
    assert other.cost >= one.cost * (1 - WITHIN) - D("0.05")
