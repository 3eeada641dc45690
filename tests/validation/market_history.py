"""Reads real market history from a folder of wide CSV files into levels of risk factors, and checks that it reads what happened."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, TextIO, TypeAlias

import numpy as np

from crossmargin.domain.market import FactorHistory, FactorId
from tests.validation.treasury_curve import PAR_ERROR_LIMIT, PAR_TENORS, bootstrap_zero_rates, par_bond_prices

Series: TypeAlias = dict[date, float]
"""Levels by day; a day without a level is absent."""
FX_CURRENCIES: Final = ("EUR", "GBP", "JPY", "CHF")
ZERO_TENORS: Final = {"EUR": ("3M", "1Y", "2Y", "5Y", "10Y"), "GBP": ("1Y", "2Y", "5Y", "7Y", "10Y")}
"""Nodes that were published on every day up to the end of their series; three months of gilts were not."""
COINS: Final = ("BTC", "ETH")


class HistoryError(Exception):
    """The folder lacks a file or column, or holds something else than it should."""


@dataclass(frozen=True)
class MarketHistory:
    """Levels of risk factors in the engine's units, by day.

    Attributes:
        series: Level by factor: USD per coin, USD per unit of currency, zero rates as fractions.
        par_yields: Published Treasury par yields by tenor, as fractions, on the days when every tenor was published.
        largest_par_error: Largest distance from 100 of a par bond repriced on its bootstrapped curve.
    """

    series: Mapping[FactorId, Series]
    par_yields: Mapping[str, Series]
    largest_par_error: float

    def level(self, factor: str, day: date) -> float:
        """Return the level of a factor on a day, or the last one of the seven days before it."""
        series = self.series[FactorId.parse(factor)]
        for back in range(8):
            if (level := series.get(day - timedelta(days=back))) is not None:
                return level
        raise HistoryError(f"{factor} has no level in the week to {day}")

    def factor_history(self, first: date, last: date) -> FactorHistory:
        """Return every calendar day from `first` to `last`, None where a market was closed."""
        days = tuple(first + timedelta(days=offset) for offset in range((last - first).days + 1))
        return FactorHistory(
            dates=days,
            levels={
                factor: tuple(None if (level := series.get(day)) is None else as_decimal(level) for day in days)
                for factor, series in self.series.items()
            },
        )


def as_decimal(level: float) -> Decimal:
    """Return a level with twelve significant digits and at most eighteen places, as the domain accepts it."""
    return Decimal(f"{level:.12g}").quantize(Decimal("1e-18"))


def load_market_history(folder: Path) -> MarketHistory:
    """Return what the folder holds of FX fixings, Treasury par yields, government zero curves and coin closes.

    Raises:
        HistoryError: A file or column is missing, or a par bond does not reprice on its curve.
    """
    series = load_fx(folder / "fx_eur_daily") | load_zero_curves(folder / "gov_zero_curves_daily") | load_coins(folder / "crypto_usd_daily")
    par_yields = load_par_yields(folder / "ust_par_yields_daily")
    zero_rates, largest_error = bootstrap_treasuries(par_yields)
    return MarketHistory(series | zero_rates, par_yields, largest_error)


def load_fx(path: Path) -> dict[FactorId, Series]:
    """Return USD per unit of each currency from fixings quoted per euro: EURUSD / EURccy."""
    columns = read_columns(path, [f"EUR{currency}" for currency in ("USD", *FX_CURRENCIES[1:])])
    dollars = columns["EURUSD"]
    crosses = {currency: columns[f"EUR{currency}"] for currency in FX_CURRENCIES[1:]}
    return {FactorId("fx", "EUR"): dollars} | {
        FactorId("fx", currency): {day: dollars[day] / rate for day, rate in cross.items() if day in dollars}
        for currency, cross in crosses.items()
    }


def load_zero_curves(path: Path) -> dict[FactorId, Series]:
    """Return EUR and GBP zero rates as fractions; they are published continuously compounded, in percent."""
    names = [f"{currency}_{tenor}" for currency, tenors in ZERO_TENORS.items() for tenor in tenors]
    return {
        FactorId("zero", *name.split("_")): {day: percent / 100.0 for day, percent in column.items()}
        for name, column in read_columns(path, names).items()
    }


def load_coins(path: Path) -> dict[FactorId, Series]:
    """Return USD closes of the coins at 24:00 UTC."""
    return {FactorId("spot", coin): column for coin, column in read_columns(path, COINS).items()}


def load_par_yields(path: Path) -> dict[str, Series]:
    """Return par yields as fractions by tenor, on the days on which all tenors were published."""
    columns = read_columns(path, PAR_TENORS)
    days = sorted(set.intersection(*(set(column) for column in columns.values())))
    return {tenor: {day: columns[tenor][day] / 100.0 for day in days} for tenor in PAR_TENORS}


def bootstrap_treasuries(par_yields: Mapping[str, Series]) -> tuple[dict[FactorId, Series], float]:
    """Return zero rates by node and the largest distance from 100 of a par bond repriced on them.

    Raises:
        HistoryError: That distance is above PAR_ERROR_LIMIT.
    """
    days = list(par_yields[PAR_TENORS[0]])
    yields = np.array([[par_yields[tenor][day] for tenor in PAR_TENORS] for day in days])
    rates = bootstrap_zero_rates(yields)
    largest_error = float(np.abs(par_bond_prices(rates, yields) - 100.0).max())
    if not largest_error < PAR_ERROR_LIMIT:
        raise HistoryError(f"a par bond reprices {largest_error:.1e} away from 100; expected less than {PAR_ERROR_LIMIT:.0e}")
    columns = {
        FactorId("zero", "USD", tenor): dict(zip(days, rates[:, node].tolist(), strict=True)) for node, tenor in enumerate(PAR_TENORS)
    }
    return columns, largest_error


def read_columns(path: Path, names: Sequence[str]) -> dict[str, Series]:
    """Return the columns of a wide CSV file (`path` plus .csv or .csv.gz): first column an ISO date, an empty cell no level."""
    with open_table(path) as lines:
        rows = csv.DictReader(lines)
        if missing := [name for name in ("date", *names) if name not in (rows.fieldnames or ())]:
            raise HistoryError(f"{path.name} lacks the columns {', '.join(missing)}; it has {', '.join(rows.fieldnames or ())}")
        columns: dict[str, Series] = {name: {} for name in names}
        for row in rows:
            day = date.fromisoformat(row["date"])
            for name in names:
                if row[name]:
                    columns[name][day] = float(row[name])
    return columns


def open_table(path: Path) -> TextIO:
    """Open `path`.csv.gz or `path`.csv for reading."""
    packed, plain = path.with_name(f"{path.name}.csv.gz"), path.with_name(f"{path.name}.csv")
    if packed.exists():
        return gzip.open(packed, "rt", encoding="utf-8")
    if plain.exists():
        return plain.open(encoding="utf-8")
    raise HistoryError(f"{path.parent} holds neither {packed.name} nor {plain.name}")


@dataclass(frozen=True)
class KnownTruth:
    """A published move, and what the loader reads for it."""

    what: str
    published: float
    read: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """True when the loader reads what was published."""
        return abs(self.read - self.published) <= self.tolerance


def known_truths(history: MarketHistory) -> list[KnownTruth]:
    """Return moves that everybody knows beside what the loaders read: fractions for prices, basis points for yields."""
    return [
        KnownTruth("BTC on 2020-03-12", -0.388, _simple_return(history, "spot:BTC", date(2020, 3, 12)), 5e-4),
        KnownTruth("EUR/CHF fixing on 2015-01-14", 1.2010, _euro_cross(history, "CHF", date(2015, 1, 14)), 5e-5),
        KnownTruth("EUR/CHF fixing on 2015-01-15", 1.0280, _euro_cross(history, "CHF", date(2015, 1, 15)), 5e-5),
        KnownTruth("GBP/USD on 2016-06-24", -0.078, _simple_return(history, "fx:GBP", date(2016, 6, 24)), 5e-4),
        KnownTruth("UST 2Y par yield on 2023-03-13, bp", -57.0, _yield_change_bp(history, "2Y", date(2023, 3, 10), date(2023, 3, 13)), 0.5),
    ]


def _simple_return(history: MarketHistory, factor: str, day: date) -> float:
    return history.level(factor, day) / history.level(factor, day - timedelta(days=1)) - 1.0


def _euro_cross(history: MarketHistory, currency: str, day: date) -> float:
    return history.level("fx:EUR", day) / history.level(f"fx:{currency}", day)


def _yield_change_bp(history: MarketHistory, tenor: str, before: date, after: date) -> float:
    return (history.par_yields[tenor][after] - history.par_yields[tenor][before]) * 1e4
