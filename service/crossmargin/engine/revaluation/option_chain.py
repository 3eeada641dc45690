"""What options of one expiry share, and their prices: at the surface's volatility or, with a mark, at their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import AmericanOption, EuropeanOption, FxOption, Instrument, OptionRight
from crossmargin.domain.market import FactorKind
from crossmargin.engine.axes import ByInstrument, ByInstrumentState, ByState
from crossmargin.engine.kernels.black76 import implied_total_volatility
from crossmargin.engine.kernels.choice import Kernels, functions_of
from crossmargin.engine.revaluation.discounting import discount_factors
from crossmargin.engine.revaluation.forward_price import basis_curve
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import BasisKind, Outcome, attempt

Key = TypeVar("Key", bound=Hashable)
Shared = TypeVar("Shared")


@dataclass(frozen=True, eq=False)
class Volatility:
    """A surface at one expiry. `total`: sigma sqrt(T) of the base state; `ratio`: [M] shocked over base volatility."""

    total: float
    ratio: ByState


@dataclass(frozen=True, eq=False)
class Strikes:
    """The options of a chain [I]: their strikes, +1 for a call and -1 for a put, and their marks, NaN where there is none."""

    strike: ByInstrument
    sign: ByInstrument
    mark: ByInstrument


def by_chain(
    instruments: Sequence[Instrument],
    market: ShockedMarket,
    *,
    key_of: Callable[[Instrument, ShockedMarket], Key],
    read: Callable[[Key, ShockedMarket], Shared],
    value: Callable[[Sequence[Instrument], Shared, ShockedMarket], Sequence[Outcome]],
) -> list[Outcome]:
    """Return the outcomes of options, valued together where they have the same key: what they share is read once.

    An option whose key cannot be told fails alone; a chain that cannot be read fails with all its options.
    """
    outcomes: dict[InstrumentId, Outcome] = {}
    chains: defaultdict[Key, list[Instrument]] = defaultdict(list)
    for instrument in instruments:
        key = attempt(key_of, instrument, market)
        if isinstance(key, DomainError):
            outcomes[instrument.instrument_id] = key
        else:
            chains[key].append(instrument)
    for key, members in chains.items():
        shared = attempt(read, key, market)
        results = [shared] * len(members) if isinstance(shared, DomainError) else value(members, shared, market)
        outcomes |= {member.instrument_id: result for member, result in zip(members, results, strict=True)}
    return [outcomes[instrument.instrument_id] for instrument in instruments]


def strikes_of(members: Sequence[Instrument], market: ShockedMarket) -> Strikes:
    """Return strikes, rights and marks of options."""
    terms = [each.terms for each in members if isinstance(each.terms, (EuropeanOption, AmericanOption, FxOption))]
    marks = [market.mark(member) for member in members]
    return Strikes(
        strike=np.array([float(each.strike) for each in terms]),
        sign=np.array([sign_of(each.right) for each in terms]),
        mark=np.array([np.nan if mark is None else mark for mark in marks]),
    )


def sign_of(right: OptionRight) -> float:
    """Return +1 for a call and -1 for a put."""
    return 1.0 if right is OptionRight.CALL else -1.0


def volatility_curve(name: str) -> str:
    """Return the name of the curve of implied volatilities of an underlying."""
    return f"{FactorKind.VOL.value}:{name}"


def volatility_at(curve: str, years: float, market: ShockedMarket) -> Volatility:
    """Return the surface at an expiry."""
    tenor = np.array([years])
    surface = market.curve(curve)
    surface.check(tenor)
    return Volatility(float(surface.levels_at(tenor)[0] * np.sqrt(years)), np.exp(surface.moves_at(tenor)[0]))


def discount_factor(curve: str, years: float, market: ShockedMarket) -> ByState:
    """Return [M] discount factor; 1 where the snapshot has no such curve."""
    if not market.has_curve(curve):
        return np.ones(1 + len(market.scenarios.names))
    tenor = np.array([years])
    market.curve(curve).check(tenor)
    factor: ByState = discount_factors(market.curve(curve), tenor)[0]
    return factor


def carry_curve(underlying: InstrumentId, financing: str | None, market: ShockedMarket) -> str | None:
    """Return the curve that a forward grows at: futures carry if there is any, else what financing it costs, else none."""
    if market.has_curve(basis_curve(underlying)):
        return basis_curve(underlying)
    return financing if financing is not None and market.has_curve(financing) else None


def carry_basis(underlying: InstrumentId, market: ShockedMarket) -> BasisKind:
    """Return whether the futures carry of an underlying has factors; what financing it costs moves with another group."""
    return BasisKind.FACTORED if market.has_curve(basis_curve(underlying)) else BasisKind.DATED


@dataclass(frozen=True, eq=False)
class Priced:
    """What prices of a chain depend on.

    Attributes:
        forward: [M]. unit: [M] what one unit of undiscounted price is worth, in the settlement asset.
    """

    forward: ByState
    unit: ByState
    volatility: Volatility


def chain_prices(
    strikes: Strikes, *, forward: ByState, unit: ByState, volatility: Volatility, kernels: Kernels = Kernels.NUMPY
) -> tuple[ByInstrumentState, ByInstrument]:
    """Return [I, M] prices of European options in the settlement asset, and [I] the sigma sqrt(T) of the base state they were found at."""
    priced = Priced(forward, unit, volatility)
    (own,) = own_volatilities([(strikes, priced)])
    return prices_at(strikes, priced, own, kernels), own


def own_volatilities(chains: Sequence[tuple[Strikes, Priced]]) -> list[ByInstrument]:
    """Return [I] sigma sqrt(T) of the base state of the options of each chain: at which they are worth their marks, else the surface's.

    An option with a mark keeps the ratio of its own volatility to the surface. All chains are searched at once: a search takes as many
    steps for one option as for all.
    """
    if not chains:
        return []
    counts = [len(strikes.strike) for strikes, _ in chains]
    strike, sign, mark = (np.concatenate(each) for each in zip(*((each.strike, each.sign, each.mark) for each, _ in chains), strict=True))
    surface, forward, unit = np.repeat(
        [(priced.volatility.total, priced.forward[0], priced.unit[0]) for _, priced in chains], counts, axis=0
    ).T.copy()
    marked = np.flatnonzero(~np.isnan(mark))
    if len(marked):
        surface[marked] = implied_total_volatility(
            price=mark[marked] / unit[marked], forward=forward[marked], strike=strike[marked], sign=sign[marked]
        )
    return np.split(surface, np.cumsum(counts)[:-1])


def prices_at(strikes: Strikes, priced: Priced, own: ByInstrument, kernels: Kernels) -> ByInstrumentState:
    """Return [I, M] prices of European options in the settlement asset, at their own sigma sqrt(T) of the base state."""
    return functions_of(kernels).option_prices(
        forward=priced.forward,
        unit=priced.unit,
        ratio=priced.volatility.ratio,
        strike=strikes.strike,
        sign=strikes.sign,
        own=own,
        mark=strikes.mark,
    )
