"""The worked example of the methodology: its calculator runs, the engine agrees, and the page names the shipped numbers."""

from __future__ import annotations

import doctest
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.domain.instrument import Cash, CryptoAsset, Instrument
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.scenario_diagnostics import OLDEST_DAYS, REPLICATE_COUNT
from crossmargin.engine.scenarios.scenario_set import ScenarioSet

PAGE = Path(__file__).resolve().parents[3] / "service" / "docs" / "methodology.md"
LEVELS = {"spot:BTC": "50000", "spot:ETH": "3000", "fx:EUR": "1.10"}
PERCENT_MOVES = {
    "spot:BTC": [-8, -4, 2, 5, -1, 3, -30, 20],
    "spot:ETH": [-10, -7, 3, 9, 6, -2, -35, 40],
    "fx:EUR": [-1, 1, -2, 0, 0.5, -0.5, -2, 1],
}
INSTRUMENTS = [
    Instrument(InstrumentId("BTC"), CryptoAsset(), 8, "BTC"),
    Instrument(InstrumentId("ETH"), CryptoAsset(), 8, "ETH"),
    Instrument(InstrumentId("EUR"), Cash("EUR"), 2, "G10_CASH"),
    Instrument(InstrumentId("USD"), Cash("USD"), 2, "USD"),
]
QUANTITIES = {"BTC": 10, "ETH": -100, "EUR": 400_000, "USD": -400_000}


@pytest.fixture(scope="module")
def result() -> MarginResult:
    parameters = replace(standard_parameters(), tail_fraction=Decimal("0.2"))
    factors = tuple(sorted(FactorId.parse(name) for name in LEVELS))
    scenarios = ScenarioSet(
        factors=factors,
        shocks=np.log1p(np.array([PERCENT_MOVES[str(factor)] for factor in factors]).T / 100),
        weights=np.full(8, 0.125),
        names=tuple(f"scenario {number}" for number in range(1, 9)),
        ordinary_count=6,
        proxied={},
        unavailable={},
    )
    levels = {FactorId.parse(name): Decimal(level) for name, level in LEVELS.items()}
    market = revalue_market(INSTRUMENTS, MarketSnapshot(datetime(2026, 1, 5, tzinfo=UTC), levels, {}), scenarios, parameters)
    holdings = tuple(Holding(InstrumentId(name), Decimal(quantity), Decimal(0)) for name, quantity in sorted(QUANTITIES.items()))
    account = AccountRef(ClientId("example"), AccountId("main"))
    policies = {holding.instrument_id: CollateralPolicy.RISKED for holding in holdings}
    return compute_margin(Portfolio(account, AccountMode.CROSS, 1, holdings, policies), market, parameters)


def test_the_calculator_of_the_page_runs_and_prints_what_the_page_says():
    outcome = doctest.testfile(str(PAGE), module_relative=False)
    assert outcome.attempted >= 15
    assert outcome.failed == 0


def test_the_engine_agrees_with_the_calculator(result):
    requirement = result.requirement
    assert requirement.gross == Decimal("202675.00")
    assert requirement.netting_inside_groups == 0
    assert requirement.netting_inside_classes == Decimal("125700.00")
    assert requirement.netting_across_classes == Decimal("2062.50")
    assert requirement.market_requirement == Decimal("74912.50")
    assert [(charge.name, charge.amount) for charge in requirement.charges] == [("liquidity", Decimal("394.00"))]
    assert requirement.maintenance_margin == Decimal("75306.50")
    assert requirement.initial_margin == Decimal("94133.13")
    assert result.equity.equity == Decimal("230000.00")
    assert result.utilization == Decimal("0.327420")
    assert result.band is Band.HEALTHY
    assert (result.excess_to_initial, result.excess_to_maintenance) == (Decimal("135866.87"), Decimal("154693.50"))
    contributions = {line.instrument_id: line.amount for line in result.contributions}
    assert contributions == {"BTC": Decimal(98450), "ETH": Decimal(-29925), "EUR": Decimal("6781.50"), "USD": Decimal(0)}


def test_the_page_states_the_figures_of_the_engine(result):
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    requirement = result.requirement
    figures = [
        requirement.gross,
        requirement.netting_inside_classes,
        requirement.netting_across_classes,
        requirement.market_requirement,
        requirement.maintenance_margin,
        requirement.initial_margin,
        *(charge.amount for charge in requirement.charges),
        result.equity.equity,
        result.excess_to_initial,
        result.excess_to_maintenance,
        *(line.amount for line in result.contributions if line.amount),
    ]
    assert [figure for figure in figures if f"{figure:,.2f}" not in page] == []
    assert f"utilization {result.utilization}" in page


