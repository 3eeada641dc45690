"""Every parameter of liquidations changes a plan, or what becomes of one, at both ends of its range."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.liquidation import LiquidationTerms
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION, LiquidationParameters
from crossmargin.engine.liquidation import plan_liquidation
from tests.builders import risk_parameters
from tests.parameter_leaves import leaves
from tests.unit.engine.stressed_books import MARKET, RULES, a_book

LARGE = {"USD": 40_000_000, "PERP-LINEAR-USD": (10_000, "601200000")}
IN_COINS = {"USD": -11_500, "PERP-INVERSE": (600, "-1.2519")}
ENDS = {
    "target_utilization": (LARGE, "0.01", "0.7", "0.75"),
    "impact_coefficient": (LARGE, "0", "1", "100"),
    "piece_volume_fraction": (LARGE, "0.0001", "1"),
    "most_pieces": (LARGE, 1, 3),
    "smallest_sale": (IN_COINS, "0.01", "1000000"),
    "limit_tolerance_fraction": (LARGE, "0", "0.001", "0.9"),
}
ELSEWHERE = {
    "end_tolerance": "../usecases/test_approve_liquidation.py",
    "lifetime_minutes": "../usecases/test_approve_liquidation.py",
    "report_minutes": "../usecases/test_review_liquidations.py",
}


def test_every_parameter_has_its_case():
    assert leaves(LiquidationParameters) == set(ENDS) | set(ELSEWHERE)


@pytest.mark.parametrize("name", ENDS)
def test_each_parameter_changes_the_plan_at_both_ends(name):
    held, *values = ENDS[name]
    changed = [replace(RULES.liquidation, **{name: value if isinstance(value, int) else Decimal(value)}) for value in values]
    plans = [plan_liquidation(a_book(held), MARKET, RULES, LiquidationTerms(each)) for each in changed]
    assert all(plan.trades for plan in plans)
    assert len({plan.pieces for plan in plans}) == len(values)


def test_the_limit_of_an_order_is_worse_by_the_tolerance_and_its_cost_is_not():
    plain, wide = (
        plan_liquidation(a_book(LARGE), MARKET, RULES, LiquidationTerms(replace(RULES.liquidation, limit_tolerance_fraction=each)))
        for each in (Decimal(0), Decimal("0.01"))
    )
    mark = Decimal(60_000)
    assert plain.trades
    for before, after in zip(plain.trades, wide.trades, strict=True):
        assert before.limit_price - after.limit_price == pytest.approx(mark / 100, rel=Decimal("0.01"))
        assert (before.cost, before.expected_price) == (after.cost, after.expected_price)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("target_utilization", value) for value in ("0", "1", "0.76")),
        *(("impact_coefficient", value) for value in ("-0.1", "101")),
        *(("piece_volume_fraction", value) for value in ("0", "1.1")),
        *(("most_pieces", value) for value in (0, 201)),
        *(("smallest_sale", value) for value in ("0", "1000001")),
        *(("limit_tolerance_fraction", value) for value in ("-0.1", "1")),
        *(("end_tolerance", value) for value in ("-0.1", "1")),
        *(("lifetime_minutes", value) for value in (0, 10_081)),
        *(("report_minutes", value) for value in (0, 241)),
        ("unknown", "1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(name, wrong):
    with pytest.raises(DomainError) as refused:
        risk_parameters(liquidation=document() | {name: wrong})
    assert (refused.value.reason, name in refused.value.message) == (Reason.INVALID_RISK_PARAMETERS, True)


def test_what_is_left_out_is_refused_by_name():
    for name in document():
        with pytest.raises(DomainError, match=name):
            risk_parameters(liquidation={key: value for key, value in document().items() if key != name})


def test_a_set_from_before_there_were_any_has_the_shipped_figures_and_a_target_that_its_monitor_takes():
    assert risk_parameters().liquidation == FIRST_LIQUIDATION == standard_parameters().liquidation
    monitor = {"hysteresis": "0.02", "liquidation_end": "0.6", "immediate_liquidation": "1.25", "call_increase_fraction": "0.1"}
    assert risk_parameters(monitor=monitor).liquidation.target_utilization == Decimal("0.6")


def test_minutes_are_times():
    assert (FIRST_LIQUIDATION.lifetime, FIRST_LIQUIDATION.report_within) == (timedelta(hours=4), timedelta(minutes=30))


def document():
    values = {each.name: getattr(FIRST_LIQUIDATION, each.name) for each in fields(FIRST_LIQUIDATION)}
    return {name: value if isinstance(value, int) else str(value) for name, value in values.items()}
