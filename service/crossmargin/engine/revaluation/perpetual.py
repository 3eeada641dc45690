"""Perpetual swaps: the mark follows the spot of the underlying."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, Perpetual
from crossmargin.engine.revaluation.margined_contract import contract_valuation
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Valuation, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value one contract at its mark, or at spot without one; the premium of mark over spot is held fixed as a ratio."""
    terms = terms_of(instrument, Perpetual)
    spot = spot_factor(terms.underlying)
    group = market.group(spot)
    spot_level, mark = market.level(spot), market.mark(instrument)
    price = (spot_level if mark is None else mark) * np.exp(market.moves(spot))
    return contract_valuation(
        settlement=terms.settlement,
        payoff=terms.payoff,
        multiplier=terms.multiplier,
        price=price,
        bases=market.bases,
        group=group,
        basis=BasisKind.PERPETUAL,
    )


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return the spot of the underlying."""
    return frozenset({spot_factor(terms_of(instrument, Perpetual).underlying).curve})


revalue = one_by_one(_revalue)
