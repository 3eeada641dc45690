"""Orders, fills, releases, withdrawals, transfers, deposits, trades, time and halts against a model of ten lines, on both storages.

The market is one whose figures can be done in the head: a contract is worth 100 and its initial margin is 12.5, so that what an account
needs at worst is 12.5 times the largest position that its open orders can come to.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from crossmargin.adapters.memory.metrics import MemoryRequestReports
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.book import Deposit, Trade, Transfer, Withdrawal
from crossmargin.domain.errors import DomainError
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.reservation import Order, ReservationKind
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.deposit_collateral import DepositCollateral
from crossmargin.usecases.record_trades import RecordTrades
from crossmargin.usecases.release_reservation import ReleaseReservation
from crossmargin.usecases.reserve_margin import ReserveMargin
from crossmargin.usecases.transfer_collateral import TransferCollateral
from crossmargin.usecases.two_persons import TwoPersons
from crossmargin.usecases.withdraw_collateral import WithdrawCollateral
from tests.builders import AS_OF, Revalued, a_revalued_market, cash, perpetual, risk_parameters
from tests.contract.storage import memory_storage, postgres_storage

MAIN, USD, PERP = BookId("main"), InstrumentId("USD"), InstrumentId("BTC-PERP")
PRICE, MARGIN = Decimal(100), Decimal("12.5")
LIFETIME_S = 1000
"""Long enough that no test outlives it, so that time passes only when the machine says so."""
_numbers = itertools.count(1)


class FixedMarket:
    """A market that never moves."""

    cached = None

    def __init__(self):
        contract = Revalued(perpetual("BTC-PERP"), float(PRICE), {"BTC": [10.0, -10.0]})
        self._view = MarketView(MarketSnapshot(AS_OF, {}, {}), a_revalued_market(contract), risk_parameters(), 1)

    async def __call__(self):
        return self._view

    def instruments_at_hand(self, names):
        return {}


@dataclass
class Hold:
    """An order that may still fill."""

    remaining: Decimal
    immediate: bool
    is_past: bool = False


@dataclass
class Book:
    """The model of one account."""

    cash: Decimal = Decimal(0)
    contracts: Decimal = Decimal(0)
    holds: dict[int, Hold] = field(default_factory=dict)
    sequence: int = 0

    def counted(self):
        return [hold.remaining for hold in self.holds.values() if not (hold.immediate and hold.is_past)]

    def worst(self, *, more=Decimal(0), cash_less=Decimal(0)):
        """Initial margin and excess at worst, with `more` contracts held and so much less cash."""
        held, orders = self.contracts + more, self.counted()
        up, down = sum((one for one in orders if one > 0), held), sum((one for one in orders if one < 0), held)
        needed = MARGIN * max(abs(up), abs(down))
        return needed, self.cash - cash_less - needed

    def approves(self, quantity):
        needed, excess = self.worst()
        filled_needed, filled_excess = self.worst(more=quantity)
        after_needed, after_excess = max(needed, filled_needed), min(excess, filled_excess)
        return after_excess >= 0 or (after_needed <= needed and after_excess >= excess)


class RequestMachine(RuleBasedStateMachine):
    """Does the same to the service and to the model."""

    new_storage = None

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.core, self.bucket = Book(), Book()
        self.answers = []
        self.is_halted = False
        self.run(self.open())

    def run(self, work):
        return self.runner.run(work)

    async def open(self):
        self.resources = contextlib.AsyncExitStack()
        self.storage = await self.resources.enter_async_context(type(self).new_storage())
        client = ClientId(f"client-{next(_numbers)}")
        self.refs = {"core": AccountRef(client, AccountId("core")), "bucket": AccountRef(client, AccountId("bucket"))}
        await self.storage.open_accounts(self.refs["core"])
        await self.storage.create(Account(self.refs["bucket"], "Bucket", AccountMode.ISOLATED, AccountId("core")))
        await self.storage.create(cash())
        await self.storage.create(perpetual("BTC-PERP"))
        compute, market, storage = ThreadComputePool(), FixedMarket(), self.storage
        self.resources.callback(compute.close)
        on_market = DecideOnMarket(storage.writer, market)
        self.reserve_margin = ReserveMargin(on_market, storage.instruments, compute)
        self.release_reservation = ReleaseReservation(storage.writer)
        self.record_trades = RecordTrades(storage.writer, storage.instruments, market, compute, MemoryRequestReports())
        self.deposit_collateral = DepositCollateral(storage.writer, storage.instruments)
        self.withdraw_collateral = WithdrawCollateral(
            on_market, storage.books, storage.instruments, compute, TwoPersons(storage.pending), Decimal(10**12), timedelta(hours=24)
        )
        self.transfer_collateral = TransferCollateral(on_market, storage.books, storage.instruments, compute)

    def ask(self, call):
        """Make a call under a key of its own, remember its answer, and return it, or the reason why it was refused."""
        caller = Caller("desk", f"key-{next(_numbers)}")
        answer = self.run(self.answer_of(call, caller))
        self.answers.append((call, caller, answer))
        return answer

    async def answer_of(self, call, caller):
        try:
            return await call(caller)
        except DomainError as error:
            return (error.reason.name, error.message, tuple(error.facts.items()))

    def expect(self, answer, reason):
        found = answer[0] if isinstance(answer, tuple) else None
        assert found == reason, (answer, reason)
        return found is None

    def reserve(self, quantity, kind):
        order = Order(self.refs["core"], MAIN, PERP, Decimal(quantity), PRICE, kind, timedelta(seconds=LIFETIME_S))
        answer = self.ask(lambda caller: self.reserve_margin(order, caller=caller))
        approved = not self.is_halted and self.core.approves(order.quantity)
        if self.expect(answer, "HALTED" if self.is_halted else None if approved else "INSUFFICIENT_MARGIN"):
            self.core.sequence += 1
            assert answer.reservation.sequence == self.core.sequence
            self.core.holds[self.core.sequence] = Hold(order.quantity, immediate=kind is ReservationKind.IMMEDIATE)
            needed, excess = self.core.worst()
            assert (answer.after.initial_margin, answer.after.excess) == (needed, excess)

    @rule(quantity=st.sampled_from([-40, -8, -3, 2, 5, 24]), kind=st.sampled_from(ReservationKind))
    def an_order(self, quantity, kind):
        self.reserve(quantity, kind)

    @rule(quantity=st.sampled_from([-6, -1, 1, 4]))
    def a_trade_nobody_reserved_for(self, quantity):
        self.fill(Decimal(quantity), None)

    @precondition(lambda self: self.core.holds)
    @rule(data=st.data(), quarters=st.integers(1, 5))
    def a_fill(self, data, quarters):
        number = data.draw(st.sampled_from(sorted(self.core.holds)), label="reservation")
        remaining = self.core.holds[number].remaining
        # Whole contracts, whose margin is whole cents.
        whole = max(1, int(abs(remaining)) * quarters // 4)
        self.fill(Decimal(whole).copy_sign(remaining), number)

    def fill(self, quantity, number):
        trade = replace(Trade(self.refs["core"], MAIN, PERP, quantity, PRICE, AS_OF), reservation=number)
        answer = self.ask(lambda caller: self.record_trades(self.refs["core"], [trade], caller=caller))
        (outcome,) = answer.outcomes
        self.core.contracts += quantity
        self.core.sequence += 1
        assert outcome.sequence == self.core.sequence
        hold = self.core.holds.get(number)
        if hold is None:
            assert not outcome.flags
            return
        flags = {flag.name for flag in outcome.flags}
        if hold.is_past and hold.immediate:
            assert flags == {"AFTER_EXPIRY"}
            return
        self.core.sequence += 1  # the entry that says how much of the reservation was used
        beyond = abs(quantity) > abs(hold.remaining)
        assert flags == {name for name, is_so in (("BEYOND_RESERVATION", beyond), ("SUSPECT_RESERVATION", hold.is_past)) if is_so}
        hold.remaining = Decimal(0) if beyond else hold.remaining - quantity
        if not hold.remaining:
            del self.core.holds[number]

    @precondition(lambda self: self.core.holds)
    @rule(data=st.data())
    def a_release(self, data):
        number = data.draw(st.sampled_from(sorted(self.core.holds)), label="reservation")
        answer = self.ask(lambda caller: self.release_reservation(self.refs["core"], number, caller=caller))
        assert self.expect(answer, None)
        self.core.sequence += 1
        del self.core.holds[number]

    @rule(quantity=st.sampled_from([1, 50, 333]))
    def a_deposit(self, quantity):
        deposit = Deposit(self.refs["core"], MAIN, USD, Decimal(quantity), AS_OF)
        self.ask(lambda caller: self.deposit_collateral(deposit, caller=caller))
        self.core.cash += quantity
        self.core.sequence += 1

    def leaving(self, book, quantity, answer):
        reason = None
        if self.is_halted:
            reason = "HALTED"
        elif quantity > book.cash:
            reason = "INSUFFICIENT_HOLDING"
        elif book.worst(cash_less=quantity)[1] < 0:
            reason = "INSUFFICIENT_MARGIN"
        if self.expect(answer, reason):
            book.cash -= quantity
            book.sequence += 1
            return True
        if reason != "HALTED":
            largest = dict(answer[2])["largest_quantity"]
            assert Decimal(largest) == max(Decimal(0), min(book.cash, quantity, book.worst()[1])), (largest, quantity)
        return False

    @rule(quantity=st.sampled_from([Decimal("0.01"), Decimal(20), Decimal("137.5"), Decimal(5000)]))
    def a_withdrawal(self, quantity):
        withdrawal = Withdrawal(self.refs["core"], MAIN, USD, quantity)
        self.leaving(self.core, quantity, self.ask(lambda caller: self.withdraw_collateral(withdrawal, caller=caller)))

    @rule(quantity=st.sampled_from([Decimal(10), Decimal(75)]), is_back=st.booleans())
    def a_transfer(self, quantity, is_back):
        source, destination = ("bucket", "core") if is_back else ("core", "bucket")
        transfer = Transfer(self.refs[source], self.refs[destination], MAIN, USD, quantity)
        answer = self.ask(lambda caller: self.transfer_collateral(transfer, caller=caller))
        if self.leaving(getattr(self, source), quantity, answer):
            into = getattr(self, destination)
            into.cash += quantity
            into.sequence += 1
            assert (answer.source_sequence, answer.destination_sequence) == (getattr(self, source).sequence, into.sequence)

    @rule(is_long=st.booleans())
    def time_passes(self, is_long):
        """Half a lifetime ends nothing; a whole one ends the time of every order there is."""
        self.storage.pass_time(timedelta(seconds=LIFETIME_S if is_long else 1))
        if is_long:
            for hold in self.core.holds.values():
                hold.is_past = True

    @rule()
    def a_halt_begins_or_ends(self):
        self.is_halted = not self.is_halted
        client = self.refs["core"].client_id
        self.run(self.storage.create(Halt(client, is_halted=self.is_halted, reason="why", changed_by="alice")))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def a_request_is_sent_again(self, data):
        call, caller, answer = data.draw(st.sampled_from(self.answers), label="request")
        again = self.run(self.answer_of(call, caller))
        assert again == (answer if isinstance(answer, tuple) else replace(answer, replayed=True))

    @invariant()
    def books_are_what_the_model_says(self):
        for name, model in (("core", self.core), ("bucket", self.bucket)):
            books = self.run(self.storage.books.read_books(self.refs[name]))
            state = books.states[self.refs[name]]
            held = {position.instrument_id: position.quantity for position in state.positions}
            assert held == {key: value for key, value in ((USD, model.cash), (PERP, model.contracts)) if value}
            assert state.head.sequence == model.sequence
            counted = [one.remaining for one in books.reservations[self.refs[name]] if one.status.counts]
            assert counted == model.counted()

    def teardown(self):
        self.run(self.resources.aclose())
        self.runner.close()


@contextlib.asynccontextmanager
async def a_memory_storage():
    yield memory_storage()


def check(new_storage, *, examples, steps):
    machine = type("Machine", (RequestMachine,), {"new_storage": staticmethod(new_storage)})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))


def test_the_service_decides_as_the_model_on_memory():
    check(a_memory_storage, examples=25, steps=30)


def test_the_service_decides_as_the_model_on_postgres(module_database_url):
    check(lambda: postgres_storage(module_database_url, pool_size=2), examples=6, steps=25)
