"""Read the margin of an account with what its open orders may come to, what is used of its limits, and in the currency it reports in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import LimitUsage
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Cash
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.reported_margin import ReportedMargin, reported_in
from crossmargin.domain.reservation import Reservation, fill_blocks
from crossmargin.engine.portfolio_arrays import unknown_to_market
from crossmargin.engine.revaluation.shocked_market import price_factor
from crossmargin.usecases.check_limits import limit_usages
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.open_orders import worst_need
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.storage_errors import sequence_not_reached


@dataclass(frozen=True, slots=True)
class Standing:
    """Margin of an account, and what decisions are made on beyond it.

    Attributes:
        reservations: Those that count.
        need: The worst over everything they may come to; that of `margin` when there are none.
        limits: Each limit on the account and on its client with what is used of it, open orders included.
        reported: The margin in another currency; None where none was asked for.
    """

    margin: MarginResult
    reservations: tuple[Reservation, ...]
    need: MarginNeed
    limits: tuple[LimitUsage, ...]
    reported: ReportedMargin | None = None


@dataclass(frozen=True, slots=True)
class ReadStanding:
    """Margins an account as of one ledger entry, and its open orders as of the same moment."""

    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0, report_in: InstrumentId | None = None) -> Standing:
        """Return where an account stands, its margin also in the money `report_in` if that is named.

        Raises:
            DomainError: What EvaluateMargin raises. UNKNOWN_INSTRUMENT, INVALID_ARGUMENT, or the market's own reason, for a currency that
                cannot be reported in.
        """
        books = await self.books.read_books(account)
        sequence = books.states[account].head.sequence
        if sequence < min_sequence:
            raise sequence_not_reached(account, sequence=sequence, wanted=min_sequence)
        view = self.current_market.at_hand(books.market_version, books.house_view_id) or await self.current_market()
        return await self.compute.run(lambda: _standing(books, account, view, report_in))


def _standing(books: Books, account: AccountRef, view: MarketView, report_in: InstrumentId | None) -> Standing:
    state = books.states[account]
    counted = tuple(one for one in books.reservations[account] if one.status.counts)
    margin = view.margin(portfolio_of(state))
    need = worst_need(view, state, fill_blocks(counted)) if counted else MarginNeed.of(margin)
    reported = None if report_in is None else reported_in(margin, report_in, _price_of(report_in, view))
    return Standing(margin, counted, need, limit_usages(books, view.market, {}), reported)


def _price_of(currency: InstrumentId, view: MarketView) -> Decimal:
    """Return the base currency that the snapshot has for one unit of a currency."""
    row = view.market.row_of.get(currency)
    if row is None:
        raise view.market.unavailable.get(currency) or unknown_to_market(currency)
    instrument = view.market.instruments[row]
    if not isinstance(instrument.terms, Cash):
        kind = type(instrument.terms).__name__
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"report_in was {currency}, a {kind}; expected money such as EUR",
            field="report_in",
            value=currency,
            expected="money such as EUR",
        )
    factor = price_factor(instrument)
    return Decimal(1) if factor is None else view.snapshot.marks.get(currency, view.snapshot.levels[factor])
