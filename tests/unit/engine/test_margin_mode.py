"""Cross or isolated: each number is a margin that an account, or a bucket, would really have."""

from __future__ import annotations

from decimal import Decimal

from crossmargin.domain.account import AccountMode
from crossmargin.engine.margin_mode import margin_mode_advice
from crossmargin.engine.methodologies.compute import compute
from tests.unit.engine.stressed_books import MARKET, RULES, a_book

HELD = {"USD": 400_000, "BTC": 5, "PERP-LINEAR-USD": (-5, "-300600"), "SWAP-USD": 500_000}


def advised(held):
    advice = margin_mode_advice(a_book(held), MARKET, RULES)
    return advice, {one.instrument_id: one for one in advice.positions}


def maintenance(held, mode=AccountMode.CROSS):
    return compute(a_book(held, mode=mode), MARKET, RULES).requirement.maintenance_margin


def test_every_number_is_the_margin_of_an_account_that_could_be_opened():
    _, positions = advised(HELD)
    assert set(positions) == {"BTC", "PERP-LINEAR-USD", "SWAP-USD"}
    for name, one in positions.items():
        assert one.margin_with == maintenance(HELD)
        assert one.margin_without == maintenance({other: held for other, held in HELD.items() if other != name})
        assert one.margin_alone == maintenance({name: HELD[name]}, AccountMode.ISOLATED)


def test_a_hedge_stays_with_what_it_hedges():
    _, positions = advised(HELD)
    hedge = positions["PERP-LINEAR-USD"]
    assert hedge.margin_added < 0
    assert hedge.benefit_fraction > 1
    assert hedge.advice is AccountMode.CROSS


def test_what_offsets_nothing_is_advised_to_be_walled_off_and_its_loss_is_capped_by_what_goes_with_it():
    advice, positions = advised({"USD": 400_000, "PERP-LINEAR-USD": (5, "300600")})
    (alone,) = positions.values()
    assert alone.benefit_fraction == 0 < advice.least_benefit
    assert alone.advice is AccountMode.ISOLATED
    bucket = {"USD": alone.capped_loss, "PERP-LINEAR-USD": (5, "300600")}
    result = compute(a_book(bucket, mode=AccountMode.ISOLATED), MARKET, RULES)
    assert result.equity.equity >= result.requirement.initial_margin - Decimal("0.01")
    assert (alone.expected_gap_loss, alone.worst_gap_loss) == (result.gap.expected, result.gap.worst)


def test_the_one_that_could_best_be_walled_off_comes_first():
    advice, _ = advised(HELD)
    keys = [(one.advice is AccountMode.CROSS, one.benefit_fraction) for one in advice.positions]
    assert keys == sorted(keys)
