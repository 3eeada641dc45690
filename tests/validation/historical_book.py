"""Margins one cross-asset book on days of the past, each day knowing only what was known then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.domain.instrument import (
    Bill,
    Cash,
    CryptoAsset,
    FixedRateBond,
    FxForward,
    Instrument,
    Payoff,
    Perpetual,
    consideration,
)
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import RiskParameters, known_on
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import required_factors, revalue_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios.build import build_scenario_set
from tests.validation.market_history import MarketHistory, as_decimal

FIRST_DAY: Final = date(2008, 1, 2)
"""Before the first crisis window; coins come later."""
LAST_CRISIS_DAY: Final = date(2025, 12, 31)
"""After the margin periods of the last crisis window."""
LAST_GILT_DAY: Final = date(2024, 4, 30)
"""Last day of the sterling curve; the book has no sterling after it."""
REVIEW_DAYS: Final = (
    date(2020, 2, 28),
    date(2020, 3, 11),
    date(2020, 3, 13),
    date(2020, 3, 31),
    date(2021, 5, 17),
    date(2022, 9, 22),
    date(2022, 11, 7),
    date(2022, 11, 11),
    date(2023, 3, 9),
    date(2024, 4, 26),
    date(2025, 7, 9),
)
"""Before, in and after crises, the last day with every curve, and the last day with a full Treasury curve two business days later."""
LAST_FULL_DAY: Final = REVIEW_DAYS[-2]
LOAN_USD: Final = 56_000_000
ACCOUNT: Final = AccountRef(ClientId("validation"), AccountId("cross-asset"))
USD: Final = InstrumentId("USD")
_CLOSE: Final = time(22, tzinfo=UTC)


@dataclass(frozen=True)
class Leg:
    """One line of the book: what it is, and how much of it in USD at the mark (or in face for bonds)."""

    instrument: Instrument
    notional_usd: float
    face: Decimal | None = None


@dataclass(frozen=True)
class BookMargin:
    """Margin of the book on one day, with the full scenario set, with named events as the only stress, and with ordinary scenarios alone.

    Attributes:
        observations: Ordinary scenarios found. event_count, stress_count: Scenarios of events that were over; those and days of crises.
        realised_pnl: What the unchanged book gained or lost over the next two business days, USD.
    """

    day: date
    observations: int
    event_count: int
    stress_count: int
    result: MarginResult
    events_only: MarginResult
    without_stress: MarginResult
    realised_pnl: float

    @property
    def stress_among_worst(self) -> int:
        """How many of the ten worst scenarios are stress events."""
        return sum(worst.is_stress for worst in self.result.worst_scenarios)


def margin_book(history: MarketHistory, day: date, parameters: RiskParameters) -> BookMargin:
    """Return the margin of the cross-asset book on a day, from levels, history and events up to that day only."""
    parameters = known_on(parameters, day)
    legs = cross_asset_book(history, day)
    instruments = [leg.instrument for leg in legs]
    market = revalued(history, day, instruments, parameters)
    portfolio = _risked(holdings(legs, history, day))
    events, calm = named_events_only(parameters), ordinary_only(parameters)
    return BookMargin(
        day=day,
        observations=market.scenarios.ordinary_count,
        event_count=stress_scenario_count(parameters),
        stress_count=len(market.scenarios.names) - market.scenarios.ordinary_count,
        result=compute_margin(portfolio, market, parameters),
        events_only=compute_margin(portfolio, revalued(history, day, instruments, events), events),
        without_stress=compute_margin(portfolio, revalued(history, day, instruments, calm), calm),
        realised_pnl=realised_pnl(portfolio, market, history, two_business_days_after(day), parameters),
    )


def realised_pnl(portfolio: Portfolio, market: RevaluedMarket, history: MarketHistory, later: date, parameters: RiskParameters) -> float:
    """Return the change in value of unchanged holdings from the market's day to a later one, USD."""
    later_market = revalue_market(market.instruments, snapshot_of(history, later), market.scenarios, parameters)
    return sum(
        float(holding.quantity)
        * float(
            later_market.unit_value[later_market.row_of[holding.instrument_id]] - market.unit_value[market.row_of[holding.instrument_id]]
        )
        for holding in portfolio.holdings
    )


