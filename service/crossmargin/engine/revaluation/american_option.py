"""American options on spot, paid up in cash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import AmericanOption, Instrument
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrument, ByInstrumentBase, ByState, Index
from crossmargin.engine.kernels.option_prices import meeting_marks
from crossmargin.engine.revaluation.american_exercise import american_price
from crossmargin.engine.revaluation.forward_price import basis_curve, forward_price
from crossmargin.engine.revaluation.option_chain import (
    Strikes,
    Volatility,
    by_chain,
    carry_basis,
    carry_curve,
    discount_factor,
    strikes_of,
    volatility_at,
    volatility_curve,
)
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Outcome, Valuation, expired, terms_of

_LARGEST_TOTAL_VOLATILITY: Final = 8.0
"""N(4) is 1 to four digits: a mark above this explains no more."""
_HALVINGS: Final = 48
_UNMOVED: Final = np.zeros(1, dtype=np.int64)
_SPOT_BUMP: Final = 1e-4
"""Of the logarithm of spot, to either side: small beside any deviation, large beside the rounding of a price."""


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of options: multiplier x price, in the settlement asset.

    Rate and carry are those to expiry, held flat on the way. An option with a mark keeps the ratio of its own volatility to the surface.
    """
    return by_chain(instruments, market, key_of=_chain_key, read=_read_chain, value=_value_chain)


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return spot, carry and volatility of the underlying, and the discount curve."""
    terms = terms_of(instrument, AmericanOption)
    named = {spot_factor(terms.underlying).curve, basis_curve(terms.underlying), volatility_curve(terms.underlying)}
    return frozenset(named | {discount_curve(assets[terms.settlement])})


class _ChainKey(NamedTuple):
    underlying: InstrumentId
    settlement: InstrumentId
    expiry: datetime


@dataclass(frozen=True, eq=False)
class _Chain:
    """What the options of one expiry share. `spot`, `rate` and `carry` [M]; the last two per year, continuously compounded.

    `basis` says whether the carry has factors; `bases` [B] are the states that a market starts from.
    """

    settlement: InstrumentId
    group: OffsetGroup
    years: float
    spot: ByState
    rate: ByState
    carry: ByState
    basis: BasisKind
    volatility: Volatility
    bases: Index


def _chain_key(instrument: Instrument, market: ShockedMarket) -> _ChainKey:
    terms = terms_of(instrument, AmericanOption)
    if terms.expiry <= market.as_of:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
    return _ChainKey(terms.underlying, terms.settlement, terms.expiry)


def _read_chain(key: _ChainKey, market: ShockedMarket) -> _Chain:
    years = market.years_until(key.expiry)
    discount = discount_curve(market.assets[key.settlement])
    spot = forward_price(market, key.underlying, years=0.0, carry_curve=None)
    forward = forward_price(market, key.underlying, years=years, carry_curve=carry_curve(key.underlying, discount, market))
    return _Chain(
        settlement=key.settlement,
        group=market.group(spot_factor(key.underlying)),
        years=years,
        spot=spot,
        rate=-np.log(discount_factor(discount, years, market)) / years,
        carry=np.log(forward / spot) / years,
        basis=carry_basis(key.underlying, market),
        volatility=volatility_at(volatility_curve(key.underlying), years, market),
        bases=market.bases,
    )


def _value_chain(members: Sequence[Instrument], chain: _Chain, market: ShockedMarket) -> list[Outcome]:
    strikes = strikes_of(members, market)
    own = np.where(np.isnan(strikes.mark), chain.volatility.total, _implied_total_volatility(chain, strikes)) / np.sqrt(chain.years)
    prices = np.array([_prices(chain, strikes, row, own[row] * chain.volatility.ratio) for row in range(len(members))])
    multipliers = np.array([float(terms_of(member, AmericanOption).multiplier) for member in members])
    values = multipliers[:, np.newaxis] * meeting_marks(prices, strikes.mark)
    exposures = multipliers[:, np.newaxis] * _price_exposures(chain, strikes, own)
    notionals = multipliers[:, np.newaxis] * chain.spot[chain.bases]
    return [
        Valuation(
            (Claim(chain.settlement, value, chain.group, exposure),),
            chain.years,
            notional=notional,
            basis=chain.basis,
            is_option=True,
        )
        for value, exposure, notional in zip(values, exposures, notionals, strict=True)
    ]


def _prices(chain: _Chain, strikes: Strikes, row: int, volatility: ByState) -> ByState:
    """Return [M] the prices of one option of the chain: a chain at once would not fit the cache."""
    return american_price(
        spot=chain.spot,
        strike=strikes.strike[row],
        years=chain.years,
        rate=chain.rate,
        carry=chain.carry,
        volatility=volatility,
        sign=strikes.sign[row],
    )


def _implied_total_volatility(chain: _Chain, strikes: Strikes) -> ByInstrument:
    """Return [I] sigma sqrt(T) at which each option is worth its mark in the unmoved state, or the nearest bound; by bisection."""
    low, high = np.zeros_like(strikes.strike), np.full_like(strikes.strike, _LARGEST_TOTAL_VOLATILITY)
    if np.isnan(strikes.mark).all():
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        price = _prices_at(_UNMOVED, chain, strikes, middle[:, np.newaxis] / np.sqrt(chain.years))[:, 0]
        low, high = np.where(price < strikes.mark, middle, low), np.where(price < strikes.mark, high, middle)
    return 0.5 * (low + high)


def _price_exposures(chain: _Chain, strikes: Strikes, volatility: ByInstrument) -> ByInstrumentBase:
    """Return [I, B] derivatives of the base prices by the logarithm of spot, as central differences: the formula has no short delta."""
    moved = volatility[:, np.newaxis] * chain.volatility.ratio[chain.bases]
    up, down = (_prices_at(chain.bases, chain, strikes, moved, log_move=move) for move in (_SPOT_BUMP, -_SPOT_BUMP))
    exposures: ByInstrumentBase = (up - down) / (2.0 * _SPOT_BUMP)
    return exposures


def _prices_at(states: Index, chain: _Chain, strikes: Strikes, volatility: ByInstrumentBase, *, log_move: float = 0.0) -> ByInstrumentBase:
    """Return the prices in some states, a column for each, with the logarithm of spot moved; `volatility` has the same shape."""
    return american_price(
        spot=chain.spot[states] * np.exp(log_move),
        strike=strikes.strike[:, np.newaxis],
        years=chain.years,
        rate=chain.rate[states],
        carry=chain.carry[states],
        volatility=volatility,
        sign=strikes.sign[:, np.newaxis],
    )
