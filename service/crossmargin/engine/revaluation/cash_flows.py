"""Bespoke contracts: known payments in any number of currencies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import CashFlow, CashFlows, Instrument
from crossmargin.engine.axes import ByBase
from crossmargin.engine.revaluation.discounting import Payments
from crossmargin.engine.revaluation.later_payment import paid_later, payment_curves
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import Valuation, expired, meeting_mark, one_by_one, terms_of


def _revalue(instrument: Instrument, market: ShockedMarket) -> Valuation:
    """Value every payment that is still to come, in its own currency; one of today counts until the day is over."""
    terms = terms_of(instrument, CashFlows)
    last = max(flow.payment_date for flow in terms.flows)
    if last < market.as_of.date():
        raise expired(instrument, ended=last, as_of=market.as_of)
    by_asset: defaultdict[InstrumentId, list[CashFlow]] = defaultdict(list)
    for flow in terms.flows:
        if flow.payment_date >= market.as_of.date():
            by_asset[flow.asset].append(flow)
    claims = [claim for asset, flows in sorted(by_asset.items()) for claim in paid_later(asset, _payments(flows, market), market)]
    remaining = [flow for flows in by_asset.values() for flow in flows]
    return Valuation(
        meeting_mark(claims, instrument, market), market.years_until_day(last), notional=_notional(remaining, terms.settlement, market)
    )


def curves(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> frozenset[str]:
    """Return the curves that payments of every currency that is paid are valued from."""
    return frozenset[str]().union(*(payment_curves(assets[flow.asset]) for flow in terms_of(instrument, CashFlows).flows))


def _notional(flows: list[CashFlow], settlement: InstrumentId, market: ShockedMarket) -> ByBase:
    """Return [B] the larger of what is still received and paid, undiscounted and at spot, in the settlement asset."""
    amounts = np.array([float(flow.amount) * market.price(flow.asset)[market.bases] for flow in flows])
    received, paid = (np.maximum(sign * amounts, 0.0).sum(axis=0) for sign in (1.0, -1.0))
    notional: ByBase = np.maximum(received, paid) / market.price(settlement)[market.bases]
    return notional


def _payments(flows: list[CashFlow], market: ShockedMarket) -> Payments:
    days = np.array([flow.payment_date for flow in flows], dtype="datetime64[D]")
    return Payments(market.years_until_days(days), np.array([float(flow.amount) for flow in flows]))


revalue = one_by_one(_revalue)
