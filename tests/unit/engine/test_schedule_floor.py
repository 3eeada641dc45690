"""The floor by the standard schedule: what it is asked of, whose exposure it measures, and that it only raises."""

from decimal import Decimal

import pytest

from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_portfolio
from tests.charge_books import a_market, parameters

RATES = {name: [{"up_to_years": None, "rate_fraction": "0.1"}] for name in ("CRYPTO", "FX", "FIXED_INCOME")}
GROSS = Decimal("0.1") * Decimal("1.1") * 3000
"""Of 3,000 forwards on a notional of 1.10 dollars each, at a tenth."""


def _maintenance(book, in_scope=("FX_FORWARD",), floor_fraction="1"):
    rules = parameters(schedule_floor={"floor_fraction": floor_fraction, "in_scope": list(in_scope), "rates": RATES})
    return compute_margin(a_portfolio(book), a_market(), rules).requirement.maintenance_margin


@pytest.mark.parametrize(("signs", "net_to_gross"), [((2, -1), Decimal(0)), ((-2, 1), Decimal("0.5"))], ids=["we owe", "the client owes"])
def test_the_ratio_nets_what_the_client_owes_and_not_what_we_owe(signs, net_to_gross):
    """A forward bought is worth 0.05 to the client. We collect, so replacement cost is what he would have to pay."""
    book = {"FORWARD": 1000 * signs[0], "FORWARD-2": 1000 * signs[1]}
    assert _maintenance(book) == GROSS * (Decimal("0.4") + Decimal("0.6") * net_to_gross)


def test_what_is_cleared_or_not_named_is_out_of_scope():
    book = {"PERP": (100, 10_000), "FORWARD": 1000}
    without = _maintenance(book, in_scope=())
    assert _maintenance(book, in_scope=["EUROPEAN_OPTION"]) == without
    assert _maintenance({"PERP": (100, 10_000)}) == _maintenance({"PERP": (100, 10_000)}, in_scope=())


def test_where_the_model_asks_for_more_the_floor_changes_nothing():
    book = {"BTC": 100, "FORWARD": 1000}
    assert _maintenance(book) == _maintenance(book, floor_fraction="0")
    assert _maintenance({"FORWARD": 1000}) > _maintenance({"FORWARD": 1000}, floor_fraction="0")
