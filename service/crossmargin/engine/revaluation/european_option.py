"""European options on spot and on futures, chain by chain: all strikes of one expiry share forward, discounting and volatility shock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import EuropeanOption, Instrument, PremiumStyle
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrument, ByInstrumentBase, ByState, Index
from crossmargin.engine.kernels.black76 import black76_delta
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation.bundle import Asked, Bundle, ClaimBundle, Members, PreparedKind, Valued
from crossmargin.engine.revaluation.forward_price import basis_curve, forward_price
from crossmargin.engine.revaluation.option_chain import (
    Priced,
    Strikes,
    Volatility,
    carry_basis,
    carry_curve,
    discount_factor,
    own_volatilities,
    prices_at,
    sign_of,
    volatility_at,
    volatility_curve,
)
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, attempt, expired, terms_of


def prepare(members: Members) -> PreparedKind:
    """Return options, chain by chain: multiplier x price, in the settlement asset."""
    places: defaultdict[_ChainKey, list[int]] = defaultdict(list)
    for place, instrument in enumerate(members.instruments):
        terms = terms_of(instrument, EuropeanOption)
        key = _ChainKey(terms.underlying, terms.settlement, terms.premium, terms.expiry, terms.future_expiry or terms.expiry)
        places[key].append(place)
    return _PreparedChains(tuple(_laid_out(key, members, members_of) for key, members_of in places.items()))


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return spot, carry and volatility of the underlying and, unless it is settled in the coin, the discount curve."""
    terms = terms_of(instrument, EuropeanOption)
    always = {spot_factor(terms.underlying).curve, basis_curve(terms.underlying), volatility_curve(terms.underlying)}
    if terms.premium is not PremiumStyle.COIN_SETTLED:
        always.add(discount_curve(assets[terms.settlement]))
    return frozenset(always)


class _ChainKey(NamedTuple):
    underlying: InstrumentId
    settlement: InstrumentId
    premium: PremiumStyle
    expiry: datetime
    forward_until: datetime


@dataclass(frozen=True, eq=False)
class _Options:
    """The options [I] of a chain, in rows of all instruments: strike, +1 for a call and -1 for a put, and multiplier."""

    key: _ChainKey
    instruments: tuple[Instrument, ...]
    rows: Index
    strike: ByInstrument
    sign: ByInstrument
    multiplier: ByInstrument

    def at(self, places: Index) -> _Options:
        if len(places) == len(self.rows):
            return self
        instruments = tuple(self.instruments[place] for place in places.tolist())
        return _Options(self.key, instruments, self.rows[places], self.strike[places], self.sign[places], self.multiplier[places])


def _laid_out(key: _ChainKey, members: Members, places: Sequence[int]) -> _Options:
    instruments = tuple(members.instruments[place] for place in places)
    terms = [terms_of(instrument, EuropeanOption) for instrument in instruments]
    return _Options(
        key=key,
        instruments=instruments,
        rows=members.rows[places],
        strike=np.array([float(each.strike) for each in terms]),
        sign=np.array([sign_of(each.right) for each in terms]),
        multiplier=np.array([float(each.multiplier) for each in terms]),
    )


@dataclass(frozen=True, eq=False)
class _PreparedChains:
    chains: tuple[_Options, ...]

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        valued, read = Valued(), list[tuple[_Options, _Chain]]()
        for options in self.chains:
            left = options.at(np.flatnonzero(asked.is_valued[options.rows]))
            if options.key.expiry <= market.as_of:
                ended = [expired(each, ended=options.key.expiry, as_of=market.as_of) for each in left.instruments]
                valued.errors |= dict(zip(left.rows.tolist(), ended, strict=True))
            elif len(left.rows):
                chain = attempt(_read_chain, options.key, market)
                if isinstance(chain, DomainError):
                    valued.errors |= dict.fromkeys(left.rows.tolist(), chain)
                else:
                    read.append((left, chain))
        totals = own_volatilities([(_strikes(options, asked), chain.priced) for options, chain in read])
        for (options, chain), total in zip(read, totals, strict=True):
            valued.bundles.append(_value_chain(options, chain, _strikes(options, asked), total, market.kernels))
        return valued


