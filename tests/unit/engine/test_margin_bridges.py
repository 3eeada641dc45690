from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.margin import Band, Charge
from crossmargin.engine.margin_bridges import band_of, requirement_bridge, utilization_of
from crossmargin.engine.portfolio_arrays import margin_rates
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import Revalued, a_haircut_row, a_portfolio, a_revalued_market, coin, perpetual, risk_parameters

D = Decimal
RATES = margin_rates(risk_parameters(), AccountMode.CROSS)


def test_netting_is_rounded_down_and_the_requirement_up():
    bridge = _bridge(gross=10.0, group_total=8.0, class_total=6.001, account=3.0)
    # 0.2 x 8 + 0.3 x 6.001 + 0.5 x 3 = 4.9003; benefits 2, 0.8 x 1.999 = 1.5992, 0.5 x 3.001 = 1.5005.
    assert bridge.market_requirement == D("4.91")
    assert (bridge.netting_inside_groups, bridge.netting_inside_classes, bridge.netting_across_classes) == (D(2), D("1.59"), D("1.5"))
    assert bridge.gross == D("10.00")


def test_float_noise_makes_no_benefit_negative():
    bridge = _bridge(gross=10.0 - 1e-15, group_total=10.0, class_total=10.0, account=10.0)
    assert bridge.netting_inside_groups == 0
    assert bridge.gross == bridge.market_requirement == 10


def test_charges_are_added_to_the_maintenance_margin():
    bridge = _bridge(gross=10.0, group_total=10.0, class_total=10.0, account=10.0, charges=(Charge("basis", D("0.01")),))
    assert (bridge.market_requirement, bridge.maintenance_margin, bridge.initial_margin) == (D(10), D("10.01"), D("12.52"))


@pytest.mark.parametrize(
    ("margin", "equity", "utilization"),
    [
        ("0", "0", "0"),
        ("0", "100", "0"),
        ("0", "-0.01", None),
        ("0.01", "0", None),
        ("0.01", "-5", None),
        ("50", "100", "0.5"),
        ("1", "3", "0.333334"),
        ("300", "100", "3"),
    ],
)
def test_utilization_is_rounded_up_and_infinite_without_equity(margin, equity, utilization):
    assert utilization_of(D(margin), D(equity)) == (None if utilization is None else D(utilization))


@pytest.mark.parametrize(
    ("utilization", "band"),
    [
        ("0", Band.HEALTHY),
        ("0.599999", Band.HEALTHY),
        ("0.6", Band.WATCH),
        ("0.699999", Band.WATCH),
        ("0.7", Band.AT_RISK),
        ("0.799999", Band.AT_RISK),
        ("0.8", Band.MARGIN_CALL),
        ("0.999999", Band.MARGIN_CALL),
        ("1", Band.LIQUIDATION),
        (None, Band.LIQUIDATION),
    ],
)
def test_a_line_belongs_to_the_worse_band(utilization, band):
    assert band_of(None if utilization is None else D(utilization), risk_parameters().bands) is band


def test_every_equity_line_adds_up_against_the_client():
    market = a_revalued_market(
        Revalued(coin("BTC"), 1.005), Revalued(coin("ETH", collateral_class="ETH"), 0.333), Revalued(perpetual("PERP"), 7.777)
    )
    portfolio = a_portfolio({"BTC": 1, "ETH": -1, "PERP": (1, 5), "USD": "0.015"}, policies={"BTC": CollateralPolicy.PLEDGED})
    bridge = compute_margin(portfolio, market, risk_parameters()).equity
    btc, eth, usd = bridge.lines
    assert (btc.market_value, btc.haircut, btc.over_limit, btc.value_in_equity) == (D("1.00"), D("0.20"), D(0), D("0.80"))
    assert (btc.policy, eth.policy, usd.policy) == (CollateralPolicy.PLEDGED, None, CollateralPolicy.RISKED)
    assert (eth.quantity, eth.market_value, eth.value_in_equity) == (D(-1), D("-0.34"), D("-0.34"))
    assert usd.value_in_equity == D("0.01")
    assert (bridge.collateral, bridge.liabilities, bridge.contract_value) == (D("0.81"), D("-0.34"), D("2.77"))
    assert bridge.equity == D("3.24")


def test_a_limit_that_takes_all_leaves_no_haircut():
    parameters = risk_parameters(haircut_schedule=[a_haircut_row("USD"), a_haircut_row("BTC", residual="0.5", absolute_limit="0")])
    (line,) = compute_margin(a_portfolio({"BTC": 1}), a_revalued_market(Revalued(coin(), 1.005)), parameters).equity.lines
    assert (line.market_value, line.haircut, line.over_limit, line.value_in_equity) == (D("1.00"), D(0), D("1.00"), D(0))


def test_a_quantity_is_shown_as_it_is_held():
    (line,) = compute_margin(a_portfolio({"USD": "12345678901234567.89"}), a_revalued_market(), risk_parameters()).equity.lines
    assert line.quantity == D("12345678901234567.89")


def _bridge(*, gross, group_total, class_total, account, charges=()):
    return requirement_bridge(
        gross=gross,
        group_total=group_total,
        class_total=class_total,
        account=account,
        market_requirement=0.2 * group_total + 0.3 * class_total + 0.5 * account,
        rates=RATES,
        initial_margin_multiple=D("1.25"),
        charges=charges,
    )
