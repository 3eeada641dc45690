"""What an account will hold at a horizon, and what its outlook comes to."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.book import ledger_amount
from crossmargin.domain.identifiers import BookId
from crossmargin.domain.instrument import FxForward, Instrument
from crossmargin.domain.lifecycle import moves_of
from crossmargin.domain.lifecycle_due import ExpectedEvent, expected_end
from crossmargin.domain.lifecycle_event import CurrencyDelivery, LifecycleEvent
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.outlook import OutlookFigures, Trend
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, net_holdings
from crossmargin.domain.risk_parameters import BandLines
from crossmargin.engine.margin_bridges import band_of, utilization_of
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

_BOOK: Final = BookId("main")


def book_at(portfolio: Portfolio, market: RevaluedMarket, until: datetime) -> tuple[Portfolio, tuple[ExpectedEvent, ...]]:
    """Return an account with what ends by a time ended, and what that is, oldest first.

    A currency forward delivers its two currencies. Anything else is settled at what it is worth at this market, in the asset it settles in:
    nobody knows better. So equity before haircuts stays what it is, and what it hedged, or was hedged by, is not any more.

    Raises:
        KeyError: For a holding that the market does not value; margin it first.
    """
    positions: list[Position] = []
    ended: list[ExpectedEvent] = []
    for holding in portfolio.holdings:
        row = market.row_of[holding.instrument_id]
        end = expected_end(market.instruments[row])
        if end is None or end.due > until:
            positions.append(Position(_BOOK, holding.instrument_id, holding.quantity, holding.cost))
            continue
        ended.append(end)
        positions += _settled(holding, row, end, market)
    return replace(portfolio, holdings=net_holdings(positions)), tuple(sorted(ended, key=lambda end: (end.due, end.name)))


def projected(known: MarginResult, trend: Trend, lines: BandLines) -> OutlookFigures:
    """Return equity and maintenance margin with the trend on top."""
    equity = known.equity.equity + trend.equity
    maintenance = max(known.requirement.maintenance_margin + trend.maintenance_margin, Decimal(0))
    utilization = utilization_of(maintenance, equity)
    return OutlookFigures(equity, maintenance, utilization, band_of(utilization, lines))


def figures_of(result: MarginResult) -> OutlookFigures:
    """Return what an outlook says of a margin result."""
    return OutlookFigures(result.equity.equity, result.requirement.maintenance_margin, result.utilization, result.band)


def _settled(holding: Holding, row: int, end: ExpectedEvent, market: RevaluedMarket) -> list[Position]:
    instrument: Instrument = market.instruments[row]
    if isinstance(instrument.terms, FxForward):
        event = LifecycleEvent(instrument.instrument_id, end.due, CurrencyDelivery())
        moves = moves_of(event, instrument, Position(_BOOK, holding.instrument_id, holding.quantity, holding.cost))
        return [
            Position(_BOOK, move.instrument_id, move.quantity, move.cost) for move in moves if move.instrument_id != holding.instrument_id
        ]
    price = float(market.settlement_price[row])
    worth = float(holding.quantity) * float(market.unit_value[row]) / price - float(holding.cost)
    return [Position(_BOOK, instrument.settlement, ledger_amount(Decimal(worth)))]
