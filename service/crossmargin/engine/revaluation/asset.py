"""Money and coins held outright: worth one of themselves, so all they can gain or lose is their own price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, Stablecoin
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.engine.axes import ByBase
from crossmargin.engine.revaluation.shocked_market import BASE_CURRENCY, ShockedMarket
from crossmargin.engine.revaluation.valuation import Claim, Valuation, one_by_one


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    price = market.price(instrument.instrument_id)
    claim = Claim(instrument.instrument_id, np.ones_like(price), None)
    return Valuation((claim,), peg_price=_peg_price(instrument, price[market.bases], market))


def _peg_price(instrument: Instrument, price: ByBase, market: ShockedMarket) -> ByBase | None:
    """Return [B] the price of a stablecoin in the currency it is pegged to; None for anything else."""
    if not isinstance(instrument.terms, Stablecoin):
        return None
    currency = _peg_factor(instrument.terms)
    return price if currency is None else price / (market.level(currency) * np.exp(market.moves(currency)[market.bases]))


def _peg_factor(terms: Stablecoin) -> FactorId | None:
    return None if terms.pegged_to == BASE_CURRENCY else FactorId(FactorKind.FX.value, terms.pegged_to)


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return no curve beyond the asset's own price, but for a stablecoin that of the currency it is pegged to."""
    currency = _peg_factor(instrument.terms) if isinstance(instrument.terms, Stablecoin) else None
    return frozenset() if currency is None else frozenset({currency.curve})


revalue = one_by_one(_revalue)
