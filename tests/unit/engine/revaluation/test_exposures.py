"""What the charges need to know of an instrument: how much of each group it is, its notional, its basis and its peg."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Stablecoin
from crossmargin.engine.revaluation.prepared_instruments import KINDS
from crossmargin.engine.revaluation.valuation import BasisKind
from tests.builders import an_instrument, charges_document
from tests.unit.engine.revaluation.markets import (
    ASSETS,
    GROUPS,
    MARKS,
    a_bill,
    a_bond,
    a_bond_future,
    a_forward,
    a_future,
    a_group,
    a_perpetual,
    a_snapshot,
    an_american_option,
    an_fx_option,
    an_option,
    one_of_each_kind,
    revalue,
    total_of,
    unit_value_of,
)

FORWARD = 60_000 * math.exp(0.2 * (0.05 + 0.03 * (0.2 - 1 / 12) / (5 / 12)))
BUMP = 1e-5  # of the logarithm of a price: central differences are then right to some eight digits


def test_the_bumps_below_see_every_kind():
    assert {type(instrument.terms) for instrument in one_of_each_kind()} == set(KINDS)


@pytest.mark.parametrize("marks", [{}, MARKS], ids=["factors", "marks"])
@pytest.mark.parametrize(
    ("factor", "group"), [("spot:BTC", "BTC"), ("spot:ETH", "ETH"), ("fx:EUR", "EUR"), ("fx:GBP", "GBP"), ("spot:USDC", "USDC")]
)
def test_exposure_is_the_derivative_by_the_logarithm_of_the_price(marks, factor, group):
    market = revalue(one_of_each_kind(), a_snapshot(marks=marks), {factor: BUMP}, {factor: -BUMP})
    for instrument in market.instruments:
        name = instrument.instrument_id
        up, down = total_of(market, name)
        scale = abs(unit_value_of(market, name)) + market.notional_unit[market.row_of[name]]
        assert _exposures(market, name).get(group, 0.0) == pytest.approx((up - down) / (2 * BUMP), abs=1e-6 * scale), name


def test_a_bond_and_both_payments_of_a_forward_are_exposed_to_rates_with_their_values():
    market = revalue([*ASSETS, a_bill(settlement="EUR"), a_forward()], a_snapshot(), {})
    assert _exposures(market, "BILL")["EUR-RATES"] == pytest.approx(unit_value_of(market, "BILL"))
    forward = _exposures(market, "FORWARD")
    assert forward["EUR-RATES"] > 0 > forward["USD-RATES"]
    assert forward["EUR-RATES"] + forward["USD-RATES"] == pytest.approx(unit_value_of(market, "FORWARD"))


@pytest.mark.parametrize("marks", [{}, {"BOND-FUTURE": 119.5}], ids=["factors", "marks"])
def test_a_bond_future_is_exposed_to_rates_with_the_bonds_it_delivers_bought_forward(marks):
    delivery = date(2026, 5, 8)  # before the next coupon
    instruments = [*ASSETS, a_bond(), a_bill(maturity=delivery), a_bond_future(delivery=delivery, factor="0.85", multiplier=1000)]
    market = revalue(instruments, a_snapshot(marks=marks), {})
    face = 100 * 1000 / 0.85
    forward = unit_value_of(market, "BOND") / unit_value_of(market, "BILL")
    assert _exposures(market, "BOND-FUTURE") == pytest.approx({"USD-RATES": face * forward})


def test_an_option_on_a_pair_is_exposed_to_its_currencies_and_not_to_its_volatility():
    groups = [*({**group, "curves": [c for c in group["curves"] if c != "vol:EURGBP"]} for group in GROUPS)]
    groups.append(a_group("EURGBP", "FX", ["vol:EURGBP"], clock="business"))
    market = revalue([*ASSETS, an_fx_option(settlement="GBP", strike="0.86")], a_snapshot(), {}, offset_groups=groups)
    exposures = _exposures(market, "FX-OPTION")
    assert exposures["EUR"] > 0 > exposures["GBP"]
    assert exposures["EUR"] + exposures["GBP"] == pytest.approx(unit_value_of(market, "FX-OPTION"))
    assert exposures["EURGBP"] == 0.0
    assert market.groups[market.instrument_group[market.row_of[InstrumentId("FX-OPTION")]]] == "EUR"


@pytest.mark.parametrize(
    ("name", "notional"),
    [
        ("BTC", 60_000),
        ("PERP-LINEAR-USD", 60_000),
        ("PERP-LINEAR-USDC", 600 * 0.999),
        ("PERP-INVERSE", 100),
        ("CALL-CASH", 10 * FORWARD),
        ("CALL-COIN", 60_000),
        ("EURUSD", 1.1),
        ("EURGBP", 1.1),
        ("BOND-USD", 1.0),
        ("BOND-EUR", 1.1),
        ("CALL-MARGINED", FORWARD),
        ("PUT-ON-FUTURE", 60_000 * math.exp(103 / 365 * (0.05 + 0.03 * (103 / 365 - 1 / 12) / (5 / 12)))),
        ("AMERICAN-PUT", 6_000),
        ("AMERICAN-CALL-EUR", 3_000 * 1.1),
        ("EURUSD-CALL", 1.1),
        ("EURGBP-PUT", 1.1),
        ("NDF-USD", 1.1),
        ("NDF-GBP", 1.1),
        ("BESPOKE", 90 * 1.3),
        ("NOTE-USD", 1.0),
        ("SWAP-USD", 1.0),
        ("SWAP-EUR", 1.1),
        ("BOND-FUTURE-USD", 100_000),
    ],
)
def test_notional_of_one_unit_in_dollars(name, notional):
    market = revalue(one_of_each_kind(), a_snapshot(), {})
    assert market.notional_unit[market.row_of[InstrumentId(name)]] == pytest.approx(notional)


def test_perpetuals_and_what_has_no_carry_factors_are_told_from_the_rest():
    with_carry = revalue(one_of_each_kind(), a_snapshot(), {})
    kinds = {name: with_carry.basis_kind[row] for name, row in with_carry.row_of.items()}
    assert {name for name, kind in kinds.items() if kind == BasisKind.PERPETUAL} == {n for n in kinds if n.startswith("PERP")}
    assert {name for name, kind in kinds.items() if kind == BasisKind.DATED} == {"PUT-COIN-ETH", "AMERICAN-CALL-EUR"}
    plain = revalue(
        [*ASSETS, a_future(), an_option(), an_american_option(), an_fx_option()],
        a_snapshot(without=["basis:", "zero:EUR"], marks={"FUTURE": 61_000}),
        {},
    )
    dated = {name for name, row in plain.row_of.items() if plain.basis_kind[row] == BasisKind.DATED}
    assert dated == {"FUTURE", "OPTION", "AMERICAN", "FX-OPTION"}


def test_options_of_every_kind_are_told_from_the_rest():
    market = revalue(one_of_each_kind(), a_snapshot(), {})
    assert {name for name, row in market.row_of.items() if market.is_option[row]} == {
        name for name in market.row_of if any(word in name for word in ("CALL", "PUT"))
    }


def test_the_group_of_an_instrument_is_that_of_what_it_is_on():
    market = revalue(one_of_each_kind(), a_snapshot(), {})
    groups = {name: market.instrument_group[row] for name, row in market.row_of.items()}
    named = {name: None if row < 0 else market.groups[row] for name, row in groups.items()}
    assert named["USD"] is None
    assert (named["PERP-LINEAR-USDC"], named["PUT-COIN-ETH"], named["USDC"]) == ("BTC", "ETH", "USDC")
    assert (named["EURUSD"], named["EURGBP"], named["BOND-EUR"]) == ("EUR", "EUR", "EUR-RATES")
    assert (named["NDF-GBP"], named["EURGBP-PUT"], named["EURUSD-CALL"]) == ("EUR", "EUR", "EUR")
    assert (named["AMERICAN-CALL-EUR"], named["PUT-ON-FUTURE"], named["CALL-MARGINED"]) == ("ETH", "BTC", "BTC")
    assert (named["NOTE-EUR"], named["SWAP-USD"], named["BOND-FUTURE-USD"]) == ("EUR-RATES", "USD-RATES", "USD-RATES")


def test_the_peg_of_a_stablecoin_is_measured_in_its_own_currency():
    euro_coin = an_instrument("EURC", Stablecoin("EUR", "CIRCLE"))
    groups = [*GROUPS, a_group("EURC", "STABLECOIN", ["spot:EURC"])]
    market = revalue([*ASSETS, euro_coin], a_snapshot({"spot:EURC": "1.089"}), {}, offset_groups=groups)
    pegs = {name: market.peg_price[row] for name, row in market.row_of.items() if not np.isnan(market.peg_price[row])}
    assert pegs == pytest.approx({"EURC": 0.99, "USDC": 0.999})
    without = revalue([*ASSETS, euro_coin], a_snapshot({"spot:EURC": "1.089"}, without=["fx:EUR"]), {}, offset_groups=groups)
    assert without.unavailable[InstrumentId("EURC")].reason is Reason.MISSING_RISK_FACTOR


def test_the_joint_shock_of_an_issuer_revalues_in_full_and_weighs_nothing():
    issuers = [{"issuer_id": "SATOSHI", "is_own_issue": False, "moves": {"spot:BTC": "-0.5"}}]
    charges = charges_document(GROUPS, issuers=issuers)
    instruments = [*ASSETS, a_perpetual(), an_option(strike=50_000)]
    one = revalue(instruments, a_snapshot(), {"spot:BTC": 0.1}, {"fx:EUR": 0.1}, charges=charges)
    moved = revalue(
        instruments, a_snapshot(), {"spot:BTC": math.log(0.5), "vol:BTC:1M": 1.5 * math.log(2), "vol:BTC:6M": 1.5 * math.log(2)}
    )
    assert one.issuer_leg_pnl == pytest.approx(moved.leg_pnl.T)
    assert len(one.scenarios.names) == one.leg_pnl.shape[1] == 2
    assert one.scenarios.content_hash == revalue(instruments, a_snapshot(), {"spot:BTC": 0.1}, {"fx:EUR": 0.1}).scenarios.content_hash


def _exposures(market, name):
    row = market.row_of[InstrumentId(name)]
    places = np.flatnonzero(market.leg_instrument == row)
    return {market.groups[market.leg_group[leg]]: market.leg_exposure[leg] for leg in places}