def _risked(held: tuple[Holding, ...]) -> Portfolio:
    """Return the account with everything risked, so that it needs what its losses ask for; AUTO would pledge much of it."""
    policies = {holding.instrument_id: CollateralPolicy.RISKED for holding in held}
    return Portfolio(ACCOUNT, AccountMode.CROSS, 1, held, policies)


def two_business_days_after(day: date) -> date:
    """Return the end of a margin period of two business days."""
    end: date = np.busday_offset(day, 2, roll="backward").astype(date)
    return end


def margin_alone(leg: Leg, history: MarketHistory, day: date, parameters: RiskParameters) -> tuple[Decimal, ...]:
    """Return the market requirement of one line alone: standard, with every day of every window, with named events only, without stress."""
    parameters = known_on(parameters, day)
    requirements = []
    for rules in (parameters, every_window_day(parameters), named_events_only(parameters), ordinary_only(parameters)):
        market = revalued(history, day, [*money(), leg.instrument], rules)
        portfolio = _risked(holdings([leg], history, day))
        requirements.append(compute_margin(portfolio, market, rules).requirement.market_requirement)
    return tuple(requirements)


def stress_scenario_count(parameters: RiskParameters) -> int:
    """Return how many scenarios the stress events make: two for an event of both directions."""
    return sum(1 + event.both_directions for event in parameters.stress_events)


def every_window_day(parameters: RiskParameters) -> RiskParameters:
    """Return the parameters with all days of each crisis window, whether they were chosen or not."""
    return replace(parameters, crisis_windows=tuple(replace(window, days=()) for window in parameters.crisis_windows))


def named_events_only(parameters: RiskParameters) -> RiskParameters:
    """Return the parameters without the days of past crises."""
    return replace(parameters, crisis_windows=())


def ordinary_only(parameters: RiskParameters) -> RiskParameters:
    """Return the parameters with all weight on the ordinary scenarios."""
    return replace(parameters, ordinary_weight=Decimal(1), stress_events=(), crisis_windows=())


def cross_asset_book(history: MarketHistory, day: date) -> list[Leg]:
    """Return the book of a day: the same amounts in dollars every time, hedged in part, financed by a dollar loan.

    Coins held outright against perpetuals, a euro and a sterling forward, a bill, a long two-year and a short ten-year note. The
    notes are on the run: issued that day at the par yield rounded to an eighth of a percent.
    """
    bill = Instrument(InstrumentId("UST-BILL"), Bill(USD, day + timedelta(days=91)), 2, "BILL")
    legs = [
        Leg(money()[0], -LOAN_USD),
        Leg(bill, 0, Decimal(20_000_000)),
        Leg(coin("BTC"), 15_000_000),
        Leg(perpetual("BTC"), -10_000_000),
        Leg(coin("ETH"), 5_000_000),
        Leg(perpetual("ETH"), -8_000_000),
        Leg(forward("EUR", history, day), 20_000_000),
        Leg(note(2, history, day), 0, Decimal(30_000_000)),
        Leg(note(10, history, day), 0, Decimal(-10_000_000)),
    ]
    return [*legs, Leg(forward("GBP", history, day), -12_000_000)] if day <= LAST_GILT_DAY else legs


def single_legs(history: MarketHistory, day: date) -> dict[str, Leg]:
    """Return one line each way of what the book is made of, ten million dollars each."""
    return {
        "BTC held": Leg(perpetual("BTC"), 10_000_000),
        "BTC owed": Leg(perpetual("BTC"), -10_000_000),
        "ETH held": Leg(perpetual("ETH"), 10_000_000),
        "ETH owed": Leg(perpetual("ETH"), -10_000_000),
        "EUR forward bought": Leg(forward("EUR", history, day), 10_000_000),
        "EUR forward sold": Leg(forward("EUR", history, day), -10_000_000),
        "10Y note held": Leg(note(10, history, day), 0, Decimal(10_000_000)),
        "10Y note owed": Leg(note(10, history, day), 0, Decimal(-10_000_000)),
    }


def revalued(history: MarketHistory, day: date, instruments: Sequence[Instrument], parameters: RiskParameters) -> RevaluedMarket:
    """Return the market of a day under scenarios built from the history up to that day."""
    every = sorted({*instruments, *money()}, key=lambda instrument: instrument.instrument_id)
    snapshot = snapshot_of(history, day)
    scenarios = build_scenario_set(history.factor_history(first_day_of(history), day), required_factors(every, snapshot), parameters)
    return revalue_market(every, snapshot, scenarios, parameters)


