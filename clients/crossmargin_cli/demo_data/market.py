"""A simulated market: no price here was ever traded, and the same code always gives the same market.

One factor moves all coins, with days of high and low volatility and sudden falls; each coin adds moves of its own. Exchange rates and
rates move on business days only. Simulated because real histories carry licences; import your own with `crossmargin import history`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

SEED: Final = 20_261_326
LAST_DAY: Final = date(2026, 11, 20)
DAY_COUNT: Final = 1600
AS_OF: Final = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
FUTURE_EXPIRY: Final = datetime(2027, 3, 26, 8, 0, tzinfo=UTC)
YEARS_TO_EXPIRY: Final = (FUTURE_EXPIRY - AS_OF) / timedelta(days=365)

COINS: Final = {"BTC": (91_400.0, 1.0, 0.0), "ETH": (3_060.0, 1.15, 0.016), "SOL": (142.0, 1.35, 0.030)} | {
    "XRP": (2.14, 1.05, 0.032),
    "AVAX": (14.6, 1.45, 0.036),
}
"""Last price in USD, share of the common move, volatility of its own per day."""
CURRENCIES: Final = {"EUR": (1.0850, 0.0045), "JPY": (0.006640, 0.0056), "GBP": (1.2710, 0.0050), "CHF": (1.1240, 0.0047)}
"""Last rate in USD, volatility per day."""
CURVES: Final = {
    "USD": {"3M": 0.0392, "1Y": 0.0378, "2Y": 0.0371, "5Y": 0.0382, "10Y": 0.0410, "30Y": 0.0445},
    "EUR": {"3M": 0.0205, "2Y": 0.0212, "10Y": 0.0264},
    "JPY": {"3M": 0.0058, "2Y": 0.0092, "10Y": 0.0161},
}
"""Last zero rates, fractions."""
VOLATILITIES: Final = {
    "BTC": {"1M": 0.46, "3M": 0.49, "6M": 0.52},
    "ETH": {"1M": 0.63, "3M": 0.66, "6M": 0.68},
}
CARRIES: Final = {"BTC": {"1M": 0.061, "3M": 0.066, "6M": 0.071}, "ETH": {"1M": 0.055, "3M": 0.060, "6M": 0.064}}
_STABLECOINS: Final = {"USDC": Decimal("0.9999"), "RLUSD": Decimal("0.9998")}
_BUSINESS_DAYS: Final = 5

Path = list[float]
"""One value for each day, the last one 0: a log-return or a difference from the last day's level."""


@dataclass(frozen=True, slots=True)
class SimulatedHistory:
    """Daily levels of risk factors, None where the market was closed."""

    dates: tuple[date, ...]
    columns: Mapping[str, tuple[Decimal | None, ...]]


def simulated_history() -> SimulatedHistory:
    """Return the history that ends on LAST_DAY at the levels of `todays_levels`."""
    dates = tuple(LAST_DAY - timedelta(days=DAY_COUNT - 1 - number) for number in range(DAY_COUNT))
    random = Random(SEED)  # noqa: S311 - a market, not a secret
    columns = {name: _rounded(column, dates, is_business=is_business) for name, column, is_business in _columns(random)}
    return SimulatedHistory(dates, columns)


def todays_levels() -> dict[str, Decimal]:
    """Return the level of every risk factor at AS_OF."""
    levels = {f"spot:{coin}": _exact(last) for coin, (last, _, _) in COINS.items()}
    levels |= {f"spot:{coin}": last for coin, last in _STABLECOINS.items()}
    levels |= {f"fx:{currency}": _exact(last) for currency, (last, _) in CURRENCIES.items()}
    for kind, curves in (("zero", CURVES), ("vol", VOLATILITIES), ("basis", CARRIES)):
        levels |= {f"{kind}:{name}:{tenor}": _exact(last) for name, nodes in curves.items() for tenor, last in nodes.items()}
    return levels


def todays_marks() -> dict[str, Decimal]:
    """Return the marks of listed contracts at AS_OF: perpetuals a little off their spot, the dated future above it by its carry."""
    premiums = {"BTC": 0.0004, "ETH": 0.0003, "SOL": -0.0002, "XRP": 0.0005, "AVAX": -0.0006}
    marks = {f"{coin}-USD-PERP": _exact(COINS[coin][0] * (1 + premium)) for coin, premium in premiums.items()}
    return marks | {"BTC-26MAR27": future_price(COINS["BTC"][0])}


def future_price(spot: float) -> Decimal:
    """Return the price of the dated future on BTC at a spot price and the carry of AS_OF."""
    shorter, longer = CARRIES["BTC"]["3M"], CARRIES["BTC"]["6M"]
    carry = shorter + (longer - shorter) * (YEARS_TO_EXPIRY - 0.25) / 0.25
    return _exact(spot * math.exp(carry * YEARS_TO_EXPIRY))


