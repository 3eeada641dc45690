"""Dated futures: spot and the carry to expiry, which moves where the snapshot has a carry curve and is held fixed where it has none.

What may be worth less than nothing has no returns: it follows its own curve of prices for delivery, by differences.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import DatedFuture, Instrument
from crossmargin.engine.revaluation.forward_price import basis_curve, delivery_curve, forward_price
from crossmargin.engine.revaluation.margined_contract import contract_valuation
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Claim, Valuation, expired, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    terms = terms_of(instrument, DatedFuture)
    years = market.years_until(terms.expiry)
    if years <= 0.0:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
    if terms.price_may_be_negative:
        return _delivery_valuation(instrument, terms, years, market)
    group = market.group(spot_factor(terms.underlying))
    carry, mark = basis_curve(terms.underlying), market.mark(instrument)
    # Without a carry curve only a mark says what the future is worth; it then moves with spot one for one.
    has_carry = mark is None or market.has_curve(carry)
    return contract_valuation(
        settlement=terms.settlement,
        payoff=terms.payoff,
        multiplier=terms.multiplier,
        price=forward_price(market, terms.underlying, years=years, carry_curve=carry if has_carry else None, mark=mark),
        bases=market.bases,
        group=group,
        basis=BasisKind.FACTORED if has_carry else BasisKind.DATED,
        years=years,
    )


def _delivery_valuation(instrument: Instrument, terms: DatedFuture, years: float, market: ShockedMarket) -> Valuation:
    """Value one contract on its curve of prices; with a mark, what that curve leaves unexplained is held fixed in USD.

    Near zero a price says nothing of how much there is to trade, so the exposure counts units at the highest absolute price along the
    curve. Futures of different months then offset unit for unit, as they do in the scenarios.
    """
    name, tenor = delivery_curve(terms.underlying), np.array([years])
    curve, mark = market.curve(name), market.mark(instrument)
    curve.check(tenor)
    price = (float(curve.levels_at(tenor)[0]) if mark is None else mark) + curve.moves_at(tenor)[0]
    # A node that has no scenarios stays where it is.
    along_curve = np.abs(curve.levels[:, np.newaxis] + np.nan_to_num(curve.moves[:, market.bases]))
    multiplier = float(terms.multiplier)
    exposure = multiplier * along_curve.max(axis=0)
    claim = Claim(terms.settlement, multiplier * price, market.curve_group(name), exposure)
    return Valuation((claim,), years, notional=exposure)


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return the spot and the carry of the underlying, or its curve of prices for delivery."""
    terms = terms_of(instrument, DatedFuture)
    if terms.price_may_be_negative:
        return frozenset({delivery_curve(terms.underlying)})
    return frozenset({spot_factor(terms.underlying).curve, basis_curve(terms.underlying)})


revalue = one_by_one(_revalue)
