"""Money and coins held outright: worth one of themselves, so all they can gain or lose is their own price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, Stablecoin
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.engine.revaluation.shocked_market import BASE_CURRENCY, ShockedMarket
from crossmargin.engine.revaluation.valuation import Claim, Valuation, one_by_one


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    price = market.price(instrument.instrument_id)
    claim = Claim(instrument.instrument_id, np.ones_like(price), None)
    return Valuation((claim,), peg_price=_peg_price(instrument, float(price[0]), market))


def _peg_price(instrument: Instrument, price: float, market: ShockedMarket) -> float | None:
    """Return the price of a stablecoin in the currency it is pegged to; None for anything else."""
    if not isinstance(instrument.terms, Stablecoin):
        return None
    currency = instrument.terms.pegged_to
    return price if currency == BASE_CURRENCY else price / market.level(FactorId(FactorKind.FX.value, currency))


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return no curve beyond the asset's own price."""
    return frozenset()


revalue = one_by_one(_revalue)
