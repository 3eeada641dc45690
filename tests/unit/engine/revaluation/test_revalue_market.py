"""What can go wrong with one instrument stays with it; and which factors a market must have."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Payoff, PremiumStyle
from crossmargin.domain.market import FactorId
from crossmargin.engine.revaluation import required_factors, revalue_market
from crossmargin.engine.revaluation.prepared_instruments import KINDS
from tests.builders import coin
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    ASSETS,
    GROUPS,
    MARKS,
    a_bill,
    a_bond,
    a_forward,
    a_future,
    a_perpetual,
    a_snapshot,
    an_option,
    legs_of,
    one_of_each_kind,
    parameters,
    random_scenarios,
    revalue,
    scenarios,
    total_of,
    unit_value_of,
)


def error_of(market, name):
    return market.unavailable[InstrumentId(name)]


def test_every_kind_can_be_revalued():
    market = revalue(one_of_each_kind(), a_snapshot(), {"spot:BTC": 0.1})
    assert market.unavailable == {}
    assert {type(instrument.terms) for instrument in market.instruments} == set(KINDS)


def test_a_future_without_carry_curve_needs_a_mark_and_then_follows_spot():
    snapshot = a_snapshot(without=["basis:"])
    assert error_of(revalue([*ASSETS, a_future()], snapshot, {}), "FUTURE").facts["factor"] == "basis:BTC:*"
    marked = a_snapshot(without=["basis:"], marks={"FUTURE": 61_000})
    market = revalue([*ASSETS, a_future()], marked, {"spot:BTC": math.log(0.9)})
    assert unit_value_of(market, "FUTURE") == pytest.approx(61_000)
    assert total_of(market, "FUTURE") == pytest.approx([-6_100])


@pytest.mark.parametrize(
    ("instrument", "missing"),
    [
        (a_perpetual(), "spot:BTC"),
        (an_option(), "vol:BTC:*"),
        (a_bill(), "zero:USD:*"),
        (a_bond(settlement="EUR"), "zero:EUR:*"),
        (a_forward(), "zero:EUR:*"),
        (a_forward(), "zero:USD:*"),
    ],
)
def test_a_missing_factor_is_named_with_the_instrument_and_hurts_nobody_else(instrument, missing):
    snapshot = a_snapshot(without=[missing.rstrip("*")], marks={instrument.instrument_id: 1})
    assets = [asset for asset in ASSETS if missing != f"spot:{asset.instrument_id}"]
    market = revalue([*assets, instrument], snapshot, {"fx:EUR": 0.1})
    error = error_of(market, instrument.instrument_id)
    assert error.reason is Reason.MISSING_RISK_FACTOR
    assert missing in error.message
    assert instrument.instrument_id in error.message
    assert error.facts["factor"] == missing
    assert error.facts["instrument"] == instrument.instrument_id
    assert error.__traceback__ is None
    assert [held.instrument_id for held in market.instruments] == sorted(asset.instrument_id for asset in assets)


def test_a_factor_without_scenarios_passes_its_own_error_on():
    snapshot = a_snapshot()
    factor = FactorId.parse("spot:BTC")
    error = DomainError(Reason.INSUFFICIENT_HISTORY, "history of spot:BTC is too short", factor=factor)
    market = revalue_market([*ASSETS, a_perpetual()], snapshot, scenarios(snapshot, {}, unavailable={factor: error}), parameters())
    assert error_of(market, "PERP") is error
    assert error_of(market, "BTC") is error
    assert InstrumentId("ETH") in market.row_of


def test_only_instruments_that_read_the_node_without_scenarios_are_refused():
    snapshot = a_snapshot()
    factor = FactorId.parse("zero:USD:30Y")
    error = DomainError(Reason.INSUFFICIENT_HISTORY, "history of zero:USD:30Y is too short", factor=factor)
    instruments = [*ASSETS, a_bill(), a_bond("SHORT", maturity=date(2030, 5, 15)), a_bond("LONG")]
    market = revalue_market(instruments, snapshot, scenarios(snapshot, {"zero:USD:1Y": 0.01}, unavailable={factor: error}), parameters())
    assert set(market.unavailable) == {"LONG"}
    assert error.__traceback__ is None
    assert error_of(market, "LONG") is error
    assert total_of(market, "BILL")[0] < 0.0


def test_a_node_read_exactly_does_not_need_its_neighbours():
    snapshot = a_snapshot(as_of=datetime(2026, 3, 2, tzinfo=UTC))
    unavailable = {
        FactorId.parse(node): DomainError(Reason.INSUFFICIENT_HISTORY, "too short", factor=node) for node in ("zero:USD:1M", "zero:USD:5Y")
    }
    drawn = scenarios(snapshot, {"zero:USD:1Y": 0.01}, unavailable=unavailable)
    market = revalue_market([*ASSETS, a_bill(maturity=date(2027, 3, 2))], snapshot, drawn, parameters())
    assert market.unavailable == {}
    assert total_of(market, "BILL") == pytest.approx([np.exp(-0.049) - np.exp(-0.039)], rel=1e-12)


@pytest.mark.parametrize(
    ("node", "instrument"),
    [("vol:BTC:1M", an_option()), ("basis:BTC:6M", a_future()), ("zero:USD:1Y", an_option()), ("zero:EUR:10Y", a_forward())],
)
def test_every_kind_looks_at_the_nodes_it_reads(node, instrument):
    snapshot = a_snapshot()
    error = DomainError(Reason.INSUFFICIENT_HISTORY, "too short", factor=node)
    instruments = [*ASSETS, instrument]
    market = revalue_market(instruments, snapshot, scenarios(snapshot, {}, unavailable={FactorId.parse(node): error}), parameters())
    assert error_of(market, instrument.instrument_id) is error


def test_a_factor_nobody_built_scenarios_for_is_missing():
    snapshot = a_snapshot()
    market = revalue_market(ASSETS, snapshot, scenarios(a_snapshot(without=["spot:BTC"]), {}), parameters())
    assert error_of(market, "BTC").reason is Reason.MISSING_RISK_FACTOR


def test_an_instrument_in_no_offset_group_is_refused():
    groups = [group for group in GROUPS if group["group_id"] != "BTC"]
    market = revalue([*ASSETS, a_perpetual()], a_snapshot(), {}, offset_groups=groups)
    assert error_of(market, "PERP").reason is Reason.UNMAPPED_RISK_FACTOR
    assert error_of(market, "BTC").reason is Reason.UNMAPPED_RISK_FACTOR


@pytest.mark.parametrize("instrument", [a_perpetual(settlement="EUR"), a_forward(), a_bill(settlement="EUR")])
def test_what_it_settles_in_must_be_among_the_instruments(instrument):
    market = revalue([ASSETS[0], instrument], a_snapshot(), {})
    error = error_of(market, instrument.instrument_id)
    assert error.reason is Reason.UNKNOWN_INSTRUMENT
    assert error.facts["settlement"] == "EUR"


def test_what_it_settles_in_must_be_worth_something():
    market = revalue([*ASSETS, a_perpetual(settlement="EUR")], a_snapshot(without=["fx:EUR"]), {})
    assert error_of(market, "PERP").facts == {"factor": "fx:EUR", "instrument": "PERP"}
    assert error_of(market, "EUR").facts == {"factor": "fx:EUR", "instrument": "EUR"}


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("FUTURE", "final-settlement"),
        ("OPTION", "expiry or exercise"),
        ("FORWARD", "delivery"),
        ("BILL", "maturity"),
        ("BOND", "maturity"),
    ],
)
def test_what_has_ended_is_refused_by_name_and_by_the_event_that_is_missing(name, event):
    yesterday = AS_OF.date() - timedelta(days=1)
    ended = {
        "FUTURE": a_future(expiry=AS_OF),
        "OPTION": an_option(expiry=AS_OF),
        "FORWARD": a_forward(delivery=yesterday),
        "BILL": a_bill(maturity=AS_OF.date()),
        "BOND": a_bond(maturity=AS_OF.date()),
    }
    market = revalue([*ASSETS, ended[name]], a_snapshot(), {})
    assert error_of(market, name).reason is Reason.INSTRUMENT_EXPIRED
    facts = error_of(market, name).facts
    assert (facts["instrument"], facts["missing_event"]) == (name, event)
    assert f"book its {event}, as with: crossmargin book lifecycle {event.split()[0]} {name}" in error_of(market, name).message


def test_an_expired_option_leaves_its_neighbours_alone():
    market = revalue([*ASSETS, an_option("OLD", expiry=AS_OF), an_option("NEW")], a_snapshot(), {})
    assert set(market.unavailable) == {"OLD"}
    assert unit_value_of(market, "NEW") > 0


@pytest.mark.parametrize("instrument", [a_perpetual(), a_bond(), an_option(), coin("BTC")])
def test_a_mark_it_cannot_have_is_refused(instrument):
    others = [asset for asset in ASSETS if asset.instrument_id != instrument.instrument_id]
    market = revalue([*others, instrument], a_snapshot(marks={instrument.instrument_id: "-1"}), {})
    assert error_of(market, instrument.instrument_id).reason is Reason.INVALID_PRICE


def test_an_asset_that_is_refused_takes_along_what_settles_in_it():
    inverse = a_perpetual(settlement="BTC", payoff=Payoff.INVERSE)
    market = revalue([*ASSETS, inverse], a_snapshot(marks={"BTC": 0}), {})
    assert set(market.unavailable) == {"BTC", "PERP"}


@pytest.mark.parametrize(
    ("instrument", "move"),
    [
        (a_perpetual(), {"spot:ETH": 0.1, "spot:BTC": 720.0}),
        (an_option(premium=PremiumStyle.COIN_SETTLED, underlying="ETH"), {"vol:ETH:1M": 720.0, "spot:ETH": -800.0}),
        (a_bill(maturity=date(2100, 1, 1)), {"zero:USD:30Y": -10.0}),
    ],
)
def test_a_market_beyond_numbers_makes_only_its_instrument_unavailable(instrument, move):
    market = revalue([*ASSETS, instrument], a_snapshot(), move)
    assert error_of(market, instrument.instrument_id).reason is Reason.INVALID_SNAPSHOT
    assert np.isfinite(market.leg_pnl).all()
    assert InstrumentId("EUR") in market.row_of


def test_a_mark_no_spread_can_reach_makes_only_that_bond_unavailable():
    tiny = a_bill("TINY", maturity=AS_OF.date() + timedelta(days=1))
    snapshot = a_snapshot(marks={"TINY": "0.000000000000000001"})
    market = revalue([*ASSETS, tiny, a_bill()], snapshot, {"zero:USD:1M": 0.01})
    assert unit_value_of(market, "TINY") == pytest.approx(1e-20, rel=1e-12)
    assert InstrumentId("BILL") in market.row_of


def test_the_order_of_the_instruments_changes_no_bit():
    snapshot = a_snapshot(marks=MARKS)
    drawn = random_scenarios(snapshot, 40, seed=7)
    instruments = list(one_of_each_kind())
    first = revalue_market(instruments, snapshot, drawn, parameters())
    second = revalue_market(instruments[::-1], snapshot, drawn, parameters())
    assert first.instruments == second.instruments
    assert first.groups == second.groups
    for name in ("unit_value", "leg_pnl", "leg_instrument", "leg_group", "settlement_row", "residual_years", "translation_days"):
        assert getattr(first, name).tobytes() == getattr(second, name).tobytes()


def test_scenarios_of_the_required_factors_are_enough_for_every_kind():
    snapshot = a_snapshot({"spot:UNUSED": 1, "vol:UNUSED:1M": 1})
    for instrument in one_of_each_kind():
        instruments = [*ASSETS[:1], *(asset for asset in ASSETS[1:] if asset.instrument_id in instrument.references()), instrument]
        unique = list({each.instrument_id: each for each in instruments}.values())
        wanted = required_factors(unique, snapshot)
        kept = a_snapshot(without=[name for name in map(str, snapshot.levels) if FactorId.parse(name) not in wanted])
        assert set(kept.levels) == wanted
        assert revalue(unique, kept, {}).unavailable == {}


def test_required_factors_are_those_of_the_curves_read():
    names = {str(factor) for factor in required_factors([*ASSETS[:2], a_bond(settlement="EUR")], a_snapshot())}
    assert names == {"fx:EUR", "zero:EUR:3M", "zero:EUR:10Y"}
    coins = {str(factor) for factor in required_factors([coin("BTC"), an_option(premium=PremiumStyle.COIN_SETTLED)], a_snapshot())}
    assert coins == {"spot:BTC", "vol:BTC:1M", "vol:BTC:6M", "basis:BTC:1M", "basis:BTC:6M"}


def test_an_instrument_that_cannot_settle_needs_no_factors():
    assert required_factors([a_bond(settlement="EUR")], a_snapshot()) == frozenset()


def test_a_leg_keeps_its_group_when_one_group_holds_price_and_rates():
    groups = [group for group in GROUPS if group["group_id"] not in {"EUR", "EUR-RATES"}]
    joined = {"group_id": "EUR", "asset_class": "FX", "mpor_days": 2, "mpor_clock": "business", "curves": ["fx:EUR", "zero:EUR"]}
    moves = {"fx:EUR": 0.1, "zero:EUR:3M": 0.01, "zero:EUR:10Y": 0.01}
    one = revalue([*ASSETS, a_bond(settlement="EUR")], a_snapshot(), moves, offset_groups=[*groups, joined])
    two = revalue([*ASSETS, a_bond(settlement="EUR")], a_snapshot(), moves)
    assert set(legs_of(one, "BOND")) == {"EUR"}
    assert total_of(one, "BOND") == pytest.approx(total_of(two, "BOND"), rel=1e-14)
