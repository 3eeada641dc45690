"""Money and coins held outright: worth one of themselves, so all they can gain or lose is their own price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Claim, Valuation, one_by_one


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    price = market.price(instrument.instrument_id)
    return Valuation((Claim(instrument.instrument_id, np.ones_like(price), None),))


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return no curve beyond the asset's own price."""
    return frozenset()


revalue = one_by_one(_revalue)
