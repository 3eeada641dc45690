"""A market and parameters under which every methodology can be followed by hand: prices and rates are round, and so are the ranges."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

from crossmargin.domain.account import AccountMode
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Bill, Payoff
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.methodology import Methodology
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.revaluation import RevaluedMarket, revalue_market
from tests.builders import a_haircut_row, a_portfolio, an_instrument, charges_document, fx_forward, methodologies_document
from tests.unit.engine.revaluation.markets import (
    ASSETS,
    GROUPS,
    a_delivery_future,
    a_perpetual,
    a_snapshot,
    an_option,
    parameters,
    random_scenarios,
)

SCHEDULE_RATES = {
    "CRYPTO": [{"up_to_years": None, "rate_fraction": "0.15"}],
    "STABLECOIN": [{"up_to_years": None, "rate_fraction": "0.15"}],
    "FX": [{"up_to_years": None, "rate_fraction": "0.06"}],
    "COMMODITY": [{"up_to_years": None, "rate_fraction": "0.15"}],
    "CREDIT": [{"up_to_years": None, "rate_fraction": "0.1"}],
    "FIXED_INCOME": [
        {"up_to_years": "2", "rate_fraction": "0.01"},
        {"up_to_years": "5", "rate_fraction": "0.02"},
        {"up_to_years": None, "rate_fraction": "0.04"},
    ],
}
INVERSE = a_perpetual("INVERSE", settlement="BTC", payoff=Payoff.INVERSE, multiplier=100)
BILLS = [
    an_instrument(f"BILL-{years}", Bill(InstrumentId("USD"), date(2026 + years, 3, 2)), collateral_class="BILL", places=2)
    for years in (1, 4, 8)
]
INSTRUMENTS = [
    *ASSETS,
    a_perpetual("PERP"),
    an_option("CALL"),
    an_option("FAR-CALL", strike=200_000),
    INVERSE,
    fx_forward("FORWARD", bought="EUR", sold="USD"),
    fx_forward("FORWARD-GBP", bought="GBP", sold="USD"),
    *BILLS,
    a_delivery_future("OIL"),
]
SNAPSHOT = a_snapshot()


def methodology_parameters(
    *, span=None, tims=None, ratio=None, groups=None, charges=None, floor=None, initial_margin_multiple="1.25", **overrides
):
    """Parameters with some values of the methodologies changed, as `methodologies_document` takes them."""
    schedule_floor = {"rates": SCHEDULE_RATES} | (floor or {})
    return parameters(
        initial_margin_multiple=initial_margin_multiple,
        charges=charges_document(GROUPS, schedule_floor=schedule_floor, **(charges or {})),
        methodologies=methodologies_document(GROUPS, span=span, tims=tims, ratio=ratio, groups=groups),
        haircut_schedule=[
            a_haircut_row("USD"),
            a_haircut_row("BTC", residual="0.02", flat="0.2"),
            a_haircut_row("ETH", residual="0.03", flat="0.25"),
            a_haircut_row("BILL", residual="0.0025", flat="0.02"),
        ],
        **overrides,
    )


def a_market(parameters=None, snapshot=SNAPSHOT) -> RevaluedMarket:
    """Everything above in a few random scenarios; the grids move it by the parameters."""
    return revalue_market(INSTRUMENTS, snapshot, random_scenarios(snapshot, 40, 7), parameters or PARAMETERS)


PARAMETERS = methodology_parameters()
MARKET = a_market()


def margin(methodology, holdings, *, market=None, parameters=None, policies=None, mode=AccountMode.CROSS) -> MarginResult:
    """The margin of a book by one methodology."""
    portfolio = replace(a_portfolio(holdings, policies=policies, mode=mode), methodology=methodology)
    chosen = parameters or PARAMETERS
    return compute(portfolio, market or (MARKET if parameters is None else a_market(chosen)), chosen)


def maintenance(methodology, holdings, **how) -> Decimal:
    """The maintenance margin of a book by one methodology."""
    return margin(methodology, holdings, **how).requirement.maintenance_margin


GRIDS = (Methodology.SPAN_GRID, Methodology.TIMS_GRID)
OTHERS = tuple(methodology for methodology in Methodology if methodology is not Methodology.EXPECTED_SHORTFALL)
