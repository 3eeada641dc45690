from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.margin import Band
from crossmargin.engine import ENGINE_VERSION
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import ACCOUNT, AS_OF, SNAPSHOT, Revalued, a_portfolio, a_revalued_market, cash, coin, perpetual, risk_parameters

D = Decimal


def a_market():
    return a_revalued_market(
        Revalued(coin("BTC"), 100.0, {"BTC": [-10, 5, -20, 10]}),
        Revalued(coin("ETH", collateral_class="ETH"), 10.0, {"ETH": [1, 2, -3, -4]}),
        Revalued(perpetual("BTC-PERP"), 100.0, {"BTC": [-10, 5, -20, 10]}),
        Revalued(cash("EUR", collateral_class="G10-CASH"), 1.2, {"EURUSD": [-0.1, 0.1, 0.0, 0.2]}, translation_days=2.0),
        groups={"BTC": "CRYPTO", "ETH": "CRYPTO", "EURUSD": "FX"},
    )


def test_an_empty_account_needs_nothing_and_is_healthy():
    result = _margin({})
    assert (result.equity.equity, result.requirement.maintenance_margin, result.requirement.initial_margin) == (0, 0, 0)
    assert (result.utilization, result.band, result.contributions, result.groups) == (0, Band.HEALTHY, (), ())


def test_an_account_in_debt_without_risk_is_in_liquidation():
    result = _margin({"USD": "-0.01"})
    assert (result.utilization, result.band) == (None, Band.LIQUIDATION)


def test_risk_without_equity_is_in_liquidation():
    result = _margin({"BTC-PERP": (1, 100)})
    assert (result.equity.equity, result.requirement.maintenance_margin) == (0, 15)
    assert (result.utilization, result.band, result.excess_to_maintenance) == (None, Band.LIQUIDATION, -15)


def test_bands_follow_utilization():
    bands = [_margin({"BTC-PERP": (1, 100), "USD": equity}).band for equity in ("25.01", "25", "21", "18.75", "15")]
    assert bands == [Band.HEALTHY, Band.WATCH, Band.AT_RISK, Band.MARGIN_CALL, Band.LIQUIDATION]


def test_the_initial_margin_is_the_multiple_of_the_maintenance_margin():
    result = _margin({"BTC": 1}, initial_margin_multiple="1.333")
    assert (result.requirement.maintenance_margin, result.requirement.initial_margin) == (D(15), D("20.00"))


def test_a_coin_and_a_short_perpetual_on_it_carry_no_market_risk():
    result = _margin({"BTC": 3, "BTC-PERP": (-3, -300)})
    assert result.requirement.market_requirement == 0
    assert result.requirement.netting_inside_groups == result.requirement.gross > 0


def test_pledged_collateral_leaves_the_requirement_alone():
    without, pledged = _margin({"ETH": -1}), _margin({"ETH": -1, "BTC": 5}, policies={"BTC": CollateralPolicy.PLEDGED})
    assert pledged.requirement == without.requirement
    assert pledged.equity.equity == without.equity.equity + 400
    assert pledged.contributions[0].amount == 0


def test_an_isolated_account_recognises_all_diversification():
    held = {"BTC": 1, "ETH": -4, "EUR": 50}
    cross, isolated = _margin(held), _margin(held, mode=AccountMode.ISOLATED)
    # Profits are -19, 2, -8, 36.
    assert isolated.requirement.market_requirement == D("13.5")
    assert cross.requirement.market_requirement > isolated.requirement.market_requirement
    assert cross.requirement.gross == isolated.requirement.gross


@pytest.mark.parametrize(("within", "across", "level"), [("0", "0", "groups"), ("1", "0", "classes"), ("1", "1", "account")])
def test_each_end_of_the_offsets_leaves_one_level(within, across, level):
    # Groups: 15, (8 + 4) / 2, (10 + 5) / 2. Classes: BTC and ETH sum to -14, -3, -8, 26. Account: -9, -8, -8, 16.
    expected = {"groups": D("28.5"), "classes": D("18.5"), "account": D("8.5")}
    result = _margin({"BTC": 1, "ETH": -4, "EUR": -50}, offset_within_class=within, offset_across_classes=across)
    assert result.requirement.market_requirement == expected[level]


def test_the_stamp_names_everything_the_result_depends_on():
    market, parameters = a_market(), risk_parameters()
    stamp = compute_margin(a_portfolio({"BTC": 1}, sequence=17), market, parameters).stamp
    assert (stamp.account, stamp.sequence, stamp.snapshot_id, stamp.as_of) == (ACCOUNT, 17, SNAPSHOT, AS_OF)
    assert (stamp.parameter_set_id, stamp.parameters_hash) == (parameters.set_id, parameters.content_hash)
    assert (stamp.scenario_set_hash, stamp.engine_version) == (market.scenarios.content_hash, ENGINE_VERSION)


def test_the_same_inputs_give_the_same_result():
    held = {"BTC": 1, "ETH": -4, "EUR": 50, "BTC-PERP": ("-0.3", "-31")}
    assert _margin(held) == _margin(held)


def test_profits_that_are_not_finite_end_the_calculation():
    market = a_revalued_market(Revalued(coin("BTC"), 100.0, {"BTC": [-10, np.nan]}))
    with pytest.raises(FloatingPointError, match="not finite"):
        compute_margin(a_portfolio({"BTC": 1}), market, risk_parameters())


def _margin(held, *, policies=None, mode=AccountMode.CROSS, **parameters):
    portfolio = a_portfolio(held, policies=policies, mode=mode)
    return compute_margin(portfolio, a_market(), risk_parameters(**{"tail_fraction": "0.5"} | parameters))
