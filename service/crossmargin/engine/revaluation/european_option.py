"""European options, valued chain by chain: all strikes of one expiry share the forward, the discounting and the volatility shock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import EuropeanOption, Instrument, OptionRight, PremiumStyle
from crossmargin.domain.market import FactorKind
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrument, ByInstrumentBase, ByInstrumentState, ByState, Index
from crossmargin.engine.revaluation.black76 import black76, black76_delta, implied_total_volatility
from crossmargin.engine.revaluation.discounting import discount_factors
from crossmargin.engine.revaluation.forward_price import basis_curve, forward_price
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Outcome, Valuation, attempt, expired, terms_of


def revalue(instruments: Sequence[Instrument], market: ShockedMarket) -> list[Outcome]:
    """Return the outcomes of options: multiplier x price, in the settlement asset."""
    outcomes: dict[InstrumentId, Outcome] = {}
    chains: defaultdict[_ChainKey, list[Instrument]] = defaultdict(list)
    for instrument in instruments:
        key = attempt(_chain_key, instrument, market)
        if isinstance(key, DomainError):
            outcomes[instrument.instrument_id] = key
        else:
            chains[key].append(instrument)
    for key, members in chains.items():
        chain = attempt(_read_chain, key, market)
        outcomes |= dict.fromkeys(_ids(members), chain) if isinstance(chain, DomainError) else _revalue_chain(members, chain, market)
    return [outcomes[instrument.instrument_id] for instrument in instruments]


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return spot, carry and volatility of the underlying and, for an option paid in cash, the discount curve."""
    terms = terms_of(instrument, EuropeanOption)
    always = {spot_factor(terms.underlying).curve, basis_curve(terms.underlying), volatility_curve(terms.underlying)}
    if terms.premium is PremiumStyle.CASH_PAID:
        always.add(discount_curve(assets[terms.settlement]))
    return frozenset(always)


def volatility_curve(underlying: InstrumentId) -> str:
    """Return the name of the curve of implied volatilities of an underlying."""
    return f"{FactorKind.VOL.value}:{underlying}"


class _ChainKey(NamedTuple):
    underlying: InstrumentId
    settlement: InstrumentId
    premium: PremiumStyle
    expiry: datetime


@dataclass(frozen=True, eq=False)
class _Chain:
    """What the options of one expiry share.

    Attributes:
        years: Actual/365 to expiry.
        forward: [M] forward price of the underlying.
        unit: [M] settlement assets for one unit of undiscounted price: the discount factor, or 1 / forward when settled in the coin.
        is_in_coins: True when settled in the coin.
        basis: Whether the forward's carry has factors.
        total_volatility: sigma sqrt(T) of the surface, base state.
        volatility_ratio: [M] shocked over base volatility.
        bases: [B] states that a market starts from.
    """

    settlement: InstrumentId
    group: OffsetGroup
    years: float
    forward: ByState
    unit: ByState
    is_in_coins: bool
    basis: BasisKind
    total_volatility: float
    volatility_ratio: ByState
    bases: Index


def _chain_key(instrument: Instrument, market: ShockedMarket) -> _ChainKey:
    terms = terms_of(instrument, EuropeanOption)
    if terms.expiry <= market.as_of:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
    return _ChainKey(terms.underlying, terms.settlement, terms.premium, terms.expiry)


def _ids(members: Sequence[Instrument]) -> list[InstrumentId]:
    return [member.instrument_id for member in members]


def _read_chain(key: _ChainKey, market: ShockedMarket) -> _Chain:
    years = market.years_until(key.expiry)
    tenor = np.array([years])
    discount = discount_curve(market.assets[key.settlement])
    carry_curve = _carry_curve(key, discount, market)
    forward = forward_price(market, key.underlying, years=years, carry_curve=carry_curve)
    surface = market.curve(volatility_curve(key.underlying))
    surface.check(tenor)
    is_in_coins = key.premium is PremiumStyle.COIN_SETTLED
    return _Chain(
        settlement=key.settlement,
        group=market.group(spot_factor(key.underlying)),
        years=years,
        forward=forward,
        unit=1.0 / forward if is_in_coins else _discount(discount, tenor, market),
        is_in_coins=is_in_coins,
        basis=BasisKind.FACTORED if carry_curve == basis_curve(key.underlying) else BasisKind.DATED,
        total_volatility=float(surface.levels_at(tenor)[0] * np.sqrt(years)),
        volatility_ratio=np.exp(surface.moves_at(tenor)[0]),
        bases=market.bases,
    )


