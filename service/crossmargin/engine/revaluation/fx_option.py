"""Options on a currency pair: Garman and Kohlhagen (1983) through the forward, with the zero curves of both currencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Cash, FxOption, Instrument
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByState
from crossmargin.engine.revaluation.black76 import exercise_chance
from crossmargin.engine.revaluation.option_chain import (
    Volatility,
    by_chain,
    chain_prices,
    discount_factor,
    strikes_of,
    volatility_at,
    volatility_curve,
)
from crossmargin.engine.revaluation.shocked_market import BASE_CURRENCY, ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import Claim, Outcome, Valuation, expired, terms_of


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of options, per unit of the currency that a call buys.

    The value is a claim on both currencies: what the holder would exchange, sign N(sign d1) discounted units of one against the rest of
    the value in the other. So the option nets with the forward that hedges it, in a cross as well as against the dollar. What changes
    the amounts belongs to the group of the pair's volatility.
    """
    return by_chain(instruments, market, key_of=_chain_key, read=_read_chain, value=_value_chain)


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the volatility of the pair and the discount curves of both currencies."""
    terms = terms_of(instrument, FxOption)
    pair = assets[terms.currency], assets[terms.settlement]
    return frozenset({pair_volatility_curve(*pair), *(discount_curve(asset) for asset in pair)})


def pair_volatility_curve(currency: Instrument, settlement: Instrument) -> str:
    """Return the name of the curve of a pair's volatility: of the other currency against the dollar, else of both in their order."""
    codes = [asset.terms.currency for asset in (currency, settlement) if isinstance(asset.terms, Cash)]
    return volatility_curve("".join(code for code in codes if code != BASE_CURRENCY))


class _ChainKey(NamedTuple):
    currency: InstrumentId
    settlement: InstrumentId
    expiry: datetime


@dataclass(frozen=True, eq=False)
class _Chain:
    """What the options of one pair and expiry share. `discount` and `settlement_discount` [M]; `rate` [M] spot, settlement per unit."""

    key: _ChainKey
    group: OffsetGroup
    years: float
    rate: ByState
    discount: ByState
    settlement_discount: ByState
    volatility: Volatility


def _chain_key(instrument: Instrument, market: ShockedMarket) -> _ChainKey:
    terms = terms_of(instrument, FxOption)
    if terms.expiry <= market.as_of:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
    return _ChainKey(terms.currency, terms.settlement, terms.expiry)


def _read_chain(key: _ChainKey, market: ShockedMarket) -> _Chain:
    years = market.years_until(key.expiry)
    pair = market.assets[key.currency], market.assets[key.settlement]
    curve = pair_volatility_curve(*pair)
    volatility = volatility_at(curve, years, market)
    return _Chain(
        key=key,
        group=market.curve_group(curve),
        years=years,
        rate=market.price(key.currency) / market.price(key.settlement),
        discount=discount_factor(discount_curve(pair[0]), years, market),
        settlement_discount=discount_factor(discount_curve(pair[1]), years, market),
        volatility=volatility,
    )


def _value_chain(members: Sequence[Instrument], chain: _Chain, market: ShockedMarket) -> list[Outcome]:
    strikes = strikes_of(members, market)
    forward = chain.rate * chain.discount / chain.settlement_discount
    prices, total = chain_prices(strikes, forward=forward, unit=chain.settlement_discount, volatility=chain.volatility)
    sign = strikes.sign[:, np.newaxis]
    chance = exercise_chance(forward=forward, strike=strikes.strike[:, np.newaxis], total_volatility=total, sign=sign)
    exchanged = sign * chance * chain.discount
    rest = prices - exchanged * chain.rate
    return [
        Valuation((Claim(chain.key.currency, amount, chain.group), Claim(chain.key.settlement, paid, chain.group)), chain.years)
        for amount, paid in zip(exchanged, rest, strict=True)
    ]
