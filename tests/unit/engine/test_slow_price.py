"""What a stablecoin's slow price does to what an account has and needs: holdings at the lower price, debts at the price."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Stablecoin
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.peg import Peg
from crossmargin.engine.market_ends import margin_with_ends
from crossmargin.engine.portfolio_arrays import portfolio_arrays
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market, revalue_moved_market
from tests.builders import AS_OF as BUILT_AT
from tests.builders import Revalued, a_haircut_row, a_portfolio, a_revalued_market, an_instrument, cash, charges_document, coin, stablecoin
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    GROUPS,
    a_bill,
    a_group,
    a_perpetual,
    a_snapshot,
    parameters,
    scenario_set,
    scenarios,
    unit_value_of,
)

D = Decimal
USDC, EURC = InstrumentId("USDC"), InstrumentId("EURC")
DEPEG = {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95", "longest_hours": "72"}
HAIRCUTS = [
    a_haircut_row("USD"),
    a_haircut_row("BTC", residual="0.02", flat="0.2"),
    a_haircut_row("STABLE", residual="0.02", flat="0.02"),
    a_haircut_row("GOVERNMENT", residual="0.01", flat="0.02"),
]
WITH_EURC = [*GROUPS, a_group("EURC", "STABLECOIN", ["spot:EURC"])]
BOOK = (
    cash("USD"),
    cash("EUR"),
    coin("BTC"),
    stablecoin("USDC", collateral_class="STABLE"),
    an_instrument("EURC", Stablecoin("EUR", "CIRCLE"), collateral_class="STABLE"),
    a_perpetual("PERP", settlement="USDC"),
    replace(a_bill("BILL", settlement="USDC"), collateral_class="GOVERNMENT"),
)
MOVES = ({"spot:USDC": -0.12}, {"spot:USDC": 0.05}, {"spot:BTC": -0.2}, {})


def rules(**changes):
    charges = charges_document(WITH_EURC, depeg=DEPEG | changes.pop("depeg", {}))
    return parameters(offset_groups=WITH_EURC, tail_fraction="0.25", haircut_schedule=HAIRCUTS, charges=charges, **changes)


def market(peg=None, *, price="1", euro_peg=None, levels=None, numbers=None):
    pegs = {} if peg is None else {USDC: peg}
    pegs |= {} if euro_peg is None else {EURC: euro_peg}
    snapshot = replace(a_snapshot({"spot:USDC": price, "spot:EURC": "1.1"} | (levels or {})), pegs=pegs)
    return revalue_market(BOOK, snapshot, scenarios(snapshot, *MOVES), numbers or rules())


def margin(held, at, *, policy=CollateralPolicy.RISKED, numbers=None):
    return compute_margin(a_portfolio(held, policies=dict.fromkeys(("USDC", "BILL"), policy)), at, numbers or rules())


def line_of(result, name):
    return next(line for line in result.equity.lines if line.instrument_id == name)


SLOWED = Peg(D("0.96"))


@pytest.mark.parametrize("policy", [CollateralPolicy.RISKED, CollateralPolicy.PLEDGED])
def test_a_holding_is_worth_its_slow_price(policy):
    line = line_of(margin({"USDC": 1000}, market(SLOWED), policy=policy), "USDC")
    assert (line.quantity, line.market_value, line.haircut, line.value_in_equity) == (1000, 960, D("19.2"), D("940.8"))


def test_its_scenarios_start_from_the_slow_price():
    slowed, plain = (margin({"USDC": 1000, "USD": 9000}, at).requirement.market_requirement for at in (market(SLOWED), market()))
    assert plain == D("113.08")  # 1000 (1 - exp(-0.12)), upwards
    assert slowed == D("108.56")  # 0.96 of it


def test_a_debt_is_owed_at_the_price_and_so_are_its_scenarios():
    for at in (market(SLOWED), market()):
        result = margin({"USDC": -1000, "USD": 9000}, at)
        assert result.equity.liabilities == -1000
        assert result.requirement.market_requirement == D("51.28")  # 1000 (exp(0.05) - 1), upwards


def test_what_a_contract_gains_in_the_coin_counts_at_the_slow_price_and_what_it_loses_at_the_price():
    in_profit, under_water = {"PERP": (1, 50_000)}, {"PERP": (1, 70_000)}
    assert margin(in_profit, market(SLOWED)).equity.contract_value == 9600
    assert margin(under_water, market(SLOWED)).equity.contract_value == -10_000
    assert margin(in_profit, market()).equity.contract_value == 10_000
    same = [margin(in_profit, at).requirement.market_requirement for at in (market(SLOWED), market())]
    assert same[0] == same[1]


def test_a_bond_that_pays_in_the_coin_counts_as_the_coin_does():
    slowed, plain = (line_of(margin({"BILL": 100_000}, at), "BILL") for at in (market(SLOWED), market()))
    assert float(slowed.market_value) == pytest.approx(0.96 * float(plain.market_value), abs=0.02)
    assert margin({"BILL": -1000}, market(SLOWED)).equity == margin({"BILL": -1000}, market()).equity


def test_a_price_below_the_slow_price_is_what_counts():
    assert line_of(margin({"USDC": 1000}, market(Peg(D("0.98")), price="0.955")), "USDC").market_value == 955


def test_a_slow_price_above_a_dollar_counts_at_that():
    assert line_of(margin({"USDC": 1000}, market(Peg(D("1.01")), price="1.05")), "USDC").market_value == 1010


def test_without_a_peg_and_with_one_that_is_well_the_bits_are_the_same():
    plain, well = market(), market(Peg(D(1)))
    for name in ("unit_value", "leg_pnl", "peg_price", "used_fraction", "has_run_out"):
        assert np.array_equal(getattr(plain, name), getattr(well, name), equal_nan=True), name
    held = {"USDC": 1000, "USD": 9000, "PERP": (1, 59_000)}
    assert replace(margin(held, well), stamp=margin(held, plain).stamp) == margin(held, plain)


def test_the_haircut_for_new_risk_and_the_line_of_eligibility_are_those_of_the_price_that_counts():
    assert [charge.amount for charge in margin({"USDC": 1000}, market(SLOWED)).requirement.initial_only] == [D("115.2")]  # 4 x 0.03 x 960
    assert line_of(margin({"USDC": 1000}, market(Peg(D("0.95")))), "USDC").value_in_equity == 931
    lost = line_of(margin({"USDC": 1000}, market(Peg(D("0.949999")))), "USDC")
    assert (lost.value_in_equity, lost.over_limit, lost.peg.is_lost) == (0, lost.market_value, True)


def test_a_coin_whose_clock_has_run_out_counts_nothing_and_leaves_the_scenarios_and_a_debt_stays_one():
    since = AS_OF - timedelta(hours=72)
    for began, is_out in ((since, False), (since - timedelta(microseconds=1), True)):
        result = margin({"USDC": 1000, "USD": 9000}, market(Peg(D("0.985"), began), price="0.985"))
        assert (line_of(result, "USDC").value_in_equity == 0) == is_out
        assert (result.requirement.market_requirement == 0) == is_out
        owed = margin({"USDC": -1000, "USD": 9000}, market(Peg(D("0.985"), began), price="0.985"))
        assert owed.equity.liabilities == -985


def test_a_coin_pegged_to_euros_is_slow_in_euros():
    at = market(euro_peg=Peg(D("0.97")))
    assert unit_value_of(at, "EURC") == 1.1
    assert line_of(margin({"EURC": 1000}, at), "EURC").market_value == D("1067")
    assert at.peg_price[at.row_of[EURC]] == pytest.approx(0.97, rel=1e-15)
    whole = market(euro_peg=Peg(D(1)))
    assert whole.used_fraction[whole.row_of[EURC]] == 1.0


def test_what_is_said_of_a_coin_off_its_peg():
    since = AS_OF - timedelta(hours=5)
    slowed = line_of(margin({"USDC": 1000}, market(Peg(D("0.96"), since, AS_OF))), "USDC").peg
    assert (slowed.price, slowed.counted_price, slowed.below_since, slowed.back_since, slowed.is_lost) == (
        1,
        D("0.96"),
        since,
        AS_OF,
        False,
    )
    assert line_of(margin({"USDC": 1000}, market(Peg(D(1)))), "USDC").peg is None
    assert line_of(margin({"USDC": 1000}, market()), "USDC").peg is None
    assert line_of(margin({"USDC": -1000}, market(SLOWED)), "USDC").peg.price == 1
    assert line_of(margin({"USD": 1}, market(SLOWED)), "USD").peg is None


def test_a_hypothetical_move_takes_the_slow_price_along():
    snapshot = replace(a_snapshot({"spot:USDC": "1", "spot:EURC": "1.1"}), pegs={USDC: SLOWED})
    shocks = scenarios(snapshot, *MOVES)
    move = np.array([[-0.1 if str(factor) == "spot:USDC" else 0.0 for factor in shocks.factors]])
    (moved,) = revalue_moved_market(BOOK, snapshot, move, shocks, rules())
    row = moved.row_of[USDC]
    assert moved.used_fraction[row] == 0.96
    assert moved.peg_price[row] == pytest.approx(0.96 * np.exp(-0.1), rel=1e-14)


def test_tiers_and_limits_are_on_what_counts():
    """1% of a supply of 50,000 units is 500 of them, whatever they count at; so is a share of what all clients hold."""
    row = a_haircut_row("STABLE", residual="0", flat="0")
    cases = {
        "supply_limit_fraction": ("0.01", 480),
        "absolute_limit": ("500", 500),
        "house_supply_fraction": ("0.01", 480),
        "house_limit": ("480", 480),
    }
    for name, (limit, counts) in cases.items():
        numbers = parameters(
            offset_groups=WITH_EURC,
            tail_fraction="0.25",
            haircut_schedule=[a_haircut_row("USD"), row | {name: limit}],
            circulating_supply=[{"curve": "spot:USDC", "units": "50000"}],
            charges=charges_document(WITH_EURC, depeg=DEPEG),
        )
        result = margin({"USDC": 1000}, market(SLOWED, numbers=numbers), policy=CollateralPolicy.PLEDGED, numbers=numbers)
        assert line_of(result, "USDC").value_in_equity == counts, name


def test_an_owner_s_and_all_clients_holdings_are_counted_as_the_account_s_own_are():
    portfolio = a_portfolio({"USDC": 1000})
    house = HouseView(held={USDC: D(10_000)}, owned={portfolio.account.client_id: {USDC: D(4000)}}, owner_liquidity={})
    arrays = portfolio_arrays(replace(portfolio, house=house), market(SLOWED))
    assert (arrays.quantity.tolist(), arrays.owned.tolist(), arrays.held_by_all.tolist()) == ([960.0], [3840.0], [9600.0])
    owed = portfolio_arrays(replace(a_portfolio({"USDC": -1000}), house=house), market(SLOWED))
    assert owed.quantity.tolist() == [-1000.0]


@pytest.mark.parametrize(("low", "high"), [("0.97", "1.2"), ("0.5", "1")])
def test_inside_a_range_the_slow_price_stands_and_what_is_below_it_counts_at_once(low, high):
    snapshot = replace(a_snapshot({"spot:USDC": "1", "spot:EURC": "1.1"}), pegs={USDC: SLOWED})
    factor = next(factor for factor in snapshot.levels if str(factor) == "spot:USDC")
    doubted = replace(snapshot, level_quality={factor: Quality(Verdict.SUSPECT, AS_OF, D(low), D(high))})
    numbers = rules(depeg={"ineligible_price": "0"})
    still = scenario_set(tuple(sorted(snapshot.levels)), np.zeros((4, len(snapshot.levels))))
    result = margin_with_ends(a_portfolio({"USDC": 1000}), doubted, revalue_market(BOOK, doubted, still, numbers), numbers)
    at_levels = result.equity.equity - D("115.2")  # 4 x 0.03 x 960
    assert result.excess_to_initial == at_levels == D("825.60")
    if low == "0.97":
        assert result.quality.excess_to_initial_high == at_levels
        assert 0 <= at_levels - result.quality.excess_to_initial_low <= D("0.01")  # rounded down
    else:
        assert result.quality.excess_to_initial_low <= 0  # a haircut of 4 x 0.49 leaves nothing of 490


def test_a_market_made_by_hand_has_no_pegs_to_tell_of():
    at = a_revalued_market(Revalued(stablecoin(collateral_class="STABLE"), 1.0, {"USDC": [-0.1]}, used_fraction=0.9))
    result = compute_margin(a_portfolio({"USDC": 100}), at, parameters(haircut_schedule=HAIRCUTS))
    assert at.as_of == BUILT_AT
    line = line_of(result, "USDC")
    assert (line.market_value, line.peg) == (90, None)
