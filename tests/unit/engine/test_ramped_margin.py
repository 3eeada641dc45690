"""While one parameter set takes over from another, margin moves in a straight line and still adds up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.margin import Band, Charge, RampStamp
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.ramped_margin import ramped_margin
from tests.builders import Revalued, a_haircut_row, a_portfolio, a_revalued_market, coin, perpetual, risk_parameters

D = Decimal
MARKET = a_revalued_market(
    Revalued(coin("BTC"), 60_000.0, {"BTC": [-9_000.0, 500.0, 3_000.0, -1_234.567]}),
    Revalued(coin("ETH", collateral_class="ETH"), 3_000.0, {"ETH": [-700.0, 333.333, 100.0, -1.0]}),
    Revalued(perpetual(), 60_000.0, {"BTC": [-9_100.0, 480.0, 3_100.0, -1_200.0]}),
    groups={"BTC": "CRYPTO", "ETH": "CRYPTO"},
)
BOOK = a_portfolio({"USD": "100000", "BTC": "2.5", "ETH": -40, "BTC-PERP": ("1", "59000")})
OLD = risk_parameters(set_id="old", tail_fraction="0.3")
NEW = risk_parameters(
    set_id="new",
    tail_fraction="0.3",
    offset_within_class="0.1",
    offset_across_classes="0",
    initial_margin_multiple="1.5",
    bands={"watch": "0.1", "at_risk": "0.2", "margin_call": "0.3", "liquidation": "0.4"},
    haircut_schedule=[a_haircut_row("USD"), a_haircut_row("BTC", residual="0.2"), a_haircut_row("ETH", residual="0.3")],
)
BEFORE, AFTER = compute_margin(BOOK, MARKET, OLD), compute_margin(BOOK, MARKET, NEW)


def ramped(fraction, before=BEFORE, after=AFTER):
    return ramped_margin(before, after, D(fraction), lines=(OLD.bands, NEW.bands))


def figures(result):
    return result.equity, result.requirement, result.utilization, result.band


def test_the_two_sets_differ_in_everything_that_is_ramped():
    assert BEFORE.equity.equity != AFTER.equity.equity
    assert BEFORE.requirement.maintenance_margin != AFTER.requirement.maintenance_margin
    assert BEFORE.band is not AFTER.band


def test_a_ramp_begins_at_the_earlier_set_and_ends_at_its_successor():
    assert figures(ramped("0")) == figures(BEFORE)
    assert ramped("0").contributions == BEFORE.contributions
    assert figures(ramped("1")) == figures(AFTER)
    assert ramped("1").contributions == AFTER.contributions


@pytest.mark.parametrize("fraction", ["0.1", "0.333333333333", "0.5", "0.999999999999"])
def test_every_line_is_on_the_straight_way_and_rounded_against_the_client(fraction):
    result = ramped(fraction)

    def exact(old, new):
        return old + (new - old) * D(fraction)

    for name, is_requirement in {
        "market_requirement": True,
        "initial_margin": True,
        "netting_inside_groups": False,
        "netting_inside_classes": False,
        "netting_across_classes": False,
    }.items():
        line = getattr(result.requirement, name) - exact(getattr(BEFORE.requirement, name), getattr(AFTER.requirement, name))
        assert 0 <= (line if is_requirement else -line) < D("0.01")
    equity = result.equity.equity - exact(BEFORE.equity.equity, AFTER.equity.equity)
    assert -D("0.01") * (len(result.equity.lines) + 1) < equity <= 0


@pytest.mark.parametrize("fraction", ["0", "0.1", "0.7", "1"])
def test_sums_and_contributions_add_up_along_the_ramp(fraction):
    result = ramped(fraction)
    bridge, equity = result.requirement, result.equity
    benefits = bridge.netting_inside_groups + bridge.netting_inside_classes + bridge.netting_across_classes
    assert bridge.gross - benefits == bridge.market_requirement
    assert bridge.maintenance_margin == bridge.market_requirement + sum(charge.amount for charge in bridge.charges)
    assert sum(one.amount for one in result.contributions) == bridge.maintenance_margin
    assert equity.equity == equity.collateral + equity.liabilities + equity.contract_value
    for line in equity.lines:
        assert line.value_in_equity == line.market_value - line.haircut - line.over_limit


def test_charges_of_either_set_come_and_go_with_it():
    with_charge = replace(BEFORE.requirement, charges=(Charge("liquidity", D("100.01")),))
    result = ramped("0.25", before=replace(BEFORE, requirement=with_charge))
    assert result.requirement.charges == (Charge("liquidity", D("75.01")),)


def test_charges_of_both_sets_are_taken_by_name():
    old = replace(BEFORE.requirement, charges=(Charge("liquidity", D("100")), Charge("basis", D("8"))))
    new = replace(AFTER.requirement, charges=(Charge("basis", D("4")), Charge("liquidity", D("200"))))
    result = ramped("0.5", before=replace(BEFORE, requirement=old), after=replace(AFTER, requirement=new))
    assert result.requirement.charges == (Charge("basis", D("6")), Charge("liquidity", D("150")))


def test_what_only_new_risk_has_to_cover_comes_and_goes_too_and_stays_out_of_the_maintenance_margin():
    with_depeg = replace(AFTER, requirement=replace(AFTER.requirement, initial_only=(Charge("depeg", D("40.02")),)))
    result = ramped("0.25", after=with_depeg)
    assert result.requirement.initial_only == (Charge("depeg", D("10.01")),)
    assert result.requirement.maintenance_margin == ramped("0.25").requirement.maintenance_margin


def test_a_charge_of_nothing_has_no_line():
    charges = {"charges": (Charge("liquidity", D(5)),), "initial_only": (Charge("depeg", D(5)),)}
    result = ramped("0", after=replace(AFTER, requirement=replace(AFTER.requirement, **charges)))
    assert (result.requirement.charges, result.requirement.initial_only) == ((), ())


def test_groups_of_either_set_come_and_go_with_it():
    result = ramped("0.5", after=replace(AFTER, groups=AFTER.groups[:1]))
    assert [group.group_id for group in result.groups] == ["BTC", "ETH"]
    eth = next(group for group in BEFORE.groups if group.group_id == "ETH")
    assert result.groups[1].requirement - eth.requirement / 2 in {D(0), D("0.005")}


def test_the_band_is_read_off_lines_between_those_of_both_sets():
    bands = [ramped(D(step) / 100).band for step in range(101)]
    order = list(Band)
    assert (bands[0], bands[-1]) == (BEFORE.band, AFTER.band)
    assert bands == sorted(bands, key=order.index)


def test_the_stamp_names_both_sets():
    stamp = ramped("0.5").stamp
    assert stamp.parameter_set_id == "new"
    assert stamp.ramp == RampStamp("old", OLD.content_hash, BEFORE.stamp.scenario_set_hash, D("0.5"))
    assert replace(stamp, ramp=None) == AFTER.stamp


@pytest.mark.parametrize(("over_limit", "shown"), [(("10", "20.01"), "15.01"), (("0", "0.01"), "0.01"), (("0", "0"), "0")])
def test_what_is_over_a_limit_is_rounded_up_and_the_haircut_takes_up_the_cent(over_limit, shown):
    def with_line(result, over):
        (line, *others) = result.equity.lines
        changed = replace(line, over_limit=D(over), haircut=D("1.00"), market_value=line.value_in_equity + D(over) + 1)
        return replace(result, equity=replace(result.equity, lines=(changed, *others)))

    line = ramped("0.5", before=with_line(BEFORE, over_limit[0]), after=with_line(AFTER, over_limit[1])).equity.lines[0]
    assert line.over_limit == D(shown)
    assert line.haircut == line.market_value - line.value_in_equity - line.over_limit
