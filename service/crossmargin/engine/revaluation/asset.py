"""Money and coins held outright: worth one of themselves, so all they can gain or lose is their own price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, Stablecoin
from crossmargin.domain.market import FactorId
from crossmargin.engine.axes import ByBase
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, peg_factor
from crossmargin.engine.revaluation.valuation import Claim, Valuation, one_by_one


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    price = market.price(instrument.instrument_id)
    claim = Claim(instrument.instrument_id, np.ones_like(price), None)
    if not isinstance(instrument.terms, Stablecoin):
        return Valuation((claim,))
    currency = peg_factor(instrument)
    peg, used_fraction = market.pegs.get(instrument.instrument_id), market.used_fraction(instrument, currency)
    return Valuation(
        (claim,),
        peg_price=used_fraction * _in_currency(price[market.bases], currency, market),
        used_fraction=used_fraction,
        has_run_out=peg is not None and peg.has_run_out(market.as_of, market.depeg_rules),
    )


def _in_currency(price: ByBase, currency: FactorId | None, market: ShockedMarket) -> ByBase:
    """Return [B] a price in a currency, None being the base currency."""
    return price if currency is None else price / (market.level(currency) * np.exp(market.moves(currency)[market.bases]))


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return no curve beyond the asset's own price, but for a stablecoin that of the currency it is pegged to."""
    currency = peg_factor(instrument)
    return frozenset() if currency is None else frozenset({currency.curve})


revalue = one_by_one(_revalue)
