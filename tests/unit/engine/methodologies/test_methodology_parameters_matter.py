"""Every parameter of the methodologies moves a margin at both ends of its range; one that moves nothing has no place in the set."""

from dataclasses import fields
from typing import NamedTuple

import pytest

from crossmargin.domain.methodology import Methodology
from crossmargin.domain.methodology_parameters import (
    ByUnderlying,
    MethodologyParameters,
    RateBand,
    RatioRates,
    ScanRange,
    SpanParameters,
    TimsParameters,
    ValuationRange,
)
from tests.methodology_books import margin, methodology_parameters

SPAN, TIMS, RATIO = Methodology.SPAN_GRID, Methodology.TIMS_GRID, Methodology.RATIO
COIN, BILL, OPTION, CONTRACT = {"BTC": 1}, {"BILL-4": 1000}, {"CALL": 1}, {"PERP": (1, 60_000)}
OIL = {"OIL": (1, 3000)}


class Ends(NamedTuple):
    """A book whose margin differs between all values of one parameter, the lowest and the highest among them."""

    methodology: Methodology
    holdings: dict[str, object]
    part: str
    values: tuple[str, ...]


ENDS = {
    "span.price_fraction": Ends(SPAN, COIN, "span", ("0.000001", "0.1", "0.499")),
    "span.volatility_fraction": Ends(SPAN, OPTION, "span", ("0", "0.25", "0.999")),
    "span.rate_move": Ends(SPAN, BILL, "span", ("0.000001", "0.01", "0.999")),
    "span.price_move": Ends(SPAN, OIL, "span", ("0.0001", "5", "200")),
    "span.extreme_multiple": Ends(SPAN, COIN, "span", ("3", "5", "9.99")),
    "span.cover_fraction": Ends(SPAN, COIN, "span", ("0", "0.6", "1")),
    "tims.lowest_fraction": Ends(TIMS, COIN, "tims", ("-0.000001", "-0.15", "-0.999")),
    "tims.highest_fraction": Ends(TIMS, {"BTC": -1}, "tims", ("0.000001", "0.15", "5")),
    "tims.rate_move": Ends(TIMS, BILL, "tims", ("0.000001", "0.01", "0.999")),
    "tims.price_move": Ends(TIMS, OIL, "tims", ("1", "5", "200")),
    "tims.contract_minimum": Ends(TIMS, CONTRACT, "tims", ("0", "10000", "50000")),
    "ratio.initial_fraction": Ends(RATIO, COIN, "ratio", ("0.0625", "0.5", "3")),
    "ratio.maintenance_fraction": Ends(RATIO, COIN, "ratio", ("0", "0.05", "0.1")),
}


def test_every_parameter_of_the_schema_has_its_case():
    rows = {
        f"{part}.{field.name}"
        for part, kind in (("span", ScanRange), ("tims", ValuationRange), ("ratio", RateBand))
        for field in fields(kind)
    }
    grids = {f"{part}.{field.name}" for part, kind in (("span", SpanParameters), ("tims", TimsParameters)) for field in fields(kind)}
    # Rows by class and group, and bands by maturity, have cases of their own below.
    assert rows | grids == set(ENDS) | {"ratio.up_to_years", "span.scan_ranges", "tims.valuation_ranges"}
    assert {field.name for field in fields(MethodologyParameters)} == {"span_grid", "tims_grid", "ratio"}
    assert {field.name for kind in (ByUnderlying, RatioRates) for field in fields(kind)} == {"classes", "groups", "bands"}


@pytest.mark.parametrize("name", sorted(ENDS))
def test_a_parameter_moves_the_margin_at_both_ends(name):
    case = ENDS[name]
    results = [
        margin(case.methodology, case.holdings, parameters=methodology_parameters(**{case.part: {name.partition(".")[2]: value}}))
        for value in case.values
    ]
    figures = [(result.requirement.maintenance_margin, result.requirement.initial_margin) for result in results]
    assert len(set(figures)) == len(figures), figures


@pytest.mark.parametrize(("part", "methodology", "row"), [
    ("span", SPAN, {"price_fraction": "0.2", "volatility_fraction": "0.1"}),
    ("tims", TIMS, {"lowest_fraction": "-0.3", "highest_fraction": "0.1"}),
    ("ratio", RATIO, {"bands": [{"up_to_years": None, "initial_fraction": "1", "maintenance_fraction": "0.5"}]}),
])  # fmt: skip
def test_the_row_of_a_group_moves_that_group_alone(part, methodology, row):
    chosen = methodology_parameters(groups={part: {"BTC": row}})
    btc, eth = ({"BTC": 1}, {"ETH": 1})
    assert margin(methodology, btc, parameters=chosen).requirement != margin(methodology, btc).requirement
    assert margin(methodology, eth, parameters=chosen).requirement == margin(methodology, eth).requirement


@pytest.mark.parametrize("up_to_years", ["0.5", "1.5", "6"])
def test_the_end_of_a_maturity_band_moves_what_lies_between(up_to_years):
    first = {"up_to_years": up_to_years, "initial_fraction": "0.02", "maintenance_fraction": "0.01"}
    rest = {"up_to_years": None, "initial_fraction": "0.06", "maintenance_fraction": "0.03"}
    chosen = methodology_parameters(groups={"ratio": {"USD-RATES": {"bands": [first, rest]}}})
    within = sum(margin(RATIO, {f"BILL-{years}": 1000}, parameters=chosen).requirement.maintenance_margin == 10 for years in (1, 4, 8))
    assert within == {"0.5": 0, "1.5": 1, "6": 2}[up_to_years]
