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
from crossmargin.engine.axes import ByInstrument, ByState
from crossmargin.engine.revaluation.american_exercise import american_price
from crossmargin.engine.revaluation.forward_price import basis_curve, forward_price
from crossmargin.engine.revaluation.option_chain import (
    Strikes,
    Volatility,
    by_chain,
    carry_basis,
    carry_curve,
    discount_factor,
    meeting_marks,
    strikes_of,
    volatility_at,
    volatility_curve,
)
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Outcome, Valuation, expired, terms_of

_LARGEST_TOTAL_VOLATILITY: Final = 8.0
"""N(4) is 1 to four digits: a mark above this explains no more."""
_HALVINGS: Final = 48
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

    `basis` says whether the carry has factors.
    """

    settlement: InstrumentId
    group: OffsetGroup
    years: float
    spot: ByState
    rate: ByState
    carry: ByState
    basis: BasisKind
    volatility: Volatility


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
    )


def _value_chain(members: Sequence[Instrument], chain: _Chain, market: ShockedMarket) -> list[Outcome]:
    strikes = strikes_of(members, market)
    own = np.where(np.isnan(strikes.mark), chain.volatility.total, _implied_total_volatility(chain, strikes)) / np.sqrt(chain.years)
    prices = np.array([_prices(chain, strikes, row, own[row] * chain.volatility.ratio) for row in range(len(members))])
    multipliers = np.array([float(terms_of(member, AmericanOption).multiplier) for member in members])
    values = multipliers[:, np.newaxis] * meeting_marks(prices, strikes.mark)
    exposures = multipliers * _price_exposures(chain, strikes, own)
    notionals = multipliers * chain.spot[0]
    return [
        Valuation(
            (Claim(chain.settlement, value, chain.group, float(exposure)),),
            chain.years,
            notional=float(notional),
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
    """Return [I] sigma sqrt(T) at which each option is worth its mark in the base state, or the nearest bound; by bisection."""
    low, high = np.zeros_like(strikes.strike), np.full_like(strikes.strike, _LARGEST_TOTAL_VOLATILITY)
    if np.isnan(strikes.mark).all():
        return low
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        price = _base_prices(chain, strikes, middle / np.sqrt(chain.years))
        low, high = np.where(price < strikes.mark, middle, low), np.where(price < strikes.mark, high, middle)
    return 0.5 * (low + high)


def _price_exposures(chain: _Chain, strikes: Strikes, volatility: ByInstrument) -> ByInstrument:
    """Return [I] derivatives of the base prices by the logarithm of spot, as central differences: the formula has no short delta."""
    up, down = (_base_prices(chain, strikes, volatility, log_move=move) for move in (_SPOT_BUMP, -_SPOT_BUMP))
    exposures: ByInstrument = (up - down) / (2.0 * _SPOT_BUMP)
    return exposures


def _base_prices(chain: _Chain, strikes: Strikes, volatility: ByInstrument, *, log_move: float = 0.0) -> ByInstrument:
    """Return [I] prices in the base state, with the logarithm of spot moved."""
    return american_price(
        spot=chain.spot[0] * np.exp(log_move),
        strike=strikes.strike,
        years=chain.years,
        rate=chain.rate[0],
        carry=chain.carry[0],
        volatility=volatility,
        sign=strikes.sign,
    )