def _strikes(options: _Options, asked: Asked) -> Strikes:
    return Strikes(options.strike, options.sign, asked.mark[options.rows])


@dataclass(frozen=True, eq=False)
class _Chain:
    """What the options of one expiry share.

    Attributes:
        years: Actual/365 to expiry.
        forward: [M] forward price of the underlying for the expiry of the option, or of the future that it is on.
        unit: [M] settlement assets for one unit of undiscounted price: the discount factor; 1 / forward when settled in the coin; 1
            for a margined option, whose payout is discounted by nobody because it is settled as it builds up.
        is_in_coins: True when settled in the coin.
        basis: Whether the forward's carry has factors.
        bases: [B] states that a market starts from.
    """

    settlement: InstrumentId
    group: OffsetGroup
    years: float
    forward: ByState
    unit: ByState
    is_in_coins: bool
    basis: BasisKind
    volatility: Volatility
    bases: Index

    @property
    def priced(self) -> Priced:
        """What prices depend on."""
        return Priced(self.forward, self.unit, self.volatility)


def _read_chain(key: _ChainKey, market: ShockedMarket) -> _Chain:
    years = market.years_until(key.expiry)
    discount = discount_curve(market.assets[key.settlement])
    carry = carry_curve(key.underlying, None if key.premium is PremiumStyle.COIN_SETTLED else discount, market)
    forward = forward_price(market, key.underlying, years=market.years_until(key.forward_until), carry_curve=carry)
    match key.premium:
        case PremiumStyle.CASH_PAID:
            unit = discount_factor(discount, years, market)
        case PremiumStyle.COIN_SETTLED:
            unit = 1.0 / forward
        case PremiumStyle.MARGINED:
            unit = np.ones_like(forward)
    return _Chain(
        settlement=key.settlement,
        group=market.group(spot_factor(key.underlying)),
        years=years,
        forward=forward,
        unit=unit,
        is_in_coins=key.premium is PremiumStyle.COIN_SETTLED,
        basis=carry_basis(key.underlying, market),
        volatility=volatility_at(volatility_curve(key.underlying), years, market),
        bases=market.bases,
    )


def _value_chain(options: _Options, chain: _Chain, strikes: Strikes, own: ByInstrument, kernels: Kernels) -> Bundle:
    """Return the values of options whose sigma sqrt(T) in the base state is `own` [I]."""
    prices = prices_at(strikes, chain.priced, own, kernels)
    total = own[:, np.newaxis] * chain.volatility.ratio[chain.bases]
    multipliers = options.multiplier[:, np.newaxis]
    exposures = multipliers * _price_exposures(chain, strikes, total, prices[:, chain.bases])
    # A coin-settled option is on one coin; one in money on a coin at its forward price.
    notionals = multipliers * (np.ones(len(chain.bases)) if chain.is_in_coins else chain.forward[chain.bases])
    prices *= multipliers
    return Bundle(
        rows=options.rows,
        settlement=chain.settlement,
        claims=(ClaimBundle(chain.settlement, prices, chain.group, exposures),),
        residual_years=np.full(len(own), chain.years),
        notional=notionals,
        basis=chain.basis,
        is_option=True,
    )


def _price_exposures(chain: _Chain, strikes: Strikes, total_volatility: ByInstrumentBase, prices: ByInstrumentBase) -> ByInstrumentBase:
    """Return [I, B] derivatives of the base prices by the logarithm of spot: delta, less what the price loses in coins when coins rise."""
    forward = chain.forward[chain.bases]
    delta = black76_delta(
        forward=forward, strike=strikes.strike[:, np.newaxis], total_volatility=total_volatility, sign=strikes.sign[:, np.newaxis]
    )
    exposures: ByInstrumentBase = delta - prices if chain.is_in_coins else delta * chain.unit[chain.bases] * forward
    return exposures
