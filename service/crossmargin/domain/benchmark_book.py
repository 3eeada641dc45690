"""Static books that a margin model is judged on: the same amounts in dollars, struck anew at the market of each day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final, TypeAlias

from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.domain.instrument import (
    BondFuture,
    Cash,
    CryptoAsset,
    FixedRateBond,
    FxForward,
    Instrument,
    Payoff,
    Perpetual,
    consideration,
)
from crossmargin.domain.market import DAYS_PER_YEAR, FactorId
from crossmargin.domain.position import Holding

NOTIONAL_USD: Final = Decimal(10_000_000)
"""Of a line that a book holds once (house)."""
_USD: Final = InstrumentId("USD")
_FORWARD_DAYS: Final = 91
_DELIVERY_DAYS: Final = 30
_POINT_USD: Final = Decimal(1_000)
"""One point of price of a contract on 100,000 of face."""
_COUPONS_A_YEAR: Final = 2
_COUPON_STEPS: Final = 800
"""Coupons come in eighths of a percent."""
_PRICE_PLACES: Final = 12
BENCHMARK_CLIENT: Final = ClientId("benchmark")

Levels: TypeAlias = Mapping[FactorId, Decimal]


@dataclass(frozen=True, slots=True)
class StruckBook:
    """A book as it was on a day.

    Attributes:
        instruments: Everything held and everything that settles in, one for each id.
        holdings: Sorted by instrument; contracts were entered at the day's mark.
        notional: What a requirement is a fraction of, USD.
    """

    account: AccountRef
    instruments: tuple[Instrument, ...]
    holdings: tuple[Holding, ...]
    notional: Decimal

    @property
    def name(self) -> str:
        """Name of the book."""
        return str(self.account.account_id)


@dataclass(frozen=True, slots=True)
class BenchmarkBook:
    """The recipe of a book.

    Attributes:
        lines: How often each line is held; negative is owed.
        notional: What its requirement is a fraction of: the gross notional of its larger side, USD.
    """

    name: str
    lines: Mapping[str, Decimal]
    notional: Decimal

    def factors(self) -> frozenset[FactorId]:
        """Return what must have a level on a day for the book to exist."""
        return frozenset(factor for line in self.lines for factor in LINES[line].factors)

    def struck(self, levels: Levels, day: date) -> StruckBook:
        """Return the book at a day's levels, which must hold the book's factors."""
        known = {_USD: _cash("USD")}
        holdings = []
        for line, count in self.lines.items():
            struck = LINES[line].struck(levels, day)
            known |= {each.instrument_id: each for each in (*struck.assets, struck.instrument)}
            holdings.append(_holding(struck, count))
        return StruckBook(
            AccountRef(BENCHMARK_CLIENT, AccountId(self.name)),
            tuple(known[name] for name in sorted(known)),
            tuple(sorted(holdings, key=lambda holding: holding.instrument_id)),
            self.notional,
        )


@dataclass(frozen=True, slots=True)
class _StruckLine:
    """One line of NOTIONAL_USD at a day's market: what it is, what that settles in, how much of it, and at which price."""

    instrument: Instrument
    assets: tuple[Instrument, ...]
    quantity: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class _Line:
    factors: frozenset[FactorId]
    struck: Callable[[Levels, date], _StruckLine]


def _perpetual(coin: str) -> _Line:
    """The linear perpetual on a coin, settled in dollars: spot without collateral."""
    factor = FactorId("spot", coin)

    def struck(levels: Levels, _day: date) -> _StruckLine:
        asset = Instrument(InstrumentId(coin), CryptoAsset(), 8)
        contract = Instrument(InstrumentId(f"{coin}-USD-PERP"), Perpetual(asset.instrument_id, _USD, Decimal(1), Payoff.LINEAR), 8)
        return _StruckLine(contract, (asset,), NOTIONAL_USD / levels[factor], levels[factor])

    return _Line(frozenset({factor}), struck)


def _forward(currency: str) -> _Line:
    """Currency bought against dollars for delivery in a quarter, at a rate at which the contract is worth nothing."""
    factor = FactorId("fx", currency)

    def struck(levels: Levels, day: date) -> _StruckLine:
        carry = _zero_rate(levels, "USD", _FORWARD_DAYS) - _zero_rate(levels, currency, _FORWARD_DAYS)
        rate = round(levels[factor] * (carry * _FORWARD_DAYS / DAYS_PER_YEAR).exp(), _PRICE_PLACES)
        terms = FxForward(InstrumentId(currency), _USD, rate, day + timedelta(days=_FORWARD_DAYS))
        contract = Instrument(InstrumentId(f"{currency}-USD-FORWARD"), terms, 2)
        return _StruckLine(contract, (_cash(currency),), NOTIONAL_USD / levels[factor], Decimal(0))

    return _Line(frozenset({factor}), struck)


