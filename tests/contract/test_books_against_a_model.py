"""Trades, cancellations and lifecycle events in any order, on both storages, against a model that is a list and four formulas."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from crossmargin.adapters.memory.metrics import MemoryRequestReports
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.book import Trade
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.lifecycle_event import FinalSettlement, Funding, LifecycleEvent, Variation
from crossmargin.usecases.apply_lifecycle_event import Applied, ApplyLifecycleEvent
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.cancel_entry import CancelLifecycleEvent, CancelTrade
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.record_trades import RecordTrades
from tests.contract.storage import memory_storage, postgres_storage
from tests.unit.domain import instruments as the

D = Decimal
ZERO = (D(0), D(0))
START = the.EXPIRY - timedelta(hours=4)
"""Four hours of trading before the future ends."""
PERP, FUTURE, COIN = the.PERPETUAL.instrument_id, the.FUTURE.instrument_id, the.COIN.instrument_id
_names = itertools.count(1)

books = st.sampled_from([BookId("a"), BookId("b")])
hours = st.integers(0, 4)
quantities = st.sampled_from([D(1), D(-1), D("0.5"), D(-3)])
prices = st.sampled_from([D(50_000), D(60_000), D("61000.5")])


@dataclass
class ModelEntry:
    """What one entry moved, and what has become of it."""

    kind: str
    at: datetime
    moves: dict[tuple[str, str], tuple[Decimal, Decimal]]
    event: str = ""
    terms: tuple = ()
    reversed_by: int | None = None


@dataclass
class Model:
    """The books as a list of entries."""

    entries: list[ModelEntry] = field(default_factory=list)

    def held(self, instrument: str = "", until: datetime | None = None) -> dict[tuple[str, str], tuple[Decimal, Decimal]]:
        totals: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        for entry in self.entries:
            if until is None or entry.at <= until:
                for name, (quantity, cost) in entry.moves.items():
                    before = totals.get(name, ZERO)
                    totals[name] = (before[0] + quantity, before[1] + cost)
        return {name: total for name, total in totals.items() if total != ZERO and instrument in {"", name[1]}}

    def standing(self, event: str) -> list[ModelEntry]:
        return [entry for entry in self.entries if entry.event == event and entry.reversed_by is None]

    def append(self, entry: ModelEntry) -> int:
        self.entries.append(entry)
        return len(self.entries)

    def take_back(self, sequence: int, kind: str) -> int:
        entry = self.entries[sequence - 1]
        turned = {name: (-quantity, -cost) for name, (quantity, cost) in entry.moves.items()}
        entry.reversed_by = self.append(ModelEntry(kind, entry.at, turned))
        return entry.reversed_by


class AlwaysLater:
    """A clock after every event."""

    def now(self) -> datetime:
        return datetime(2040, 1, 1, tzinfo=UTC)


class Books(RuleBasedStateMachine):
    """One account of one storage beside its model."""

    url: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.model = Model()
        self.account = AccountRef(ClientId(f"c{next(_names)}"), AccountId("core"))

    @initialize()
    def open(self) -> None:
        self.runner.run(self._open())

    async def _open(self) -> None:
        self.storage = (
            memory_storage() if self.url is None else await self.stack.enter_async_context(postgres_storage(self.url, pool_size=3))
        )
        await self.storage.create(the.CASH, the.COIN, the.PERPETUAL, the.FUTURE)
        await self.storage.open_accounts(self.account)
        writer, reader, instruments = self.storage.writer, self.storage.books, self.storage.instruments
        compute = ThreadComputePool()
        self.stack.callback(compute.close)
        # Without limits nobody asks for the market.
        market = CurrentMarket(instruments, self.storage.market, self.storage.parameters, compute)
        self.record = RecordTrades(writer, instruments, market, compute, MemoryRequestReports())
        self.cancel_trade = CancelTrade(writer, reader)
        self.cancel_event = CancelLifecycleEvent(writer, reader)
        self.apply = ApplyLifecycleEvent(writer, reader, instruments, AlwaysLater())

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    def caller(self) -> Caller:
        return Caller("desk", f"r{next(_names)}")

    @rule(book=books, instrument=st.sampled_from([the.PERPETUAL, the.FUTURE, the.COIN]), quantity=quantities, price=prices, hour=hours)
    def trade(self, book, instrument, quantity, price, hour):
        at = START + timedelta(hours=hour)
        is_asset = instrument is the.COIN
        deal = Trade(self.account, book, instrument.instrument_id, quantity, price, at, the.USD if is_asset else None)
        recorded = self.runner.run(self.record(self.account, [deal], caller=self.caller()))
        if is_asset:
            moves = {(book, COIN): (quantity, D(0)), (book, "USD"): (-quantity * price, D(0))}
        else:
            moves = {(book, instrument.instrument_id): (quantity, quantity * 10 * price)}
        assert recorded.as_of_sequence == self.model.append(ModelEntry("trade", at, moves))

    @rule(which=st.integers(0, 40), kind=st.sampled_from(["trade", "event"]), is_repeated=st.booleans())
    def take_back(self, which, kind, is_repeated):
        sequence = which % (len(self.model.entries) + 1) + 1
        cancel = self.cancel_trade if kind == "trade" else self.cancel_event
        caller = self.caller()
        expected = self._refusal_of(sequence, kind)
        if expected is not None:
            with pytest.raises(DomainError) as refused:
                self.runner.run(cancel(self.account, sequence, reason="why", caller=caller))
            assert refused.value.reason is expected
            return
        number = self.model.take_back(sequence, f"{kind} cancellation")
        for repetition in range(1 + is_repeated):
            done = self.runner.run(cancel(self.account, sequence, reason="why", caller=caller))
            assert (done.sequence, done.replayed) == (number, bool(repetition))

    def _refusal_of(self, sequence: int, kind: str) -> Reason | None:
        if sequence > len(self.model.entries):
            return Reason.UNKNOWN_ENTRY
        entry = self.model.entries[sequence - 1]
        if entry.reversed_by is not None:
            return Reason.ALREADY_CANCELLED
        return None if entry.kind == kind else Reason.NOT_CANCELLABLE

    @rule(hour=hours, rate=st.sampled_from([D("0.0001"), D("-0.0002")]), price=prices)
    def funding(self, hour, rate, price):
        at = START + timedelta(hours=hour)
        moves = {(book, "USD"): (-quantity * 10 * price * rate, D(0)) for (book, _), (quantity, _) in self.model.held(PERP, at).items()}
        event = LifecycleEvent(PERP, at, Funding(rate, price))
        self._apply(event, f"funding {hour}", (rate, price), moves, is_end=False)

    @rule(hour=hours, instrument=st.sampled_from([PERP, FUTURE]), price=prices)
    def variation(self, hour, instrument, price):
        at = START + timedelta(hours=hour)
        moves = {}
        for (book, _), (quantity, cost) in self.model.held(instrument, at).items():
            gain = quantity * 10 * price - cost
            moves |= {(book, instrument): (D(0), gain), (book, "USD"): (gain, D(0))}
        self._apply(LifecycleEvent(instrument, at, Variation(price)), f"variation {instrument} {hour}", (price,), moves, is_end=False)

    @rule(price=prices)
    def final_settlement(self, price):
        moves = {}
        for (book, _), (quantity, cost) in self.model.held(FUTURE).items():
            gain = quantity * 10 * price - cost
            moves |= {(book, FUTURE): (-quantity, -cost), (book, "USD"): (gain, D(0))}
        self._apply(LifecycleEvent(FUTURE, the.EXPIRY, FinalSettlement(price)), "final", (price,), moves, is_end=True)

    def _apply(self, event, name, terms, moves, *, is_end):
        moves = {place: move for place, move in moves.items() if move != ZERO}
        outcome = self.runner.run(self._outcome(event))
        standing = self.model.standing(name)
        if standing and not (is_end and self.model.held(FUTURE)):
            expected = Applied.ALREADY_BOOKED if standing[-1].terms == terms else Applied.REFUSED
        elif any(entry.terms != terms for entry in standing):
            expected = Applied.REFUSED
        else:
            expected = Applied.BOOKED if moves else Applied.NOTHING_TO_BOOK
        assert outcome.applied is expected
        if expected is Applied.BOOKED:
            assert outcome.sequence == self.model.append(ModelEntry("event", event.effective_at, moves, name, terms))

    async def _outcome(self, event):
        (outcome,) = [one async for one in self.apply(event, self.account, caller=self.caller())]
        return outcome

    @invariant()
    def the_books_are_those_of_the_model(self):
        if not hasattr(self, "storage"):
            return
        state = self.runner.run(self.storage.books.account_state(self.account))
        assert state.head.sequence == len(self.model.entries)
        found = {(one.book_id, one.instrument_id): (one.quantity, one.cost) for one in state.positions}
        assert found == self.model.held()


@pytest.mark.parametrize("kind", ["memory", "postgres"])
def test_the_books_follow_the_model(kind, request):
    class Machine(Books):
        url = None if kind == "memory" else request.getfixturevalue("module_database_url")

    examples, steps = (40, 30) if kind == "memory" else (8, 20)
    run_state_machine_as_test(Machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None))
