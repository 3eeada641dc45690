"""European options on spot and on futures, chain by chain: all strikes of one expiry share forward, discounting and volatility shock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import EuropeanOption, Instrument, PremiumStyle
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrumentBase, ByState, Index
from crossmargin.engine.kernels.black76 import black76_delta
from crossmargin.engine.revaluation.forward_price import basis_curve, forward_price
from crossmargin.engine.revaluation.option_chain import (
    Strikes,
    Volatility,
    by_chain,
    carry_basis,
    carry_curve,
    chain_prices,
    discount_factor,
    strikes_of,
    volatility_at,
    volatility_curve,
)
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Outcome, Valuation, expired, terms_of


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of options: multiplier x price, in the settlement asset."""
    return by_chain(instruments, market, key_of=_chain_key, read=_read_chain, value=_value_chain)


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


def _chain_key(instrument: Instrument, market: ShockedMarket) -> _ChainKey:
    terms = terms_of(instrument, EuropeanOption)
    if terms.expiry <= market.as_of:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
    return _ChainKey(terms.underlying, terms.settlement, terms.premium, terms.expiry, terms.future_expiry or terms.expiry)


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


def _value_chain(members: Sequence[Instrument], chain: _Chain, market: ShockedMarket) -> list[Outcome]:
    strikes = strikes_of(members, market)
    prices, own = chain_prices(strikes, forward=chain.forward, unit=chain.unit, volatility=chain.volatility, kernels=market.kernels)
    total = own[:, np.newaxis] * chain.volatility.ratio[chain.bases]
    multipliers = np.array([float(terms_of(member, EuropeanOption).multiplier) for member in members])
    values = multipliers[:, np.newaxis] * prices
    exposures = multipliers[:, np.newaxis] * _price_exposures(chain, strikes, total, prices[:, chain.bases])
    # A coin-settled option is on one coin; one in money on a coin at its forward price.
    notionals = multipliers[:, np.newaxis] * (np.ones(len(chain.bases)) if chain.is_in_coins else chain.forward[chain.bases])
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


def _price_exposures(chain: _Chain, strikes: Strikes, total_volatility: ByInstrumentBase, prices: ByInstrumentBase) -> ByInstrumentBase:
    """Return [I, B] derivatives of the base prices by the logarithm of spot: delta, less what the price loses in coins when coins rise."""
    forward = chain.forward[chain.bases]
    delta = black76_delta(
        forward=forward, strike=strikes.strike[:, np.newaxis], total_volatility=total_volatility, sign=strikes.sign[:, np.newaxis]
    )
    exposures: ByInstrumentBase = delta - prices if chain.is_in_coins else delta * chain.unit[chain.bases] * forward
    return exposures
