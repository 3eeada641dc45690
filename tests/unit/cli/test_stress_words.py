"""Moves of the market as people write them."""

from __future__ import annotations

import pytest

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.stress_words import scenario_from_words, shock_from_words


@pytest.mark.parametrize(
    ("words", "shock"),
    [
        ("spot:BTC=-30%", pb.StressShock(factor="spot:BTC", size="-0.3")),
        ("fx:EUR=0.05", pb.StressShock(factor="fx:EUR", size="0.05")),
        ("zero:USD=+100bp", pb.StressShock(curve="zero:USD", size="0.01")),
        ("zero:USD:2Y=-50bp", pb.StressShock(factor="zero:USD:2Y", size="-0.005")),
        ("price:WTI=-40", pb.StressShock(curve="price:WTI", size="-40")),
        ("group:BTC=-25%", pb.StressShock(group_id="BTC", size="-0.25")),
        ("class:CRYPTO:vol=100%", pb.StressShock(asset_class="CRYPTO", factor_kind="vol", size="1")),
        ("spot:BTC=1000%", pb.StressShock(factor="spot:BTC", size="10")),
    ],
)
def test_a_shock_is_read_with_its_unit(words, shock):
    assert shock_from_words(words) == shock


@pytest.mark.parametrize(
    "words", ["spot:BTC", "spot:BTC=", "spot:BTC=much", "BTC=-30%", "=-30%", "spot:BTC=NaN", "spot:BTC=-30%%", "spot:=1%"]
)
def test_what_cannot_be_read_is_shown_with_what_can(words):
    with pytest.raises(MisuseError, match="expected WHAT=SIZE such as spot:BTC=-30%"):
        shock_from_words(words)


def test_several_shocks_make_one_scenario():
    scenario = scenario_from_words("mine", ["spot:BTC=-30%", "spot:ETH=-40%"], both_directions=True)
    assert (scenario.name, len(scenario.shocks), scenario.both_directions) == ("mine", 2, True)