def _carry_curve(key: _ChainKey, discount: str, market: ShockedMarket) -> str | None:
    """Return the curve that the forward grows at: futures carry if there is any, else what financing cash costs, else none."""
    if market.has_curve(basis_curve(key.underlying)):
        return basis_curve(key.underlying)
    return discount if key.premium is PremiumStyle.CASH_PAID and market.has_curve(discount) else None


def _discount(curve: str, tenor: NDArray[np.float64], market: ShockedMarket) -> ByState:
    """Return [M] discount factor to expiry; 1 where the snapshot has no zero curve of the settlement asset."""
    if not market.has_curve(curve):
        return np.ones(1 + len(market.scenarios.names))
    market.curve(curve).check(tenor)
    factor: ByState = discount_factors(market.curve(curve), tenor)[0]
    return factor


def _revalue_chain(members: Sequence[Instrument], chain: _Chain, market: ShockedMarket) -> dict[InstrumentId, Outcome]:
    """Value options at their marks where there are any, each then keeping its own volatility's ratio to the surface.

    Whatever of a mark no volatility explains, when it lies outside the no-arbitrage bounds, is held fixed as a price.
    """
    terms = [terms_of(member, EuropeanOption) for member in members]
    strikes = np.array([float(each.strike) for each in terms])
    signs = np.array([1.0 if each.right is OptionRight.CALL else -1.0 for each in terms])
    multipliers = np.array([float(each.multiplier) for each in terms])
    marks = np.array([np.nan if mark is None else mark for mark in map(market.mark, members)])
    volatility = _own_volatility(chain, strikes, signs, marks)
    prices = _prices(chain, strikes, signs, volatility)
    prices += np.where(np.isnan(marks), 0.0, marks - prices[:, 0])[:, np.newaxis]
    values = multipliers[:, np.newaxis] * prices
    exposures = multipliers[:, np.newaxis] * _price_exposures(chain, strikes, signs, volatility, prices[:, chain.bases])
    # A coin-settled option is on one coin; one paid in cash on a coin at its forward price.
    notionals = multipliers[:, np.newaxis] * (np.ones(len(chain.bases)) if chain.is_in_coins else chain.forward[chain.bases])
    return {
        member.instrument_id: Valuation(
            (Claim(chain.settlement, value, chain.group, exposure),),
            chain.years,
            notional=notional,
            basis=chain.basis,
            is_option=True,
        )
        for member, value, exposure, notional in zip(members, values, exposures, notionals, strict=True)
    }


def _price_exposures(
    chain: _Chain, strikes: ByInstrument, signs: ByInstrument, total_volatility: ByInstrument, prices: ByInstrumentBase
) -> ByInstrumentBase:
    """Return [I, B] derivatives of the base prices by the logarithm of spot: delta, less what the price loses in coins when coins rise."""
    delta = black76_delta(
        forward=chain.forward[chain.bases],
        strike=strikes[:, np.newaxis],
        total_volatility=total_volatility[:, np.newaxis] * chain.volatility_ratio[chain.bases],
        sign=signs[:, np.newaxis],
    )
    exposures: ByInstrumentBase = delta - prices if chain.is_in_coins else delta * chain.unit[chain.bases] * chain.forward[chain.bases]
    return exposures


def _own_volatility(chain: _Chain, strikes: ByInstrument, signs: ByInstrument, marks: ByInstrument) -> ByInstrument:
    """Return [I] sigma sqrt(T) of each option: implied by its mark, or the surface's without one."""
    implied = implied_total_volatility(price=marks / chain.unit[0], forward=chain.forward[0], strike=strikes, sign=signs)
    return np.where(np.isnan(marks), chain.total_volatility, implied)


def _prices(chain: _Chain, strikes: ByInstrument, signs: ByInstrument, total_volatility: ByInstrument) -> ByInstrumentState:
    """Return [I, M] prices in the settlement asset for one unit of the underlying."""
    undiscounted = black76(
        forward=chain.forward,
        strike=strikes[:, np.newaxis],
        total_volatility=total_volatility[:, np.newaxis] * chain.volatility_ratio,
        sign=signs[:, np.newaxis],
    )
    prices: ByInstrumentState = undiscounted * chain.unit
    return prices
