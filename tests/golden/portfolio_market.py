"""The market that golden portfolios are margined in: every kind of instrument, and twenty-four joint moves one can name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    Bill,
    BusinessDayRule,
    Cash,
    CashFlow,
    CashFlows,
    DatedFuture,
    DayCount,
    FixedRateBond,
    FloatingRateNote,
    Instrument,
    InterestRateSwap,
    OptionRight,
    Payoff,
    Perpetual,
    PremiumStyle,
    Stablecoin,
)
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.peg import Peg
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.builders import a_haircut_row, an_instrument, charges_document, coin, risk_parameters
from tests.unit.engine.revaluation.markets import (
    AS_OF,
    a_bond_future,
    a_delivery_future,
    a_forward,
    a_group,
    an_american_option,
    an_fx_option,
    an_ndf,
    an_option,
)

USD = InstrumentId("USD")
NEAR, MID, FAR = (AS_OF + timedelta(days=days) for days in (30, 91, 182))
LEVELS: Mapping[str, str] = {
    "spot:BTC": "60000",
    "spot:ETH": "3000",
    "spot:XRP": "2",
    "spot:RLUSD": "1",
    "spot:USDC": "1",
    "spot:SPX": "5000",
    "fx:EUR": "1.1",
    "fx:JPY": "0.0068",
    "basis:BTC:1M": "0.05",
    "basis:BTC:6M": "0.08",
    "vol:BTC:1M": "0.55",
    "vol:BTC:6M": "0.65",
    "vol:ETH:1M": "0.7",
    "vol:EUR:3M": "0.08",
    "zero:USD:3M": "0.043",
    "zero:USD:2Y": "0.04",
    "zero:USD:10Y": "0.042",
    "zero:USD:30Y": "0.046",
    "zero:EUR:3M": "0.02",
    "zero:EUR:10Y": "0.028",
    "zero:JPY:1Y": "0.005",
    "spread:IG-A:1Y": "0.006",
    "spread:IG-A:10Y": "0.011",
    "spread:RIPPLE:1Y": "0.04",
    "price:WTI:1M": "68",
    "price:WTI:6M": "66",
}
MARKS: Mapping[str, str] = {"SPX-FUTURE": "5040"}
ORDINARY: Mapping[str, Mapping[str, float]] = {
    "quiet": {},
    "coins up": {"BTC": 0.06, "ETH": 0.08, "XRP": 0.05, "vol:BTC": -0.05, "EUR": 0.002, "SPX": 0.01},
    "coins down": {"BTC": -0.07, "ETH": -0.10, "XRP": -0.09, "vol:BTC": 0.12, "vol:ETH": 0.1, "SPX": -0.01},
    "coins down, rates down": {"BTC": -0.12, "ETH": -0.15, "XRP": -0.11, "vol:BTC": 0.25, "zero:USD": -0.002, "JPY": 0.01, "SPX": -0.03},
    "ether against bitcoin": {"BTC": -0.02, "ETH": 0.09, "XRP": 0.01, "vol:ETH": 0.05},
    "bitcoin against ether": {"BTC": 0.09, "ETH": -0.03, "XRP": -0.02, "vol:BTC": 0.04},
    "dollar up": {"EUR": -0.02, "JPY": -0.015, "zero:USD": 0.001, "WTI": -1.5, "vol:EUR": 0.1},
    "dollar down": {"EUR": 0.018, "JPY": 0.012, "zero:USD": -0.001, "WTI": 1.0, "BTC": 0.02},
    "rates up": {"zero:USD": 0.003, "zero:EUR": 0.002, "spread:IG-A": -0.0005, "SPX": -0.015},
    "rates down": {"zero:USD": -0.003, "zero:EUR": -0.002, "spread:IG-A": 0.001, "SPX": 0.005},
    "steeper": {"zero:USD:3M": -0.002, "zero:USD:2Y": -0.001, "zero:USD:10Y": 0.0015, "zero:USD:30Y": 0.002},
    "flatter": {"zero:USD:3M": 0.002, "zero:USD:2Y": 0.0015, "zero:USD:10Y": -0.001, "zero:USD:30Y": -0.0015},
    "carry wider": {"basis:BTC:1M": 0.05, "basis:BTC:6M": 0.02, "RLUSD": -0.001, "USDC": -0.0005},
    "oil up": {"WTI": 4.0, "price:WTI:6M": 2.5, "XRP": 0.04, "RLUSD": 0.001, "USDC": 0.001},
}
STRESS: Mapping[str, Mapping[str, float]] = {
    "coins fall as one": {"BTC": -0.45, "ETH": -0.5, "XRP": -0.55, "vol:BTC": 0.6, "vol:ETH": 0.6, "SPX": -0.08},
    "coins rise as one": {"BTC": 0.35, "ETH": 0.4, "XRP": 0.5, "vol:BTC": 0.3, "vol:ETH": 0.3},
    "depeg": {"USDC": math.log(0.879), "RLUSD": math.log(0.85), "BTC": 0.05},
    "Ripple fails": {"XRP": math.log(0.5), "RLUSD": math.log(0.88), "spread:RIPPLE": 0.1},
    "all curves +100 bp": {"zero:USD": 0.01, "zero:EUR": 0.01, "zero:JPY": 0.01},
    "all curves -100 bp": {"zero:USD": -0.01, "zero:EUR": -0.01, "zero:JPY": -0.01},
    "euro breaks": {"EUR": -0.12, "JPY": 0.06, "zero:EUR": 0.008, "vol:EUR": 0.6},
    "credit crisis": {"spread:IG-A": 0.025, "spread:RIPPLE": 0.05, "SPX": -0.2, "zero:USD": -0.006, "BTC": -0.2, "ETH": -0.25},
    "oil below zero": {"price:WTI:1M": -105.0, "price:WTI:6M": -20.0},
    "carry collapses": {"basis:BTC": -0.15, "BTC": -0.1, "vol:BTC": 0.4},
}
GROUPS = [
    a_group("BTC", "CRYPTO", ["spot:BTC", "vol:BTC", "basis:BTC"]),
    a_group("ETH", "CRYPTO", ["spot:ETH", "vol:ETH"]),
    *(a_group(name, "CRYPTO", [f"spot:{name}"]) for name in ("XRP", "RLUSD", "USDC")),
    a_group("SPX", "EQUITY_INDEX", ["spot:SPX"], clock="business"),
    a_group("EUR", "FX", ["fx:EUR", "vol:EUR"], clock="business"),
    a_group("JPY", "FX", ["fx:JPY"], clock="business"),
    *(a_group(f"{name}-RATES", "FIXED_INCOME", [f"zero:{name}"], clock="business") for name in ("USD", "EUR", "JPY")),
    *(a_group(name, "CREDIT", [f"spread:{name}"], days=5, clock="business") for name in ("IG-A", "RIPPLE")),
    a_group("WTI", "COMMODITY", ["price:WTI"], clock="business"),
]


def _bond(name: str, maturity: date, *, coupon: str = "0.04", credit: str | None = None, collateral: str | None = "TREASURY") -> Instrument:
    terms = FixedRateBond(USD, Decimal(coupon), 2, date(2026, maturity.month, maturity.day), maturity, credit)
    return an_instrument(name, terms, collateral_class=collateral, places=2)


def _future(name: str, underlying: str, expiry: datetime, multiplier: str = "1") -> Instrument:
    return an_instrument(name, DatedFuture(InstrumentId(underlying), USD, Decimal(multiplier), Payoff.LINEAR, expiry))


TEN_YEAR = _bond("UST-10Y", date(2036, 2, 15), coupon="0.0425")
INSTRUMENTS: tuple[Instrument, ...] = (
    an_instrument("USD", Cash("USD"), collateral_class="USD", places=2),
    an_instrument("EUR", Cash("EUR"), collateral_class="G10-CASH", places=2),
    an_instrument("JPY", Cash("JPY"), collateral_class="G10-CASH", places=2),
    *(coin(name, collateral_class=name) for name in ("BTC", "ETH", "XRP")),
    *(
        an_instrument(name, Stablecoin("USD", issuer), collateral_class="STABLE")
        for name, issuer in (("RLUSD", "Ripple"), ("USDC", "Circle"))
    ),
    *(
        an_instrument(f"{name}-PERP", Perpetual(InstrumentId(name), USD, Decimal(1), Payoff.LINEAR), places=4)
        for name in ("BTC", "ETH", "XRP")
    ),
    an_instrument("BTC-PERP-USDC", Perpetual(InstrumentId("BTC"), InstrumentId("USDC"), Decimal(1), Payoff.LINEAR), places=4),
    an_instrument("BTC-INVERSE", Perpetual(InstrumentId("BTC"), InstrumentId("BTC"), Decimal(100), Payoff.INVERSE), places=0),
    _future("BTC-NEAR", "BTC", NEAR),
    _future("BTC-FAR", "BTC", FAR),
    _future("SPX-FUTURE", "SPX", MID, "50"),
    *(
        an_option(f"BTC-{right.name}{strike // 1000}", right=right, strike=strike, expiry=MID)
        for right in OptionRight
        for strike in (50_000, 60_000, 70_000, 120_000)
    ),
    *(an_option(f"BTC-{right.name}60-NEAR", right=right, strike=60_000, expiry=AS_OF + timedelta(hours=6)) for right in OptionRight),
    *(
        an_option(f"BTC-{right.name}{strike}-NEAR", right=right, strike=strike * 1000, expiry=AS_OF + timedelta(hours=6))
        for right, strike in ((OptionRight.CALL, 62), (OptionRight.PUT, 58))
    ),
    an_option("BTC-C60-COIN", strike=60_000, expiry=MID, premium=PremiumStyle.COIN_SETTLED),
    an_option("BTC-C60-MARGINED", strike=60_000, expiry=MID, premium=PremiumStyle.MARGINED),
    an_american_option("ETH-P3000-AM", right=OptionRight.PUT, strike=3000, underlying="ETH", expiry=MID),
    *(an_fx_option(f"EUR-{right.name}110", right=right, strike="1.1", expiry=MID) for right in OptionRight),
    a_forward("EURUSD-6M", rate="1.11", delivery=FAR.date()),
    a_forward("JPYUSD-6M", bought="JPY", rate="0.0069", delivery=FAR.date()),
    an_ndf("EURUSD-NDF", rate="1.11", fixing=FAR.date() - timedelta(days=2), payment=FAR.date()),
    an_instrument("BILL-6M", Bill(USD, date(2026, 9, 1)), collateral_class="TREASURY", places=2),
    _bond("UST-2Y", date(2028, 2, 15)),
    TEN_YEAR,
    _bond("UST-30Y", date(2056, 2, 15), coupon="0.045"),
    _bond("ACME-10Y", date(2036, 2, 15), coupon="0.055", credit="IG-A", collateral="IG-BOND"),
    an_instrument("RIPPLE-NOTE", Bill(USD, date(2027, 2, 15), "RIPPLE"), collateral_class="IG-BOND", places=2),
    an_instrument(
        "FRN-5Y",
        FloatingRateNote(
            *(USD, Decimal("0.001"), Decimal("0.044"), date(2026, 2, 16), 4, DayCount.ACT_360, BusinessDayRule.UNADJUSTED),
            *(date(2026, 2, 15), date(2031, 2, 15)),
        ),
        collateral_class="TREASURY",
        places=2,
    ),
    *(
        an_instrument(
            f"SWAP-{years}Y",
            InterestRateSwap(
                *(USD, Decimal("0.04"), 1, DayCount.ACT_360, BusinessDayRule.UNADJUSTED),
                *(date(2026, 3, 4), date(2026 + years, 3, 4), Decimal(0), date(2026, 3, 4)),
            ),
        )
        for years in (2, 10)
    ),
    a_bond_future("TY-FUTURE", deliverable=TEN_YEAR, delivery=date(2026, 6, 30)),
    an_instrument(
        "BESPOKE",
        CashFlows(
            USD,
            (
                CashFlow(InstrumentId("EUR"), Decimal(100_000), date(2027, 3, 2)),
                CashFlow(USD, Decimal(-112_000), date(2027, 3, 2)),
            ),
        ),
    ),
    a_delivery_future("OIL-NEAR", expiry=NEAR),
    a_delivery_future("OIL-FAR", expiry=FAR),
)


def golden_parameters(**overrides: Any) -> RiskParameters:
    """Round numbers, so that a reader with a calculator can follow; a tenth of probability in the tail."""
    charges = overrides.pop("charges", {})
    rows = {
        "BTC": _row("0.0004", "15000000000", "0.05"),
        "ETH": _row("0.0005", "8000000000", "0.05"),
        "XRP": _row("0.0008", "2000000000", "0.08"),
        "EUR": _row("0.0001", "200000000000", "0.005"),
        "USD-RATES": _row("0.0002", "100000000000", "0"),
        "IG-A": _row("0.004", "8000000000", "0"),
        "WTI": _row("0.001", "20000000000", "0.05"),
    } | charges.pop("rows", {})
    document: dict[str, Any] = {
        "set_id": "golden-1",
        "tail_fraction": "0.1",
        "offset_groups": GROUPS,
        "stress_events": [
            {"name": "none", "source": "house", "both_directions": False, "moves": {"spot:BTC": "0"}, "default_class_moves": {}}
        ],
        "haircut_schedule": [
            a_haircut_row("USD"),
            a_haircut_row("G10-CASH", has_fx_mismatch=True),
            a_haircut_row("TREASURY", residual="0.0025", bands=[_band("1", "0.005"), _band("5", "0.02"), _band(None, "0.04")]),
            a_haircut_row("IG-BOND", residual="0.01", bands=[_band("1", "0.01"), _band("5", "0.04"), _band(None, "0.08")]),
            a_haircut_row("BTC", residual="0.02", bands=[_band_of(("5000000", "0.2"), ("8000000", "0.4"))]),
            a_haircut_row("ETH", residual="0.03", flat="0.25"),
            a_haircut_row("XRP", residual="0.05", flat="0.35", absolute_limit="2000000"),
            a_haircut_row("STABLE", residual="0.02", flat="0.02", share_limit="0.4"),
        ],
    }
    haircuts = overrides.pop("haircuts", {})
    document["haircut_schedule"] = [row | haircuts.get(row["collateral_class"], {}) for row in document["haircut_schedule"]]
    standing = {
        "basis": {
            "perpetual_fraction": "0.01",
            "dated_fraction": "0.015",
            "stablecoin_tiers": [{"up_to": None, "charge_fraction": "0.02"}],
        },
        "short_option_fraction": "0.01",
        "depeg": {"mild_price": "0.99", "haircut_slope": "4", "ineligible_price": "0.95", "longest_hours": "72", "recovery_hours": "24"},
        "issuers": [
            {"issuer_id": "RIPPLE", "is_own_issue": False, "moves": {"spot:XRP": "-0.5", "spot:RLUSD": "-0.12", "spread:RIPPLE:1Y": "0.1"}}
        ],
    }
    return risk_parameters(**(document | {"charges": charges_document(GROUPS, rows=rows, **(standing | charges))} | overrides))


def golden_market(
    parameters: RiskParameters,
    *,
    levels: Mapping[str, str],
    marks: Mapping[str, str],
    pegs: Mapping[str, tuple[str, float | None, float | None]],
) -> RevaluedMarket:
    """The market above with some levels replaced, instruments marked and pegs remembered, revalued in full under the moves above."""
    named = {FactorId.parse(name): Decimal(level) for name, level in (dict(LEVELS) | dict(levels)).items()}
    snapshot = MarketSnapshot(AS_OF, named, {InstrumentId(name): Decimal(mark) for name, mark in (dict(MARKS) | dict(marks)).items()})
    snapshot = replace(snapshot, pegs={InstrumentId(name): _peg(*peg) for name, peg in pegs.items()})
    factors = tuple(sorted(named))
    moves = [*ORDINARY.values(), *STRESS.values()]
    weights = np.concatenate([np.full(len(ORDINARY), 0.75 / len(ORDINARY)), np.full(len(STRESS), 0.25 / len(STRESS))])
    scenarios = ScenarioSet(
        factors=factors,
        shocks=np.array([[_move(factor, move) for factor in factors] for move in moves]),
        weights=weights,
        names=(*ORDINARY, *STRESS),
        ordinary_count=len(ORDINARY),
        proxied={},
        unavailable={},
    )
    return revalue_market(INSTRUMENTS, snapshot, scenarios, parameters)


def _peg(slow_price: str, began: float | None, back: float | None) -> Peg:
    """`began` and `back` are hours before the snapshot."""
    below_since, back_since = (None if hours is None else AS_OF - timedelta(hours=hours) for hours in (began, back))
    return Peg(Decimal(slow_price), below_since, back_since)


def _move(factor: FactorId, moves: Mapping[str, float]) -> float:
    """The move of the factor itself, of its curve, or of its name alone where that is a price."""
    is_price = factor.kind_code in {"spot", "fx", "price"}
    names = [str(factor), factor.curve, *([factor.name] if is_price else [])]
    return next((moves[name] for name in names if name in moves), 0.0)


def _row(spread: str, volume: str, minimum: str) -> dict[str, str]:
    return {"spread_fraction": spread, "average_daily_volume": volume, "minimum_rate_fraction": minimum}


def _band(up_to_years: str | None, fraction: str, up_to: str | None = None) -> dict[str, Any]:
    return {"up_to_years": up_to_years, "tiers": [{"up_to": up_to, "haircut_fraction": fraction}]}


def _band_of(*tiers: tuple[str, str]) -> dict[str, Any]:
    return {"up_to_years": None, "tiers": [{"up_to": up_to, "haircut_fraction": fraction} for up_to, fraction in tiers]}
