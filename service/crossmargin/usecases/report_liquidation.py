"""Book what was traded of a liquidation, and see whether it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import NewEntry, Trade, append_to_chain, entry_from_trade
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId, PendingRequestId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation_life import Fill, FillFlag, Liquidation, LiquidationChange, LiquidationStep, expired, filled, reviewed
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, closed_by
from crossmargin.domain.stress import StressStanding
from crossmargin.engine.liquidation_cost import cost_above, price_as_planned, traded_value
from crossmargin.engine.stress import standing_of
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.liquidation_gate import PlanEnd, end_of, more_than_held
from crossmargin.usecases.ports.books import AccountState, Books
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.liquidation import LiquidationReports, LiquidationStore
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision, Record
from crossmargin.usecases.preview_trades import positions_from
from crossmargin.usecases.refusals import encode_outcome, outcome_or_refusal

VERB = "ReportLiquidation"


@dataclass(frozen=True, slots=True)
class BookedFill:
    """A fill that is in the books, under this sequence, and what is to be looked at about it."""

    sequence: int
    flags: frozenset[FillFlag]


@dataclass(frozen=True, slots=True)
class ReportedLiquidation:
    """What was booked, in the order of the fills, and the liquidation as it now stands."""

    liquidation: Liquidation
    fills: tuple[BookedFill, ...]
    replayed: bool


@dataclass(frozen=True, slots=True)
class ReportLiquidation:
    """Books fills with the liquidation that they are of, in one transaction under the lock of the account.

    What is closed of a margined contract is paid what it has gained, so that the books say what the plan said. A fill is a fact: it is
    booked at whatever price and after whatever end, and flagged. Of one that is larger than what is held a part closes it, and the rest
    opens a position; both are booked by its entry, and only what closed counts for the liquidation. Afterwards the account is margined: a
    liquidation that is done, that its account does not need any more or that the market has left behind ends there, and so does one that
    closes more than is held by now.
    """

    decide_on_market: DecideOnMarket
    instruments: InstrumentReader
    liquidations: LiquidationStore
    compute: ComputePool
    reports: LiquidationReports

    async def __call__(
        self, account: AccountRef, liquidation_id: PendingRequestId, fills: Sequence[Trade], *, caller: Caller
    ) -> ReportedLiquidation:
        """Return the liquidation with the fills; nothing is booked when one of them cannot be.

        Raises:
            DomainError: UNKNOWN_LIQUIDATION; INVALID_ARGUMENT for what the plan does not trade, or no fill at all; what `entry_from_trade`
                raises; UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, ACCOUNT_CLOSED, NO_MARKET_SNAPSHOT, and whatever the write path refuses.
        """
        if not fills:
            raise DomainError(
                Reason.INVALID_ARGUMENT, f"no fill of {liquidation_id} was given; expected at least one", field="fills", value=0
            )
        steps: list[LiquidationStep] = []
        names = {name for fill in fills for name in (fill.instrument_id, fill.settlement) if name is not None}
        known = await known_instruments(self.instruments, names)

        async def decide(books: Books, view: MarketView) -> Decision:
            state = books.states[account]
            state.head.check_open()
            booking = _Booking(await self.liquidations.get_liquidation(account, liquidation_id), state, known, view)
            booking.step(expired(booking.liquidation, at=books.now, by=caller.principal))
            for fill in fills:
                booking.book(fill, books, by=caller.principal)
            await self._review(booking, view, books, by=caller.principal)
            steps[:] = booking.steps
            return Decision(
                encode_outcome({"fills": [_to_json(fill) for fill in booking.fills]}),
                entries=append_to_chain(state.head, tuple(booking.entries)),
                records=booking.records,
            )

        content = [str(account), liquidation_id, *map(repr, fills), *(str(fill.settle_date) for fill in fills)]
        # Not that it could be refused: what the account holds has to be read.
        request = replace(caller.write_request(VERB, content, (account,)), is_fact=False)
        outcome = await self.decide_on_market(request, decide)
        if not outcome.replayed:
            for step in steps:
                self.reports.liquidation_stepped(step)
        booked = tuple(
            BookedFill(said["sequence"], frozenset(map(FillFlag, said["flags"]))) for said in outcome_or_refusal(outcome.response)["fills"]
        )
        return ReportedLiquidation(await self.liquidations.get_liquidation(account, liquidation_id), booked, outcome.replayed)

    async def _review(self, booking: _Booking, view: MarketView, books: Books, *, by: str) -> None:
        seen = await self.compute.run(partial(_seen, booking.portfolio, view, booking.liquidation))
        standing, end = (None, None) if seen is None else seen
        booking.liquidation = replace(booking.liquidation, standing=standing)
        outdated = booking.turned_over or ("" if end is None else end.missed_in_words(booking.liquidation.target_utilization))
        booking.step(reviewed(booking.liquidation, standing, outdated, at=books.now, by=by))


class _Booking:
    """The entries and records of a report, as they come together."""

    def __init__(self, liquidation: Liquidation, state: AccountState, known: Mapping[InstrumentId, Instrument], view: MarketView) -> None:
        self.liquidation, self.entries, self.fills = liquidation, list[NewEntry](), list[BookedFill]()
        self._steps: list[LiquidationChange] = []
        self._state, self._known, self._view = state, known, view
        self._positions = list(state.positions)

    @property
    def head(self) -> AccountHead:
        """The account's head before anything is booked."""
        return self._state.head

    @property
    def portfolio(self) -> Portfolio:
        """The account after what was booked."""
        return self._view.known(portfolio_of(replace(self._state, positions=tuple(self._positions))))

    @property
    def turned_over(self) -> str:
        """Why what is left cannot be traded: less is held than it closes; empty if nothing is in its way."""
        return more_than_held(self.liquidation.left, self.portfolio, self._view)

    @property
    def records(self) -> tuple[Record, ...]:
        """The liquidation as it is in the end, and its steps."""
        return (self.liquidation, *self.steps)

    @property
    def steps(self) -> tuple[LiquidationStep, ...]:
        """What has happened to the liquidation, in its order."""
        return tuple(change.step for change in self._steps)

    def book(self, fill: Trade, books: Books, *, by: str) -> None:
        """Add a fill."""
        instrument = self._known[fill.instrument_id]
        named = fill if fill.reference else replace(fill, reference=f"liquidation {self.liquidation.liquidation_id}")
        settlement = self._known[fill.settlement] if fill.settlement is not None else None
        entry = entry_from_trade(named, instrument, settlement, closing=self._position(fill.book_id, fill.instrument_id))
        sequence = self.head.sequence + len(self.entries) + 1
        as_planned = self._price_as_planned(fill, instrument)
        opened = self._opened(fill, instrument)
        cost, value = self._cost_and_value(EXACT.subtract(fill.quantity, opened), instrument, as_planned)
        booked = Fill(fill.instrument_id, fill.quantity, fill.price, sequence, cost, value, opened=opened)
        change = filled(self.liquidation, booked, as_planned, at=books.now, by=by)
        self.entries.append(entry)
        self._positions += positions_from([entry], entry.account)
        self.step(change)
        assert change.step.fill is not None  # noqa: S101 - a filled step has one
        self.fills.append(BookedFill(sequence, change.step.fill.flags))

    def step(self, change: LiquidationChange | None) -> None:
        """Add a step."""
        if change is not None:
            self.liquidation = change.liquidation
            self._steps.append(change)

    def _position(self, book_id: BookId, instrument_id: InstrumentId) -> Position:
        own = [each for each in self._positions if (each.book_id, each.instrument_id) == (book_id, instrument_id)]
        return Position(
            book_id, instrument_id, sum((each.quantity for each in own), Decimal(0)), sum((each.cost for each in own), Decimal(0))
        )

    def _opened(self, fill: Trade, instrument: Instrument) -> Decimal:
        """Return what of a fill closes nothing that the account holds in any book; of an asset nothing: what is owed can be bought back."""
        if instrument.is_asset:
            return Decimal(0)
        held = exact_sum(each.quantity for each in self._positions if each.instrument_id == fill.instrument_id)
        return EXACT.subtract(fill.quantity, closed_by(fill.quantity, Holding(fill.instrument_id, held, Decimal(0))))

    def _price_as_planned(self, fill: Trade, instrument: Instrument) -> Decimal | None:
        return price_as_planned(fill.price, instrument, self._view.market, paid_in=fill.settlement)

    def _cost_and_value(self, closed: Decimal, instrument: Instrument, price: Decimal | None) -> tuple[Decimal, Decimal]:
        own = [order.trade for order in self.liquidation.orders if order.trade.instrument_id == instrument.instrument_id]
        market = self._view.market
        if not own or price is None or instrument.instrument_id not in market.row_of:
            return Decimal(0), Decimal(0)
        cost = cost_above(own[0].expected_price, price, closed, instrument, market)
        return cost, traded_value(price, closed, instrument, market)


def _seen(portfolio: Portfolio, view: MarketView, liquidation: Liquidation) -> tuple[StressStanding, PlanEnd] | None:
    """Return how the account stands at the most favourable end of the market, and where the rest of the plan would end; None if unknown."""
    try:
        result = view.margin(portfolio)
        low, _ = result.utilization_range
        return replace(standing_of(result), utilization=low), end_of(liquidation.left, portfolio, view)
    except (DomainError, KeyError):
        return None


def _to_json(fill: BookedFill) -> Mapping[str, object]:
    return {"sequence": fill.sequence, "flags": sorted(flag.value for flag in fill.flags)}