def option_price(underlying: str, *, strike: float, is_call: bool) -> float:
    """Return the price in USD of an option that expires with the dated future (Black 1976), at the 3-month volatility of AS_OF."""
    forward = COINS[underlying][0] * math.exp(CARRIES[underlying]["3M"] * YEARS_TO_EXPIRY)
    deviation = VOLATILITIES[underlying]["3M"] * math.sqrt(YEARS_TO_EXPIRY)
    upper = math.log(forward / strike) / deviation + deviation / 2
    side = 1.0 if is_call else -1.0
    undiscounted = side * (forward * _normal(side * upper) - strike * _normal(side * (upper - deviation)))
    return math.exp(-CURVES["USD"]["3M"] * YEARS_TO_EXPIRY) * undiscounted


def moved(levels: Mapping[str, str], marks: Mapping[str, str], random: Random) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return levels and marks after one small step of a random walk in which the coins move together."""
    common = random.gauss(0.0, 0.0012)
    ratios = {coin: math.exp(share * common + random.gauss(0.0, 0.04 * own)) for coin, (_, share, own) in COINS.items()}
    stepped = {
        factor: _exact(float(level) * _step_ratio(factor, ratios, random)) if factor.startswith(("spot", "fx", "vol")) else Decimal(level)
        for factor, level in levels.items()
    }
    return stepped, {name: _exact(float(mark) * ratios.get(name.partition("-")[0], 1.0)) for name, mark in marks.items()}


def _step_ratio(factor: str, ratios: Mapping[str, float], random: Random) -> float:
    kind, name, *_ = factor.split(":")
    if kind == "spot":
        return ratios.get(name, 1.0)
    return math.exp(random.gauss(0.0, 0.0002 if kind == "fx" else 0.001))


def _columns(random: Random) -> Iterator[tuple[str, Path, bool]]:
    """Yield the level of each factor on each day, and whether it has business days only."""
    common = _common_returns(random)
    for coin, (last, share, own) in COINS.items():
        walk = _walk([share * move + random.gauss(0.0, own) for move in common], pull=0.003)
        yield f"spot:{coin}", [last * math.exp(move) for move in walk], False
    yield "spot:USDC", [float(_STABLECOINS["USDC"]) + move for move in _walk([_peg_move(random) for _ in common], pull=0.6)], False
    for currency, (last, volatility) in CURRENCIES.items():
        walk = _walk([random.gauss(0.0, volatility) for _ in common], pull=0.004)
        yield f"fx:{currency}", [last * math.exp(move) for move in walk], True
    for currency, nodes in CURVES.items():
        yield from ((f"zero:{currency}:{tenor}", column, True) for tenor, column in _curve(nodes, random))
    for coin, nodes in VOLATILITIES.items():
        surprise = _walk([0.9 * abs(move) - 0.018 + random.gauss(0.0, 0.03) for move in common], pull=0.05)
        for number, (tenor, last) in enumerate(nodes.items()):
            yield f"vol:{coin}:{tenor}", [last * math.exp(move / (1 + 0.5 * number)) for move in surprise], False
    for coin, nodes in CARRIES.items():
        mood = _walk([0.10 * move + random.gauss(0.0, 0.004) for move in common], pull=0.06)
        for number, (tenor, last) in enumerate(nodes.items()):
            yield f"basis:{coin}:{tenor}", [last + move / (1 + 0.6 * number) for move in mood], False


def _common_returns(random: Random) -> Path:
    """Return daily log-returns with spells of high volatility and, every few months, a sudden fall."""
    excitement, returns = 0.0, []
    for _ in range(DAY_COUNT):
        excitement = 0.97 * excitement + random.gauss(0.0, 0.12)
        fall = abs(random.gauss(0.07, 0.03)) if random.random() < 0.006 else 0.0
        returns.append(0.021 * math.exp(excitement) * random.gauss(0.02, 1.0) - fall)
    return returns


def _curve(nodes: Mapping[str, float], random: Random) -> Iterator[tuple[str, Path]]:
    """Yield zero rates whose short and long end move together for the most part."""
    parallel = _walk([random.gauss(0.0, 0.00045) for _ in range(DAY_COUNT)], pull=0.003)
    slope = _walk([random.gauss(0.0, 0.00022) for _ in range(DAY_COUNT)], pull=0.005)
    for number, (tenor, last) in enumerate(nodes.items()):
        tilt = 2 * number / (len(nodes) - 1) - 1
        yield tenor, [last + up + tilt * steeper for up, steeper in zip(parallel, slope, strict=True)]


def _peg_move(random: Random) -> float:
    return random.gauss(0.0, 0.00015) - (abs(random.gauss(0.0, 0.004)) if random.random() < 0.004 else 0.0)


def _walk(moves: Path, *, pull: float) -> Path:
    """Return the sum of moves, pulled back a little every day, as the distance from its own last value."""
    place, path = 0.0, []
    for move in moves:
        place += move - pull * place
        path.append(place)
    return [value - path[-1] for value in path]


def _rounded(column: Path, dates: tuple[date, ...], *, is_business: bool) -> tuple[Decimal | None, ...]:
    return tuple(
        None if is_business and day.weekday() >= _BUSINESS_DAYS else _exact(level) for day, level in zip(dates, column, strict=True)
    )


def _exact(level: float) -> Decimal:
    """Return a level as a market quotes it: six significant digits."""
    return Decimal(f"{level:.6g}")


def _normal(quantile: float) -> float:
    return 0.5 * math.erfc(-quantile / math.sqrt(2.0))
