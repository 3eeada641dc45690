"""Scenarios by name and made up."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.domain.stress import AdHocScenario, StressKind, StressShock
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.stress_library import ad_hoc_scenarios, library, named_scenarios
from tests.unit.usecases.house import a_history

NAMES = ("spot:BTC", "spot:ETH", "spot:AVAX", "vol:BTC:1M", "vol:BTC:6M", "zero:USD:1Y", "zero:USD:10Y", "fx:EUR", "fx:JPY", "basis:BTC:3M")
PARAMETERS = standard_parameters()
SCENARIOS = build_scenario_set(a_history(*NAMES), [FactorId.parse(name) for name in NAMES], PARAMETERS)


def shocked(*shocks: StressShock, both_directions: bool = False) -> list[dict[str, float]]:
    found = ad_hoc_scenarios([AdHocScenario("mine", shocks, both_directions)], SCENARIOS, PARAMETERS)
    return [dict(zip(map(str, SCENARIOS.factors), one.move.tolist(), strict=True)) for one in found]


def of_factor(name: str, size: str) -> StressShock:
    return StressShock(Decimal(size), factor=FactorId.parse(name))


def test_the_library_holds_what_a_regulator_asks_for_with_both_directions_of_what_never_happened():
    named = {one.name: one for one in library(SCENARIOS, PARAMETERS)}
    for start in (
        "Covid, 2020-03-11",
        "Crypto sell-off, 2021-05-19",
        "Terra, 2022-05",
        "FTX, 2022-11",
        "Stablecoin depeg, 2023-03-11",
        "Franc floor ends, 2015-01",
        "Gilts, 2022-09",
        "Regional banks, 2023-03",
        "Crypto liquidations, 2025-10-10 (intraday",
    ):
        assert any(name.startswith(start) for name in named), start
    for name in ("All crypto falls as one by 40%", "All curves +100 bp", "All volatilities doubled", "XRP -50% with RLUSD -12%"):
        assert {name, f"{name} reversed"} <= named.keys()
        assert named[f"{name} reversed"].event is named[name].event
    assert all(one.source for one in named.values())


def test_a_name_gives_the_move_that_margins_rest_on_and_no_name_gives_all():
    every = named_scenarios((), SCENARIOS, PARAMETERS)
    assert [one.name for one in every] == list(SCENARIOS.names[SCENARIOS.ordinary_count :])
    (one,) = named_scenarios(("All crypto falls as one by 40%",) * 2, SCENARIOS, PARAMETERS)
    row = SCENARIOS.names.index(one.name)
    assert (one.move == SCENARIOS.shocks[row]).all()
    assert one.kind is StressKind.EVENT


def test_an_unknown_name_is_refused_by_name():
    with pytest.raises(DomainError, match="'Doomsday' is not in the library of risk parameters standard-1") as refused:
        named_scenarios(("Doomsday",), SCENARIOS, PARAMETERS)
    assert refused.value.reason is Reason.UNKNOWN_STRESS_SCENARIO


def test_a_factor_moves_alone_on_its_curve_and_a_volatility_answers_to_its_price():
    (moves,) = shocked(of_factor("spot:BTC", "-0.3"), of_factor("zero:USD:1Y", "0.01"))
    assert moves["spot:BTC"] == pytest.approx(np.log(0.7))
    assert moves["vol:BTC:1M"] == moves["vol:BTC:6M"] == pytest.approx(float(PARAMETERS.stress_vol_response) * -np.log(0.7))
    assert (moves["zero:USD:1Y"], moves["zero:USD:10Y"]) == (0.01, 0.0)
    assert moves["spot:ETH"] == moves["fx:EUR"] == 0.0


def test_a_curve_a_group_and_a_class_move_all_that_is_in_them():
    (moves,) = shocked(StressShock(Decimal("0.02"), curve="zero:USD"))
    assert moves["zero:USD:1Y"] == moves["zero:USD:10Y"] == 0.02
    (moves,) = shocked(StressShock(Decimal("-0.5"), asset_class="CRYPTO"))
    assert moves["spot:BTC"] == moves["spot:ETH"] == moves["spot:AVAX"] == pytest.approx(np.log(0.5))
    assert moves["basis:BTC:3M"] == 0.0
    (moves,) = shocked(StressShock(Decimal("0.1"), group_id=OffsetGroupId("BTC"), kind=FactorKind.BASIS))
    assert (moves["basis:BTC:3M"], moves["spot:BTC"]) == (0.1, 0.0)


def test_the_most_particular_shock_counts_whatever_the_order():
    shocks = [
        of_factor("spot:ETH", "-0.1"),
        StressShock(Decimal("-0.2"), group_id=OffsetGroupId("BTC")),
        StressShock(Decimal("-0.5"), asset_class="CRYPTO"),
    ]
    for order in (shocks, shocks[::-1]):
        (moves,) = shocked(*order)
        assert [round(float(np.expm1(moves[f"spot:{coin}"])), 12) for coin in ("ETH", "BTC", "AVAX")] == [-0.1, -0.2, -0.5]


def test_the_opposite_negates_what_is_named_and_a_volatility_rises_either_way():
    there, back = shocked(of_factor("spot:BTC", "-0.3"), both_directions=True)
    assert back["spot:BTC"] == -there["spot:BTC"] > 0
    assert back["vol:BTC:1M"] == there["vol:BTC:1M"] > 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: shocked(of_factor("spot:XRP", "-0.3")), "shock of spot:XRP in scenario mine reaches no risk factor"),
        (lambda: shocked(StressShock(Decimal("0.01"), asset_class="FIXED_INCOME")), "shock of FIXED_INCOME in scenario mine reaches no"),
        (lambda: of_factor("spot:BTC", "-1"), "shock of spot:BTC was -1; expected a simple return above -1"),
        (lambda: StressShock(Decimal(-2), curve="vol:BTC"), "expected a simple return above -1"),
        (lambda: StressShock(Decimal(1)), "expected exactly one of them"),
        (lambda: StressShock(Decimal("NaN"), asset_class="CRYPTO"), "expected a finite number"),
        (lambda: AdHocScenario("empty", ()), "shocks of scenario empty was none"),
    ],
)
def test_a_shock_that_says_nothing_is_refused(make, words):
    with pytest.raises(DomainError, match=words) as refused:
        make()
    assert refused.value.reason is Reason.INVALID_ARGUMENT


def test_a_difference_may_be_as_low_as_it_likes():
    assert StressShock(Decimal(-40), curve="price:WTI").size == -40
