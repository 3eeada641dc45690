"""A market of chains of options, bonds and perpetuals that ticks: 3,206 instruments, all of their terms different, made from a seed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Bill, EuropeanOption, FixedRateBond, Instrument, OptionRight, Payoff, Perpetual, PremiumStyle
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from tests.builders import cash, coin, risk_parameters

AS_OF: Final = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
CHAINS, STRIKES, BONDS, PERPETUALS, SCENARIOS = 20, 100, 800, 400, 500
_COINS: Final = {"BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "XRP": 2.0}
_ZERO: Final = {"1M": 0.041, "1Y": 0.039, "2Y": 0.0385, "5Y": 0.04, "10Y": 0.043, "30Y": 0.046}
_ASSETS: Final = (cash("USD"), cash("EUR"), *map(coin, _COINS))


def instruments(*, times: float = 1) -> tuple[Instrument, ...]:
    """Return assets, and so many times 20 chains of 100 options, 800 bonds and bills of two currencies, and 400 perpetuals."""
    random = np.random.default_rng(3)
    bonds, perpetuals = (_bond(place, random) for place in range(int(times * BONDS))), map(_perpetual, range(int(times * PERPETUALS)))
    return (*_ASSETS, *_options(times), *bonds, *perpetuals)


def snapshot(tick: int, *, is_marked: bool = True, times: float = 1) -> MarketSnapshot:
    """Return the market a tenth of a second times `tick` later: every level has moved; options and bonds have marks, unless said."""
    random = np.random.default_rng(100 + tick)
    levels = {f"spot:{name}": price * np.exp(0.001 * random.normal()) for name, price in _COINS.items()}
    levels["fx:EUR"] = 1.1 * np.exp(0.0001 * random.normal())
    for name in _COINS:
        levels |= {f"basis:{name}:{tenor}": 0.05 + 0.001 * random.normal() for tenor in ("1M", "6M")}
        levels |= {f"vol:{name}:{tenor}": 0.6 + 0.005 * random.normal() for tenor in ("1W", "1M", "3M", "6M", "1Y")}
    for currency in ("USD", "EUR"):
        levels |= {f"zero:{currency}:{tenor}": rate + 0.0001 * random.normal() for tenor, rate in _ZERO.items()}
    marks: dict[InstrumentId, Decimal] = {}
    if is_marked:
        marks |= {InstrumentId(f"BOND{place:04}"): as_decimal(random.uniform(92, 104)) for place in range(int(times * BONDS))}
        marks |= {each.instrument_id: _option_mark(each, levels, random) for each in _options(times)}
    known = {FactorId.parse(name): as_decimal(level) for name, level in levels.items()}
    return MarketSnapshot(AS_OF + timedelta(seconds=0.1 * tick), known, marks)


def scenario_set() -> ScenarioSet:
    """Return 500 joint moves of all factors."""
    return scenario_set_of(snapshot(0))


def scenario_set_of(market: MarketSnapshot) -> ScenarioSet:
    """Return 500 joint moves of the factors of a snapshot."""
    factors = tuple(sorted(market.levels))
    scale = np.array([{"zero": 0.005, "basis": 0.01}.get(factor.kind_code, 0.1) for factor in factors])
    shocks = np.random.default_rng(9).standard_t(4, (SCENARIOS, len(factors))) * scale
    names = tuple(f"move {place}" for place in range(SCENARIOS))
    return ScenarioSet(factors, shocks, np.full(SCENARIOS, 1.0 / SCENARIOS), names, SCENARIOS, {}, {})


def parameters() -> RiskParameters:
    """Return a set that knows the factors' groups."""
    return risk_parameters(offset_groups=groups())


def groups() -> list[dict[str, object]]:
    """Return the offset groups as a document spells them."""
    coins = [group(name, "CRYPTO", f"spot:{name}", f"vol:{name}", f"basis:{name}") for name in _COINS]
    rates = [group(f"{currency}-RATES", "FIXED_INCOME", f"zero:{currency}") for currency in ("USD", "EUR")]
    return [*coins, group("EUR", "FX", "fx:EUR"), *rates]


def group(group_id: str, asset_class: str, *curves: str) -> dict[str, object]:
    """Return one offset group likewise."""
    return {"group_id": group_id, "asset_class": asset_class, "mpor_days": 2, "mpor_clock": "calendar", "curves": list(curves)}


def as_decimal(value: float, *, digits: int = 8) -> Decimal:
    """Return a number as it would be quoted, with so many digits."""
    return Decimal(f"{value:.{digits}g}")


def _options(times: float) -> list[Instrument]:
    coins = list(_COINS)
    made = []
    for chain in range(int(times * CHAINS)):
        name = coins[chain % len(coins)]
        expiry = AS_OF.replace(hour=8, minute=0) + timedelta(days=7 + 18 * chain)
        for place in range(STRIKES):
            strike = as_decimal(_COINS[name] * (0.5 + 0.015 * (place // 2)), digits=5)
            right = OptionRight.CALL if place % 2 else OptionRight.PUT
            in_coins = chain % 2 == 1
            premium = PremiumStyle.COIN_SETTLED if in_coins else PremiumStyle.CASH_PAID
            terms = EuropeanOption(
                InstrumentId(name), InstrumentId(name if in_coins else "USD"), Decimal(1), right, strike, expiry, premium
            )
            made.append(Instrument(InstrumentId(f"OPT{chain:02}-{place:03}"), terms, 4))
    return made


def _option_mark(option: Instrument, levels: dict[str, float], random: np.random.Generator) -> Decimal:
    """Return a price between the bounds: intrinsic value, and some of what is left."""
    terms = option.terms
    assert isinstance(terms, EuropeanOption)
    spot, strike = levels[f"spot:{terms.underlying}"], float(terms.strike)
    intrinsic = max(0.0, (spot - strike) if terms.right is OptionRight.CALL else (strike - spot))
    price = intrinsic + random.uniform(0.05, 0.1) * min(spot, strike)
    return as_decimal(price / spot if terms.premium is PremiumStyle.COIN_SETTLED else price)


def _bond(place: int, random: np.random.Generator) -> Instrument:
    currency = InstrumentId("EUR" if place % 4 == 0 else "USD")
    maturity = date(2026, 6, 1) + timedelta(days=int(random.integers(1, 365 * 28)))
    if place % 10 == 0:
        return Instrument(InstrumentId(f"BOND{place:04}"), Bill(currency, date(2026, 6, 1) + timedelta(days=place // 5)), 2)
    terms = FixedRateBond(currency, as_decimal(random.uniform(0.005, 0.06), digits=3), 2, date(2020, 1, 15), maturity)
    return Instrument(InstrumentId(f"BOND{place:04}"), terms, 2)


def _perpetual(place: int) -> Instrument:
    name = list(_COINS)[place % len(_COINS)]
    settlement, payoff = (name, Payoff.INVERSE) if place % 3 == 0 else ("USD", Payoff.LINEAR)
    return Instrument(
        InstrumentId(f"PERP{place:03}"), Perpetual(InstrumentId(name), InstrumentId(settlement), Decimal(1 + place), payoff), 4
    )
