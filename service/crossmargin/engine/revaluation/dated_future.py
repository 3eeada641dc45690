"""Dated futures: spot and the carry to expiry, which moves where the snapshot has a carry curve and is held fixed where it has none."""

from __future__ import annotations

from collections.abc import Mapping

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import DatedFuture, Instrument
from crossmargin.engine.revaluation.forward_price import basis_curve, forward_price
from crossmargin.engine.revaluation.margined_contract import contract_valuation
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, spot_factor
from crossmargin.engine.revaluation.valuation import BasisKind, Valuation, expired, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    terms = terms_of(instrument, DatedFuture)
    years = market.years_until(terms.expiry)
    if years <= 0.0:
        raise expired(instrument, ended=terms.expiry, as_of=market.as_of)
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


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:  # noqa: ARG001 - the table's signature
    """Return the spot and the carry of the underlying."""
    underlying = terms_of(instrument, DatedFuture).underlying
    return frozenset({spot_factor(underlying).curve, basis_curve(underlying)})


revalue = one_by_one(_revalue)