def first_day_of(history: MarketHistory) -> date:
    """Return the first day that counts: a history does not reach a window before its own first level."""
    return max(FIRST_DAY, min(min(series) for series in history.series.values()))


def snapshot_of(history: MarketHistory, day: date) -> MarketSnapshot:
    """Return the levels of a day: coins, currencies, and the curves that were published then."""
    ended = {factor for factor, series in history.series.items() if max(series) < day - timedelta(days=7)}
    levels = {factor: as_decimal(history.level(str(factor), day)) for factor in history.series if factor not in ended}
    return MarketSnapshot(datetime.combine(day, _CLOSE), levels, {})


def holdings(legs: Sequence[Leg], history: MarketHistory, day: date) -> tuple[Holding, ...]:
    """Return the holdings of the legs, contracts entered at that day's mark."""
    return tuple(sorted((_holding(leg, history, day) for leg in legs), key=lambda holding: holding.instrument_id))


def money() -> list[Instrument]:
    """Return the currencies of the book."""
    return [Instrument(InstrumentId(code), Cash(code), 2, "USD" if code == "USD" else "G10_CASH") for code in ("USD", "EUR", "GBP")]


def coin(name: str) -> Instrument:
    """Return a coin held outright."""
    return Instrument(InstrumentId(name), CryptoAsset(), 8, name)


def perpetual(name: str) -> Instrument:
    """Return the linear perpetual on a coin, settled in dollars."""
    return Instrument(InstrumentId(f"{name}-USD-PERP"), Perpetual(InstrumentId(name), USD, Decimal(1), Payoff.LINEAR), 8)


def forward(currency: str, history: MarketHistory, day: date) -> Instrument:
    """Return a forward over 91 days at the fair rate of the day, rounded to a tenth of a point."""
    delivery = day + timedelta(days=91)
    years = 91 / 365
    fair = history.level(f"fx:{currency}", day) * math.exp((_zero(history, "USD", day) - _zero(history, currency, day)) * years)
    terms = FxForward(InstrumentId(currency), USD, Decimal(f"{fair:.5f}"), delivery)
    return Instrument(InstrumentId(f"{currency}-USD-{delivery}"), terms, 2)


def note(years: int, history: MarketHistory, day: date) -> Instrument:
    """Return the Treasury note issued on a day."""
    last_published = max(published for published in history.par_yields[f"{years}Y"] if published <= day)
    coupon = Decimal(round(history.par_yields[f"{years}Y"][last_published] * 800)) / 800
    terms = FixedRateBond(USD, max(coupon, Decimal(0)), 2, day, day.replace(year=day.year + years))
    return Instrument(InstrumentId(f"UST-{years}Y"), terms, 2, "TREASURY")


def _holding(leg: Leg, history: MarketHistory, day: date) -> Holding:
    instrument = leg.instrument
    price = as_decimal(_price(instrument, history, day))
    quantity = leg.face if leg.face is not None else round(Decimal(leg.notional_usd) / price, instrument.quantity_places)
    cost = consideration(instrument, quantity=quantity, price=price) if instrument.is_margined else Decimal(0)
    return Holding(instrument.instrument_id, quantity, round(cost, 12))


def _price(instrument: Instrument, history: MarketHistory, day: date) -> float:
    """USD for one unit of what the notional is counted in."""
    match instrument.terms:
        case Perpetual(underlying=underlying):
            return history.level(f"spot:{underlying}", day)
        case CryptoAsset():
            return history.level(f"spot:{instrument.instrument_id}", day)
        case FxForward(bought=bought):
            return history.level(f"fx:{bought}", day)
        case _:
            return 1.0


def _zero(history: MarketHistory, currency: str, day: date) -> float:
    """Zero rate at a quarter year, linear between nodes and flat before the first."""
    nodes = sorted((factor for factor in history.series if factor.curve == f"zero:{currency}"), key=lambda factor: factor.tenor_years)
    return float(np.interp(91 / 365, [node.tenor_years for node in nodes], [history.level(str(node), day) for node in nodes]))
