from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.holding_columns import HoldingColumns
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.packed_positions import packed
from crossmargin.domain.position import Position, net_holdings
from crossmargin.engine.portfolio_arrays import (
    cents_to_decimal,
    client_value_to_cents,
    client_values_in_cents,
    haircut_rates,
    margin_rates,
    portfolio_arrays,
    requirement_to_cents,
    requirements_in_cents,
    units_and_costs,
)
from tests.builders import Revalued, a_haircut_row, a_portfolio, a_revalued_market, coin, risk_parameters
from tests.unit.domain.strategies import ledger_decimals


def test_holdings_keep_their_order_and_policy():
    market = a_revalued_market(Revalued(coin("BTC"), 60_000.0), Revalued(coin("ETH"), 3_000.0))
    portfolio = a_portfolio({"ETH": "-2.5", "BTC": ("1", "0.1")}, policies={"BTC": CollateralPolicy.PLEDGED})
    arrays = portfolio_arrays(portfolio, market)
    assert [instrument.instrument_id for instrument in arrays.instruments] == ["BTC", "ETH"]
    assert arrays.row.tolist() == [market.row_of["BTC"], market.row_of["ETH"]]
    assert (arrays.quantity.tolist(), arrays.cost.tolist()) == ([1.0, -2.5], [0.1, 0.0])
    assert arrays.policies == (CollateralPolicy.PLEDGED, CollateralPolicy.RISKED)


def test_a_choice_for_one_holding_leaves_the_others_as_they_were():
    market = a_revalued_market(Revalued(coin("BTC"), 60_000.0), Revalued(coin("ETH"), 3_000.0))
    portfolio = a_portfolio({"BTC": 1, "ETH": 1})
    by_default = portfolio_arrays(portfolio, market, CollateralPolicy.PLEDGED)
    assert (by_default.policies, by_default.risked_fraction.tolist()) == ((CollateralPolicy.PLEDGED,) * 2, [0.0, 0.0])
    assert by_default.may_leave_out.tolist() == [False, False]
    chosen = portfolio_arrays(replace(portfolio, policies={"ETH": CollateralPolicy.RISKED}), market, CollateralPolicy.PLEDGED)
    assert (chosen.risked_fraction.tolist(), chosen.may_leave_out.tolist()) == ([0.0, 1.0], [False, True])
    decided = portfolio_arrays(replace(portfolio, risked_fractions={"ETH": Decimal("0.25")}), market)
    assert (decided.risked_fraction.tolist(), decided.may_leave_out.tolist()) == ([1.0, 0.25], [True, False])


@given(st.lists(st.tuples(ledger_decimals, ledger_decimals), max_size=20))
@settings(max_examples=100)
def test_a_text_becomes_the_float_that_its_decimal_becomes(amounts):
    held = [Position(BookId("main"), InstrumentId(f"P{place:02}"), *each) for place, each in enumerate(amounts)]
    columns, exact = packed(held).netted(), net_holdings(held)
    assert isinstance(columns, HoldingColumns) or not exact
    for one, other in zip(units_and_costs(columns), units_and_costs(exact), strict=True):
        assert one.tobytes() == other.tobytes()


def test_a_holding_that_cannot_be_valued_is_refused_with_the_markets_reason():
    cause = DomainError(Reason.MISSING_RISK_FACTOR, "snapshot has no level of spot:XRP", factor="spot:XRP")
    market = a_revalued_market(unavailable={"XRP": cause})
    with pytest.raises(DomainError, match=r"alpha-fund/accounts/main holds XRP.*no level of spot:XRP") as refused:
        portfolio_arrays(a_portfolio({"XRP": 1}), market)
    assert refused.value.reason is Reason.MISSING_RISK_FACTOR
    assert refused.value.facts == {"factor": "spot:XRP", "account": "clients/alpha-fund/accounts/main", "instrument": "XRP"}


def test_only_who_holds_it_is_refused():
    market = a_revalued_market(unavailable={"XRP": DomainError(Reason.MISSING_RISK_FACTOR, "no level")})
    assert portfolio_arrays(a_portfolio({"USD": 1}), market).quantity.tolist() == [1.0]


def test_an_instrument_the_market_has_never_heard_of_is_unknown():
    with pytest.raises(DomainError, match="holds DOGE, which is not in the market") as refused:
        portfolio_arrays(a_portfolio({"DOGE": 1}), a_revalued_market())
    assert (refused.value.reason, refused.value.facts["instrument"]) == (Reason.UNKNOWN_INSTRUMENT, "DOGE")


def test_an_isolated_account_recognises_all_diversification():
    parameters = risk_parameters(offset_within_class="0.7", offset_across_classes="0.4")
    isolated, cross = margin_rates(parameters, AccountMode.ISOLATED), margin_rates(parameters, AccountMode.CROSS)
    assert (isolated.offset_within_class, isolated.offset_across_classes) == (1.0, 1.0)
    assert (cross.offset_within_class, cross.offset_across_classes) == (0.7, 0.4)
    assert isolated.tail_fraction == cross.tail_fraction == 0.025


def test_a_missing_limit_is_infinite():
    parameters = risk_parameters(haircut_schedule=[a_haircut_row("USD"), a_haircut_row("USDC", share_limit="0.4", absolute_limit="1000")])
    free, limited = haircut_rates(parameters).rows["USD"], haircut_rates(parameters).rows["USDC"]
    assert (free.share_limit_fraction, free.absolute_limit) == (float("inf"), float("inf"))
    assert (limited.share_limit_fraction, limited.absolute_limit) == (0.4, 1000.0)


@pytest.mark.parametrize(
    ("amount", "scale", "cents"),
    [
        (11.15, 35.0, 1115),
        (0.8 * 13.9375, 35.0, 1115),
        (11.150000000000002, 35.0, 1115),
        (11.1500001, 35.0, 1116),
        (11.149999999999999, 35.0, 1115),
        (1.1, 1.1, 110),
        (0.0, 0.0, 0),
        (1e-9, 1e-9, 1),
        (5_000_000_000.0101, 1e13, 500_000_000_001),
        (5_000_000_000.0111, 1e13, 500_000_000_002),
    ],
)
def test_requirements_are_rounded_up_but_float_noise_costs_no_cent(amount, scale, cents):
    assert requirement_to_cents(amount, scale=scale) == cents
    assert requirements_in_cents(np.array([amount, 0.0]), np.array([scale, 0.0])).tolist() == [cents, 0.0]


@pytest.mark.parametrize(
    ("amount", "scale", "cents"),
    [
        (0.29, 0.29, 29),
        (1_000_000.10, 1_000_000.10, 100_000_010),
        (19.999, 20.0, 1999),
        (-19.991, 20.0, -2000),
        (-0.3, 0.3, -30),
        (0.1 + 0.2 - 0.3, 0.6, 0),
    ],
)
def test_values_of_the_clients_are_rounded_down_but_float_noise_costs_no_cent(amount, scale, cents):
    assert client_value_to_cents(amount, scale=scale) == cents
    assert client_values_in_cents(np.array([amount, 0.0]), np.array([scale, 0.0])).tolist() == [cents, 0.0]


def test_cents_become_money_exactly_at_any_size():
    assert str(cents_to_decimal(12345678901234567890123456789012345)) == "123456789012345678901234567890123.45"