def test_the_page_states_the_shipped_parameters():
    page, parameters = " ".join(PAGE.read_text(encoding="utf-8").split()), standard_parameters()
    hypothetical = sum(event.both_directions for event in parameters.stress_events)
    scenario_count = len(parameters.stress_events) + hypothetical
    window_days = sum(len(window.days) for window in parameters.crisis_windows)
    stated = [
        f"{len(parameters.stress_events)} events make {scenario_count} scenarios",
        f"{len(parameters.stress_events) - hypothetical} are things that happened",
        f"{hypothetical} are hypothetical",
        f"{window_days} days of {len(parameters.crisis_windows)} windows",
        f"0.25 / {scenario_count + window_days} = {0.25 / (scenario_count + window_days):.2%}",
        f"less than {parameters.isolation_benefit_fraction:.0%}",
        f"{REPLICATE_COUNT} histories",
        f"the {OLDEST_DAYS} oldest",
        f"`alpha` = {float(parameters.tail_fraction):.1%}",
        f"rho1 = {parameters.offset_within_class}, rho2 = {parameters.offset_across_classes}",
        f"The last {parameters.observation_count} days",
        f"at least {parameters.minimum_observation_count} ",
        f"v_t = {parameters.volatility_decay} v_{{t-1}}",
        f"[{parameters.scaling_floor}, {parameters.scaling_cap}]",
        f"at most {parameters.maximum_carry_days} days",
        f"share a weight of {parameters.ordinary_weight} equally",
        f"IM = {parameters.initial_margin_multiple} MM",
        f"{parameters.stress_vol_response} x the absolute log move",
        f"8% x sqrt(h / {parameters.fx_mismatch_days} days)",
        f"| watch | {parameters.bands.watch}",
        f"| at risk | {parameters.bands.at_risk}",
        f"| margin call | {parameters.bands.margin_call}",
        f"| liquidation | {parameters.bands.liquidation}",
    ]
    assert [sentence for sentence in stated if sentence not in page] == []


def test_the_page_states_the_parameters_of_the_charges():
    page, charges = " ".join(PAGE.read_text(encoding="utf-8").split()), standard_parameters().charges
    (issuer,) = charges.issuers
    stated = [
        f"`k` = {charges.liquidity.spread_multiple}, `h0` = {charges.liquidity.base_days} days",
        f"`p` = {charges.liquidity.participation_fraction:.0%}",
        f"{charges.basis.perpetual_fraction:.0%} x matched + {charges.basis.dated_fraction - charges.basis.perpetual_fraction:.1%} x dated",
        "{:.0%} to 100m, {:.0%} above".format(*(tier.charge_fraction for tier in charges.basis.stablecoin_tiers)),
        f"{charges.short_option_fraction:.0%} of the notional of each short option",
        f"{charges.depeg.haircut_slope} x ({charges.depeg.mild_price} - price)",
        f"S = min(P, S before + {charges.depeg.slow_rise_per_day} t)",
        f"below S = {charges.depeg.ineligible_price}, or depegged for more than {charges.depeg.longest_hours} hours",
        f"with `P` below {charges.depeg.mild_price} until `P` has been back at {charges.depeg.mild_price} for",
        f"for {charges.depeg.recovery_hours} hours without a break",
        f"The fraction is {charges.schedule_floor.floor_fraction}:",
        f"`{issuer.issuer_id}` is XRP -50% with RLUSD -12% and its paper +2,000 bp",
    ]
    assert [sentence for sentence in stated if sentence not in page] == []
    moves = {"spot:XRP": Decimal("-0.50"), "spot:RLUSD": Decimal("-0.12"), "spread:RIPPLE:1Y": Decimal("0.20")}
    assert {str(factor): move for factor, move in issuer.moves.items()} == moves


def test_the_page_states_what_each_group_costs():
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text(encoding="utf-8").splitlines()]
    stated = {name: row[1:] for row in cells if len(row) == 4 and _is_amount(row[2]) for name in row[0].split(", ")}
    for row in standard_parameters().charges.groups:
        spread, volume, minimum = stated.pop(row.group_id)
        assert Decimal(spread) == row.spread_fraction * 10_000, row.group_id
        assert _dollars(volume) == row.average_daily_volume, row.group_id
        assert Decimal(minimum.rstrip("%")) == row.minimum_rate_fraction * 100, row.group_id
    assert stated == {}


def _is_amount(cell):
    return cell.endswith(("bn", "m")) and cell[0].isdigit()


def _dollars(cell):
    return Decimal(cell.removesuffix("bn")) * 10**9 if cell.endswith("bn") else Decimal(cell.removesuffix("m")) * 10**6


def test_the_page_names_every_row_of_the_haircut_schedule():
    page = PAGE.read_text(encoding="utf-8")
    assert [row for row in standard_parameters().haircut_schedule if row not in page] == []