def _note_future(years: int) -> _Line:
    """A future on a Treasury note issued on the day near par: the note without collateral. Its coupon is the day's par yield."""
    node = FactorId("zero", "USD", f"{years}Y")

    def struck(levels: Levels, day: date) -> _StruckLine:
        coupon = max(Decimal(0), Decimal(round(_par_yield(levels, years) * _COUPON_STEPS)) / _COUPON_STEPS)
        issued = day.replace(day=min(day.day, 28))
        note = FixedRateBond(_USD, coupon, _COUPONS_A_YEAR, issued, issued.replace(year=day.year + years))
        terms = BondFuture(_USD, _POINT_USD, day + timedelta(days=_DELIVERY_DAYS), Decimal(1), note)
        contract = Instrument(InstrumentId(f"UST-{years}Y-FUTURE"), terms, 0)
        return _StruckLine(contract, (), NOTIONAL_USD / (100 * _POINT_USD), Decimal(100))

    return _Line(frozenset({node}), struck)


def _cash(currency: str) -> Instrument:
    return Instrument(InstrumentId(currency), Cash(currency), 2)


def _holding(struck: _StruckLine, count: Decimal) -> Holding:
    quantity = round(count * struck.quantity, struck.instrument.quantity_places)
    is_margined = struck.instrument.is_margined
    cost = consideration(struck.instrument, quantity=quantity, price=struck.price) if is_margined else Decimal(0)
    return Holding(struck.instrument.instrument_id, quantity, round(cost, _PRICE_PLACES))


def _zero_rate(levels: Levels, currency: str, days: int) -> Decimal:
    """Return the zero rate at so many days, linear between nodes and flat outside; 0 without a curve, as the engine has it."""
    nodes = sorted((Decimal(factor.tenor_years), rate) for factor, rate in levels.items() if factor.curve == f"zero:{currency}")
    years = Decimal(days) / DAYS_PER_YEAR
    if not nodes:
        return Decimal(0)
    for (before, low), (after, high) in pairwise(nodes):
        if before <= years <= after:
            return low + (high - low) * (years - before) / (after - before)
    return nodes[0][1] if years < nodes[0][0] else nodes[-1][1]


def _par_yield(levels: Levels, years: int) -> Decimal:
    """Return the coupon at which a new note is worth 100: 2 (1 - DF(T)) / sum of DF at the coupon dates, half years apart."""
    periods = range(1, years * _COUPONS_A_YEAR + 1)
    factors = []
    for period in periods:
        days = round(Decimal(period * DAYS_PER_YEAR) / _COUPONS_A_YEAR)
        factors.append((-_zero_rate(levels, "USD", days) * days / DAYS_PER_YEAR).exp())
    return _COUPONS_A_YEAR * (1 - factors[-1]) / sum(factors, Decimal(0))


LINES: Final[Mapping[str, _Line]] = {
    "BTC": _perpetual("BTC"),
    "ETH": _perpetual("ETH"),
    "EUR": _forward("EUR"),
    "2Y": _note_future(2),
    "10Y": _note_future(10),
}
"""Ten million dollars of each."""


def _book(name: str, *, notional: int | str = 1, **lines: str) -> BenchmarkBook:
    counts = {line.removeprefix("UST_"): Decimal(count) for line, count in lines.items()}
    return BenchmarkBook(name, counts, Decimal(notional) * NOTIONAL_USD)


BENCHMARK_BOOKS: Final = (
    _book("btc-long", BTC="1"),
    _book("btc-short", BTC="-1"),
    _book("eth-long", ETH="1"),
    _book("eth-short", ETH="-1"),
    _book("btc-against-eth", BTC="1", ETH="-1"),
    _book("eurusd-long", EUR="1"),
    _book("eurusd-short", EUR="-1"),
    _book("ust10y-long", UST_10Y="1"),
    _book("ust10y-short", UST_10Y="-1"),
    _book("curve-steepener", UST_2Y="4.5", UST_10Y="-1", notional="4.5"),
    _book("mixed-long", BTC="0.25", ETH="0.25", EUR="1", UST_10Y="1", notional="2.5"),
    _book("mixed-short", BTC="-0.25", ETH="-0.25", EUR="-1", UST_10Y="-1", notional="2.5"),
    _book("mixed-hedged", BTC="1", ETH="-0.75", EUR="-1", UST_2Y="4.5", UST_10Y="-1", notional="5.5"),
)
"""One thing each way, a spread in each class, and mixes: both ways and hedged. Amounts are house."""
