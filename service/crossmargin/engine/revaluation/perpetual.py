"""Perpetual swaps: the mark follows the spot of the underlying."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, Payoff, Perpetual
from crossmargin.domain.risk_parameters import OffsetGroup
from crossmargin.engine.axes import ByInstrument, ByState, Index
from crossmargin.engine.revaluation.bundle import Asked, Bundle, ClaimBundle, Members, PreparedKind, Valued
from crossmargin.engine.revaluation.margined_contract import contract_values
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, attempt, terms_of


def prepare(members: Members) -> PreparedKind:
    """Return contracts, each at its mark, or at spot without one; the premium of mark over spot is held fixed as a ratio."""
    alike: defaultdict[_Alike, list[int]] = defaultdict(list)
    for place, instrument in enumerate(members.instruments):
        terms = terms_of(instrument, Perpetual)
        alike[_Alike(terms.underlying, terms.settlement, terms.payoff)].append(place)
    return _Prepared(members, tuple((key, _contracts(members, places)) for key, places in alike.items()))


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return the spot of the underlying."""
    return frozenset({spot_factor(terms_of(instrument, Perpetual).underlying).curve})


class _Alike(NamedTuple):
    underlying: InstrumentId
    settlement: InstrumentId
    payoff: Payoff


@dataclass(frozen=True, eq=False)
class _Contracts:
    """Contracts [I] that follow one price: their rows, and of what each is a multiple."""

    rows: Index
    multiplier: ByInstrument


@dataclass(frozen=True, eq=False)
class _Prepared:
    members: Members
    contracts: tuple[tuple[_Alike, _Contracts], ...]

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        valued = Valued()
        for key, contracts in self.contracts:
            left = np.flatnonzero(asked.is_valued[contracts.rows])
            spot = attempt(_spot, key.underlying, market)
            if isinstance(spot, DomainError):
                valued.errors |= dict.fromkeys(contracts.rows[left].tolist(), spot)
            elif len(left):
                chosen = _Contracts(contracts.rows[left], contracts.multiplier[left])
                valued.bundles.append(_bundle(key, chosen, spot, asked.mark[chosen.rows], market.bases))
        return valued


class _Spot(NamedTuple):
    """`level` of the base state, and [M] what it grows by."""

    level: float
    growth: ByState
    group: OffsetGroup


def _contracts(members: Members, places: list[int]) -> _Contracts:
    multipliers = [float(terms_of(members.instruments[place], Perpetual).multiplier) for place in places]
    return _Contracts(members.rows[places], np.array(multipliers))


def _spot(underlying: InstrumentId, market: ShockedMarket) -> _Spot:
    factor = spot_factor(underlying)
    group = market.group(factor)
    return _Spot(market.level(factor), np.exp(market.moves(factor)), group)


def _bundle(key: _Alike, contracts: _Contracts, spot: _Spot, marks: ByInstrument, bases: Index) -> Bundle:
    price = np.where(np.isnan(marks), spot.level, marks)[:, np.newaxis] * spot.growth
    value = contract_values(key.payoff, contracts.multiplier[:, np.newaxis], price)
    notional = np.abs(value[:, bases])
    claim = ClaimBundle(key.settlement, value, spot.group, notional)
    return Bundle(contracts.rows, key.settlement, (claim,), np.zeros(len(value)), notional, BasisKind.PERPETUAL)
