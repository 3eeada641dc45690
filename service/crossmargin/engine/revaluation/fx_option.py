"""Options on a currency pair: Garman and Kohlhagen (1983) through the forward, with the zero curves of both currencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.instrument import Cash, FxOption, Instrument
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByState
from crossmargin.engine.kernels.black76 import black76_delta
from crossmargin.engine.revaluation.option_chain import (
    Volatility,
    by_chain,
    chain_prices,
    discount_factor,
    strikes_of,
    volatility_at,
    volatility_curve,
)
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Outcome, Valuation, expired, terms_of


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
    """What the options of one pair and expiry share.

    Attributes:
        group: Of the pair's volatility.
        exchanged: Group of the currency that a call buys, or of the other one where that is the base currency.
        basis: Whether both currencies have a curve, so that factors move the forward against spot.
        rate: [M] spot, settlement per unit.
        discount: [M] to expiry, of the currency; settlement_discount: [M] of the other.
    """

    key: _ChainKey
    group: OffsetGroup
    exchanged: OffsetGroup | None
    basis: BasisKind
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
    discounts = [discount_curve(asset) for asset in pair]
    return _Chain(
        key=key,
        group=market.curve_group(curve),
        exchanged=market.price_group(key.currency) or market.price_group(key.settlement),
        basis=BasisKind.FACTORED if all(map(market.has_curve, discounts)) else BasisKind.DATED,
        years=years,
        rate=market.price(key.currency) / market.price(key.settlement),
        discount=discount_factor(discounts[0], years, market),
        settlement_discount=discount_factor(discounts[1], years, market),
        volatility=volatility,
    )


def _value_chain(members: Sequence[Instrument], chain: _Chain, market: ShockedMarket) -> list[Outcome]:
    strikes = strikes_of(members, market)
    forward = chain.rate * chain.discount / chain.settlement_discount
    prices, own = chain_prices(
        strikes, forward=forward, unit=chain.settlement_discount, volatility=chain.volatility, kernels=market.kernels
    )
    total = own[:, np.newaxis] * chain.volatility.ratio
    strike, sign = strikes.strike[:, np.newaxis], strikes.sign[:, np.newaxis]
    exchanged = chain.discount * black76_delta(forward=forward, strike=strike, total_volatility=total, sign=sign)
    rest = prices - exchanged * chain.rate
    return [_valuation(chain, amount, paid, market) for amount, paid in zip(exchanged, rest, strict=True)]


def _valuation(chain: _Chain, exchanged: ByState, rest: ByState, market: ShockedMarket) -> Valuation:
    """Return the valuation of one option. The amounts are the delta, so how they change with the rate is worth nothing at first order."""
    nothing = np.zeros(len(market.bases))
    claims = (Claim(chain.key.currency, exchanged, chain.group, nothing), Claim(chain.key.settlement, rest, chain.group, nothing))
    return Valuation(claims, chain.years, notional=chain.rate[market.bases], basis=chain.basis, is_option=True, group=chain.exchanged)
