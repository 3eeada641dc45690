"""Reads four-hour bars of coins and walks through each one: the ticks of a crash, as moves since it began."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from tests.validation.market_history import COINS, HistoryError, open_table

BAR: Final = timedelta(hours=4)
LEADER: Final = "BTC"
"""Whose open and close say in which order the extremes of a bar are visited, for all coins at once."""
_PRICES: Final = ("open", "high", "low", "close")
_TABLE: Final = "crypto_4h_ohlc"


@dataclass(frozen=True, slots=True)
class Ohlc:
    """Prices of one coin within one bar, USD."""

    open: float
    high: float
    low: float
    close: float


@dataclass(frozen=True, slots=True)
class Bar:
    """Four hours of every coin. `start` is when it opens."""

    start: datetime
    coins: Mapping[str, Ohlc]


@dataclass(frozen=True, slots=True)
class PriceTick:
    """Prices of the coins at one moment, USD."""

    at: datetime
    prices: Mapping[str, float]


def load_bars(folder: Path, first: date, last: date) -> list[Bar]:
    """Return the bars that open on the days from `first` to `last`.

    Raises:
        HistoryError: There is no such file or column, a bar is missing, or one is impossible.
    """
    bars = [_bar(row) for row in _rows(folder) if first.isoformat() <= row["date"][:10] <= last.isoformat()]
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
    expected = [midnight + BAR * number for number in range(6 * ((last - first).days + 1))]
    if [bar.start for bar in bars] != expected:
        raise HistoryError(f"{_TABLE} has {len(bars)} bars from {first} to {last}; expected {len(expected)}, every four hours")
    return bars


def ticks_of(bars: Sequence[Bar]) -> list[PriceTick]:
    """Return the path through bars: of each its open and its two extremes, a third of the bar apart, and at the end the last close.

    A bar that fell visits the high before the low, one that rose the low before the high. BTC's open and close decide it for all coins:
    they fall together, and an order of each coin's own would tear a pair apart that never was. A close is not a tick of its own, because
    the next bar opens there.
    """
    ticks = [tick for bar in bars for tick in _path(bar)]
    if bars:
        last = bars[-1]
        ticks.append(PriceTick(last.start + BAR, {coin: prices.close for coin, prices in last.coins.items()}))
    return ticks


def moves_of(ticks: Sequence[PriceTick]) -> list[Mapping[str, float]]:
    """Return the price of each coin at each tick as a multiple of its price at the first."""
    return [{coin: price / ticks[0].prices[coin] for coin, price in tick.prices.items()} for tick in ticks]


def _path(bar: Bar) -> Iterator[PriceTick]:
    fell = bar.coins[LEADER].close < bar.coins[LEADER].open
    order = ("open", "high", "low") if fell else ("open", "low", "high")
    for number, price in enumerate(order):
        yield PriceTick(bar.start + BAR / 3 * number, {coin: getattr(prices, price) for coin, prices in bar.coins.items()})


def _bar(row: Mapping[str, str]) -> Bar:
    coins = {coin: Ohlc(*_numbers(row, coin)) for coin in COINS}
    for coin, prices in coins.items():
        if not 0 < prices.low <= min(prices.open, prices.close) <= max(prices.open, prices.close) <= prices.high:
            raise HistoryError(f"bar of {coin} at {row['date']} in {_TABLE} was {prices}; expected 0 < low <= open, close <= high")
    return Bar(datetime.strptime(row["date"], "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC), coins)


def _numbers(row: Mapping[str, str], coin: str) -> Iterator[float]:
    for price in _PRICES:
        try:
            yield float(row[f"{coin}_{price}"])
        except (KeyError, ValueError) as error:
            raise HistoryError(
                f"{coin}_{price} at {row.get('date')} in {_TABLE} was {row.get(f'{coin}_{price}')!r}; expected USD"
            ) from error


def _rows(folder: Path) -> Iterator[Mapping[str, str]]:
    with open_table(folder / _TABLE) as lines:
        yield from csv.DictReader(lines)
