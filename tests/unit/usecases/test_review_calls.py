"""The monitor issues calls, recognises what comes in, and presses for what does not; a leader who dies loses none and doubles none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import ClassVar

import pytest

from crossmargin.adapters.memory.margin_calls import MemoryCallStore
from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.band_memory import BandState, next_band_state
from crossmargin.domain.book import Withdrawal
from crossmargin.domain.breaker import BreakerKind
from crossmargin.domain.call_agreement import house_agreement
from crossmargin.domain.call_life import CallState, CallTrigger, DisputeReason, MarginCall, NoticeKind
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, InstrumentId
from crossmargin.domain.margin import Band, DataQuality
from crossmargin.domain.margin_call import CallTerms
from crossmargin.domain.margin_history import margin_point
from crossmargin.domain.pending_request import PendingRequest
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.leadership import LeadershipLostError
from crossmargin.usecases.ports.margin_call import CallFilter
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.review_calls import AccountSeen
from tests.unit.usecases.house import CORE, NOON
from tests.unit.usecases.refusals import refused

D = Decimal


class Monitor:
    """What a house run does about one account, without the run."""

    def __init__(self, house, **options):
        self.house = house
        self.review = house.review_calls(**options)

    async def look(self, account=CORE, *, epoch=None, change=lambda result: result, meanwhile=None, **monitor):
        """Margin the account, store the run and review its calls; return its last call. What happens meanwhile is not margined."""
        house, view = self.house, await self.house.current_market()
        epoch = house.database.epoch if epoch is None else epoch
        portfolio = portfolio_of(await house.ports.books.account_state(account))
        result = change(view.margin(portfolio))
        parameters = replace(view.parameters, monitor=replace(view.parameters.monitor, **monitor))
        before = (await house.ports.history.bands()).get(account)
        state = next_band_state(before, result, parameters)
        await house.ports.history.record_run([margin_point(result, before, state)], epoch=house.database.epoch)
        if meanwhile is not None:
            await meanwhile()
        await self.review({account: AccountSeen(result, state, portfolio.mode)}, parameters, epoch=epoch)
        return await house.ports.calls.last_call(account)


@pytest.fixture
def monitor(house):
    return Monitor(house)


def lifted(result):
    """An account that lacks 5,000 dollars of its initial margin, and is in no band for it."""
    return replace(result, requirement=replace(result.requirement, initial_margin=result.equity.equity + 5000))


def covered(result):
    """The same account with just its initial margin."""
    return replace(result, requirement=replace(result.requirement, initial_margin=result.equity.equity))


async def requirement(house):
    return (await house.use_cases.evaluate_margin(CORE)).requirement


async def fall_short(house, utilization="0.9"):
    """Trade, and deposit so little that utilization is so high; return the maintenance margin."""
    await house.trade("10")
    maintenance = (await requirement(house)).maintenance_margin
    await house.deposit(f"{maintenance / D(utilization):.2f}")
    return maintenance


async def notices(house):
    return [notice.kind for notice in await house.ports.calls.list_notices(CORE, after_sequence=0, limit=99)]


async def test_a_call_asks_for_what_brings_the_account_to_the_line_in_whole_thousands(house, monitor):
    maintenance = await fall_short(house)
    call = await monitor.look()
    missing = maintenance / D("0.8") - maintenance / D("0.9")
    assert call.amount % 1000 == 0
    assert missing <= call.amount < missing + 1000
    assert (call.state, call.trigger, call.met, call.sequence) == (CallState.ISSUED, CallTrigger.BAND, 0, 2)
    assert await monitor.look() == call, "as long as nothing moves nothing happens"
    assert [notice.kind for notice in house.ports.call_reports.notices] == [NoticeKind.ISSUED]


async def test_nobody_is_called_below_the_line(house, monitor):
    await fall_short(house, "0.7999")
    assert await monitor.look() is None


async def test_a_call_is_met_in_parts_and_the_next_deficit_is_a_call_of_its_own(house, monitor):
    await fall_short(house)
    call = await monitor.look()
    await house.deposit("5000")
    part = await monitor.look()
    assert (part.state, part.met, part.outstanding) == (CallState.PARTIALLY_MET, 5000, call.amount - 5000)
    await house.deposit(str(call.amount - 5000))
    met = await monitor.look()
    assert (met.state, met.met) == (CallState.MET, call.amount)
    await house.trade("1.5")
    again = await monitor.look()
    assert (again.number, again.state) == (2, CallState.ISSUED)
    assert await notices(house) == [NoticeKind.ISSUED, NoticeKind.PARTIALLY_MET, NoticeKind.MET, NoticeKind.ISSUED]


async def test_what_came_in_for_all_open_calls_is_read_at_once_and_nothing_twice(house):
    """Three accounts, one of them with a delivery in two steps: one read of deliveries a review, whoever has a call."""

    class Counting(MemoryCallStore):
        reads: ClassVar[list[int]] = []

        async def deliveries_of(self, spans):
            self.reads.append(len(spans))
            return await super().deliveries_of(spans)

    monitor = Monitor(house)
    await fall_short(house)
    beta = await house.open_account("core", client="beta")
    await house.trade("10", account=beta)
    await house.deposit("150000", account=beta)
    monitor.review.calls = Counting(house.database)
    seen, parameters = {}, None
    for _ in range(2):
        view = await house.current_market()
        parameters = view.parameters
        for account in (CORE, beta):
            portfolio = portfolio_of(await house.ports.books.account_state(account))
            result = view.margin(portfolio)
            seen[account] = AccountSeen(result, BandState(Band.MARGIN_CALL), portfolio.mode)
        await monitor.review(seen, parameters, epoch=house.database.epoch)
        await house.deposit("2000")
        await house.deposit("3000", account=beta)
    assert {call.met for call in (await house.ports.calls.last_calls()).values()} == {D(2_000), D(3_000)}
    assert Counting.reads == [0, 2]
    await house.deposit("300000", account=beta)
    for spans in (2, 0):
        view = await house.current_market()
        for account in (CORE, beta):
            portfolio = portfolio_of(await house.ports.books.account_state(account))
            seen[account] = AccountSeen(view.margin(portfolio), BandState(Band.MARGIN_CALL), portfolio.mode)
        house.clock.skip(timedelta(seconds=1))
        await monitor.review(seen, parameters, epoch=house.database.epoch)
        assert Counting.reads[-1] == spans, "of a call that is met, and of entries that were looked at, nothing is read"
    assert (await house.ports.calls.last_call(beta)).state is CallState.MET


async def test_a_withdrawal_takes_back_what_was_recognised(house, monitor):
    await fall_short(house, "0.85")
    call = await monitor.look()
    await house.deposit("4000")
    assert (await monitor.look()).met == 4_000
    await house.trade("-9")
    gone = Withdrawal(CORE, BookId("main"), InstrumentId("USD"), D(1_000))
    await house.use_cases.withdraw_collateral(gone, caller=house.caller())
    await house.trade("9")
    back = await monitor.look()
    assert (back.number, back.met, back.amount) == (1, 3_000, call.amount)


async def test_a_delivery_is_recognised_at_once_when_somebody_asks(house, monitor):
    await fall_short(house)
    call = await monitor.look()
    same = await house.use_cases.settle_call(CORE, 1, caller=house.caller())
    assert same == call
    await house.deposit(str(call.amount))
    settled = await house.use_cases.settle_call(CORE, 1, caller=house.caller(principal="olga"))
    assert settled.state is CallState.MET
    assert house.ports.call_reports.notices[-1].by == "olga"
    await refused(house.use_cases.settle_call(CORE, 1, caller=house.caller()), Reason.WRONG_CALL_STATE)


async def test_whoever_settles_a_call_raises_and_escalates_nothing(house, monitor):
    """The deficit has grown past the line meanwhile. That is for the monitor to see; what came in is recognised all the same."""
    await fall_short(house, "0.85")
    call = await monitor.look()
    await house.deposit("1000")
    await house.trade("6")
    settled = await house.use_cases.settle_call(CORE, 1, caller=house.caller(principal="olga"))
    assert (settled.state, settled.amount) == (CallState.PARTIALLY_MET, call.amount)
    assert settled.met == 1000
    assert (await house.use_cases.settle_call(CORE, 1, caller=house.caller(principal="olga"))) == settled
    assert (await monitor.look()).state is CallState.ESCALATED


async def test_a_call_is_rescinded_when_the_market_comes_back(house, monitor):
    await fall_short(house)
    await monitor.look()
    await house.trade("-5")
    assert (await monitor.look()).state is CallState.RESCINDED


@pytest.mark.parametrize(("fraction", "is_raised"), [("0", True), ("9", False)])
async def test_a_call_is_raised_when_the_deficit_has_grown_by_a_share_of_it(house, monitor, fraction, is_raised):
    await fall_short(house, "0.85")
    call = await monitor.look(call_increase_fraction=D(fraction))
    await house.trade("1")
    raised = await monitor.look(call_increase_fraction=D(fraction))
    assert (raised.amount > call.amount) is is_raised
    assert raised.number == 1


async def test_past_the_liquidation_line_the_call_is_escalated_at_the_same_run(house, monitor):
    await fall_short(house, "1.1")
    assert (await monitor.look()).state is CallState.ESCALATED
    assert await notices(house) == [NoticeKind.ISSUED, NoticeKind.ESCALATED], "in this order, and nothing else"
    assert await monitor.look() == await house.ports.calls.last_call(CORE)
    assert len(await notices(house)) == 2


async def test_a_call_that_is_doubted_is_issued_and_not_pressed_in_the_same_breath(house, monitor):
    await fall_short(house, "1.1")

    def doubted(result):
        ends = (result.utilization, result.utilization, result.excess_to_initial, result.excess_to_initial, result.band, result.band)
        return replace(result, quality=DataQuality((), *ends, may_liquidate=False, is_provisional=True))

    assert (await monitor.look(change=doubted)).state is CallState.ISSUED
    assert await notices(house) == [NoticeKind.ISSUED]


async def test_an_overdue_call_is_escalated_though_nothing_moves(house, monitor):
    await fall_short(house)
    call = await monitor.look()
    await monitor.review.escalate_overdue(epoch=house.database.epoch)
    assert await house.ports.calls.last_call(CORE) == call
    house.clock.move_to(call.due_at)
    await monitor.review.escalate_overdue(epoch=house.database.epoch)
    assert (await house.ports.calls.last_call(CORE)).state is CallState.ESCALATED


async def test_a_leader_that_was_replaced_issues_nothing_and_the_next_one_issues_what_it_did_not(house, monitor):
    await fall_short(house)
    house.database.epoch = 7
    with pytest.raises(LeadershipLostError):
        await monitor.look(epoch=6)
    assert await house.ports.calls.last_calls() == {}
    call = await Monitor(house).look(epoch=7)
    assert (call.number, call.state) == (1, CallState.ISSUED)
    assert await Monitor(house).look(epoch=7) == call


async def test_a_tripped_breaker_pauses_calls_and_recognises_what_comes(house, monitor):
    await fall_short(house)
    await house.ports.breakers.trip(BreakerKind.CALLS, at=NOON, cause="too many")
    assert await monitor.look() is None
    await house.ports.breakers.reset(BreakerKind.CALLS, at=NOON, by="alice", note="real")
    call = await monitor.look()
    await house.ports.breakers.trip(BreakerKind.CALLS, at=NOON, cause="too many")
    await house.deposit(str(call.amount))
    assert (await monitor.look()).state is CallState.MET


async def test_a_tripped_breaker_raises_and_escalates_nothing_either(house, monitor):
    await fall_short(house, "0.85")
    call = await monitor.look()
    await house.ports.breakers.trip(BreakerKind.CALLS, at=NOON, cause="too many")
    await house.trade("5")
    assert await monitor.look() == call
    house.clock.move_to(call.due_at)
    await monitor.review.escalate_overdue(epoch=house.database.epoch)
    assert await house.ports.calls.last_call(CORE) == call


async def test_a_call_is_not_raised_by_less_than_the_client_would_have_to_deliver(house, monitor):
    terms = CallTerms(D(0), D(5_000), D(1_000))
    house.database.contents.call_agreements[CORE.client_id, None] = replace(house_agreement(CORE.client_id), terms=terms)
    await fall_short(house, "0.85")
    call = await monitor.look(call_increase_fraction=D(0))
    await house.trade("0.1")
    assert await monitor.look(call_increase_fraction=D(0)) == call, "some 2,000 dollars more are missing"
    await house.trade("0.3")
    assert (await monitor.look(call_increase_fraction=D(0))).amount >= call.amount + 5_000


async def test_a_band_that_is_only_remembered_starts_no_call(house, monitor):
    await fall_short(house, "0.79")
    view, parameters = await house.current_market(), (await house.current_market()).parameters
    portfolio = portfolio_of(await house.ports.books.account_state(CORE))
    remembered = AccountSeen(view.margin(portfolio), BandState(Band.MARGIN_CALL), portfolio.mode)
    await monitor.review({CORE: remembered}, parameters, epoch=house.database.epoch)
    assert await house.ports.calls.last_call(CORE) is None


class Stale(MemoryCallStore):
    """What a review read before somebody else wrote: the lists are old, what is read under the lock is not."""

    known: ClassVar[dict[AccountRef, MarginCall]] = {}

    async def last_calls(self):
        return self.known

    async def last_call(self, ref):
        return (await super().last_calls()).get(ref)


async def test_a_call_that_another_has_issued_meanwhile_is_not_issued_again(house, monitor):
    await fall_short(house)
    call = await monitor.look()
    house.clock.skip(timedelta(seconds=1))  # the request is another one, which is not answered from before
    monitor.review.calls = Stale(house.database)
    Stale.known = {}
    assert await monitor.look() == call
    assert await notices(house) == [NoticeKind.ISSUED]


async def test_a_call_that_somebody_has_changed_meanwhile_is_left_to_the_next_review(house, monitor):
    await fall_short(house)
    call = await monitor.look()
    said = await house.use_cases.acknowledge_call(CORE, 1, text="", caller=house.caller())
    await house.deposit(str(call.amount))
    monitor.review.calls = Stale(house.database)
    Stale.known = {CORE: call}
    assert await monitor.look() == said
    monitor.review.calls = house.ports.calls
    assert (await monitor.look()).state is CallState.MET


async def test_what_came_in_and_what_presses_are_both_done_at_one_review(house, monitor):
    await fall_short(house, "0.85")
    await monitor.look()
    await house.trade("4")
    await house.deposit("2000")
    call = await monitor.look()
    assert (call.state, call.met) == (CallState.ESCALATED, 2_000)
    assert (await notices(house))[1:] == [NoticeKind.PARTIALLY_MET, NoticeKind.ESCALATED]


async def test_an_account_that_is_short_at_its_levels_alone_is_not_called(house, monitor):
    """What a doubted market makes of the band is the gate's; the call follows the band."""
    await fall_short(house)
    assert await monitor.look(change=lambda result: replace(result, band=Band.AT_RISK)) is None


async def test_an_isolated_account_is_never_called(house, monitor):
    bucket = AccountRef(CORE.client_id, AccountId("bucket"))
    await house.use_cases.create_account(Account(bucket, "Bucket", AccountMode.ISOLATED, CORE.account_id), caller=house.caller())
    await house.trade("10", account=bucket)
    await house.deposit("100", account=bucket)
    assert await monitor.look(bucket) is None


async def test_by_schedule_whoever_is_below_the_initial_margin_is_called_once(house):
    await fall_short(house, "0.79")
    monitor = Monitor(house, call_time=time(13))

    assert (await monitor.look(change=lifted)).trigger is CallTrigger.SCHEDULE, "yesterday's was missed: nobody led"
    await house.deposit("5000")
    assert (await monitor.look()).state is CallState.MET
    assert (await monitor.look(change=lifted)).number == 1, "not before the time"
    house.clock.move_to(NOON + timedelta(hours=1))
    assert (await monitor.look(change=lifted)).number == 2


async def test_by_schedule_is_at_its_time_and_not_whenever_an_account_falls_short(house):
    await fall_short(house, "0.79")
    monitor = Monitor(house, call_time=time(11))

    assert await monitor.look(change=covered) is None
    assert await monitor.look(change=lifted) is None, "today's was at 11"
    house.clock.move_to(NOON + timedelta(hours=23))
    await house.ports.breakers.trip(BreakerKind.CALLS, at=NOON, cause="too many")
    assert await monitor.look(change=lifted) is None
    await house.ports.breakers.reset(BreakerKind.CALLS, at=NOON, by="alice", note="real")
    call = await monitor.look(change=lifted)
    assert call.trigger is CallTrigger.SCHEDULE, "what a breaker held back is made up for"
    await house.deposit("5000")
    await monitor.look()
    assert (await Monitor(house, call_time=time(11)).look(change=lifted)).number == 1, "another leader calls nobody twice for one time"


async def test_a_waived_call_is_not_issued_again_until_the_account_has_been_back(house, monitor):
    await fall_short(house)
    await monitor.look()
    since = (await house.ports.history.bands())[CORE].since
    house.clock.move_to(since + timedelta(hours=1))
    pending = await house.use_cases.waive_call(CORE, 1, text="moved out", caller=house.caller(principal="alice"))
    assert isinstance(pending, PendingRequest)
    assert (await house.ports.calls.last_call(CORE)).state is CallState.ISSUED
    second = replace(house.caller(principal="bob"), confirms=pending.pending_id)
    waived = await house.use_cases.waive_call(CORE, 1, text="moved out", caller=second)
    assert (waived.state, (await notices(house))[-1]) == (CallState.WAIVED, NoticeKind.WAIVED)
    assert (await monitor.look()).number == 1
    await house.trade("-8")
    await monitor.look()
    await house.trade("8")
    house.clock.move_to(since + timedelta(hours=2))
    assert (await monitor.look()).number == 2


@pytest.mark.parametrize(("earlier", "number"), [(timedelta(0), 1), (timedelta(microseconds=1), 2)])
async def test_a_waiver_holds_for_the_stay_that_had_begun_when_it_was_given_to_the_moment(house, monitor, earlier, number):
    """Who comes into margin call at the very moment of the waiver is waived; who comes in a moment later is called again."""
    await fall_short(house)
    await monitor.look()
    since = (await house.ports.history.bands())[CORE].since
    house.clock.move_to(since - earlier)
    pending = await house.use_cases.waive_call(CORE, 1, text="moved out", caller=house.caller(principal="alice"))
    second = replace(house.caller(principal="bob"), confirms=pending.pending_id)
    assert (await house.use_cases.waive_call(CORE, 1, text="moved out", caller=second)).closed_at == since - earlier
    assert (await monitor.look()).number == number


async def test_clients_acknowledge_and_dispute_and_are_escalated_by_two(house, monitor):
    await fall_short(house)
    await monitor.look()
    said = await house.use_cases.acknowledge_call(CORE, 1, text="wire sent", caller=house.caller())
    assert said.state is CallState.ACKNOWLEDGED
    disputed = await house.use_cases.dispute_call(CORE, 1, DisputeReason.VALUATION, text="mark is off", caller=house.caller())
    assert disputed.state is CallState.DISPUTED
    alone = await house.use_cases.escalate_call(CORE, 1, text="no answer", caller=house.caller(principal="alice"))
    again = replace(house.caller(principal="alice"), confirms=alone.pending_id)
    await refused(house.use_cases.escalate_call(CORE, 1, text="no answer", caller=again), Reason.FOUR_EYES_REQUIRED)
    other = replace(house.caller(principal="bob"), confirms=alone.pending_id)
    assert (await house.use_cases.escalate_call(CORE, 1, text="no answer", caller=other)).state is CallState.ESCALATED
    last = (await house.ports.calls.list_notices(CORE, after_sequence=0, limit=9))[-1]
    assert (last.by, last.reason, last.text) == ("alice and bob", "two persons", "no answer")


async def test_the_same_word_again_is_said_once(house, monitor):
    await fall_short(house)
    await monitor.look()
    caller = house.caller("same")
    await house.use_cases.acknowledge_call(CORE, 1, text="", caller=caller)
    await house.use_cases.acknowledge_call(CORE, 1, text="", caller=caller)
    assert await notices(house) == [NoticeKind.ISSUED, NoticeKind.ACKNOWLEDGED]
    assert len(await house.ports.calls.list_calls(CallFilter(only_open=True), Page(9))) == 1


async def test_a_call_that_was_paid_in_time_is_not_escalated_because_nobody_has_looked_yet(house, monitor):
    """Booked a moment before it was due; the clock strikes before the house run that recognises it."""
    await fall_short(house)
    call = await monitor.look()
    await house.deposit(str(call.amount))
    house.clock.move_to(call.due_at)
    await monitor.review.escalate_overdue(epoch=house.database.epoch)
    assert await notices(house) == [NoticeKind.ISSUED]
    assert (await monitor.look()).state is CallState.MET


async def test_what_was_looked_at_already_or_taken_out_keeps_no_call_from_the_liquidation_authority(house, monitor):
    await fall_short(house, "0.85")
    call = await monitor.look()
    await house.deposit("2000")
    assert (await monitor.look()).met == 2_000
    await house.trade("-9")
    gone = Withdrawal(CORE, BookId("main"), InstrumentId("USD"), D(500))
    await house.use_cases.withdraw_collateral(gone, caller=house.caller())
    house.clock.move_to(call.due_at)
    await monitor.review.escalate_overdue(epoch=house.database.epoch)
    assert (await house.ports.calls.last_call(CORE)).state is CallState.ESCALATED


async def test_a_delivery_that_nobody_can_value_keeps_a_call_for_a_minute_and_no_longer(house, monitor):
    """The account cannot be margined, so no house run recognises anything: then people have to look."""
    await fall_short(house)
    call = await monitor.look()
    await house.deposit("1")
    for late, is_escalated in ((timedelta(minutes=1) - timedelta(microseconds=1), False), (timedelta(minutes=1), True)):
        house.clock.move_to(call.due_at + late)
        await monitor.review.escalate_overdue(epoch=house.database.epoch)
        assert ((await house.ports.calls.last_call(CORE)).state is CallState.ESCALATED) is is_escalated


async def test_who_could_not_be_margined_at_the_time_of_the_schedule_is_called_once_he_can(house):
    """Two are below their initial margin at half past twelve, and of one of them nobody can say so before two."""
    monitor, beta = Monitor(house, call_time=time(12, 30)), await house.open_account("core", client="beta")
    await fall_short(house, "0.79")
    await house.trade("10", account=beta)
    await house.deposit("200000", account=beta)
    for account in (CORE, beta):
        assert await monitor.look(account, change=covered) is None
    house.clock.move_to(NOON + timedelta(hours=1))
    assert (await monitor.look(CORE, change=lifted)).trigger is CallTrigger.SCHEDULE
    house.clock.move_to(NOON + timedelta(hours=2))
    assert (await monitor.look(beta, change=lifted)).trigger is CallTrigger.SCHEDULE


async def test_who_falls_below_the_initial_margin_after_the_time_of_the_schedule_is_called_the_next_day(house):
    monitor = Monitor(house, call_time=time(12, 30))
    await fall_short(house, "0.79")
    assert await monitor.look(change=covered) is None, "yesterday's"
    house.clock.move_to(NOON + timedelta(minutes=30))
    assert await monitor.look(change=covered) is None, "the time of today, to the moment"
    assert await monitor.look(change=lifted) is None
    house.clock.move_to(NOON + timedelta(hours=24, minutes=30) - timedelta(microseconds=1))
    assert await monitor.look(change=lifted) is None
    house.clock.move_to(NOON + timedelta(hours=24, minutes=30))
    assert (await monitor.look(change=lifted)).trigger is CallTrigger.SCHEDULE


@pytest.mark.parametrize(("paid", "is_called"), [("0", False), ("-0.01", True)])
async def test_who_has_paid_what_is_missing_since_he_was_margined_is_not_called_for_it(house, monitor, paid, is_called):
    """To the cent: a little is no way to keep from being called."""
    await fall_short(house)
    asked = (await monitor.look()).amount
    house.database.contents.calls.clear()
    house.database.contents.call_notices.clear()
    house.clock.skip(timedelta(seconds=1))

    async def pays():
        await house.deposit(str(asked + D(paid)))

    assert (await monitor.look(meanwhile=pays) is not None) is is_called
    assert len(house.ports.call_reports.notices) == (2 if is_called else 1)


async def test_a_deposit_that_was_there_when_the_account_was_margined_keeps_nobody_from_being_called(house, monitor):
    await fall_short(house, "0.5")
    await house.trade("9")

    async def trades():
        await house.trade("0.1")

    assert (await monitor.look(meanwhile=trades)).state is CallState.ISSUED, "nor does a trade"


async def test_a_call_is_neither_raised_nor_escalated_while_what_is_missing_has_come_in(house, monitor):
    await fall_short(house, "0.85")
    call = await monitor.look()
    await house.trade("4")

    async def pays():
        await house.deposit("400000")

    assert await monitor.look(meanwhile=pays, call_increase_fraction=D(0)) == call
    house.clock.skip(timedelta(seconds=1))
    assert (await monitor.look()).state is CallState.MET


async def test_what_comes_in_between_keeps_no_call_from_being_pressed_that_it_does_not_meet(house, monitor):
    await fall_short(house, "0.85")
    await monitor.look()
    await house.trade("4")

    async def pays():
        await house.deposit("10")

    assert (await monitor.look(meanwhile=pays)).state is CallState.ESCALATED


@pytest.mark.parametrize(("kind", "is_held_back"), [(BreakerKind.CALLS, True), (BreakerKind.LIQUIDATIONS, False)])
async def test_the_breaker_of_calls_holds_back_what_is_overdue_and_that_of_liquidations_does_not(house, monitor, kind, is_held_back):
    await fall_short(house)
    call = await monitor.look()
    await house.ports.breakers.trip(kind, at=NOON, cause="too many")
    house.clock.move_to(call.due_at)
    await monitor.review.escalate_overdue(epoch=house.database.epoch)
    assert ((await house.ports.calls.last_call(CORE)).state is CallState.ISSUED) is is_held_back


async def test_the_time_of_the_schedule_is_that_of_utc(house):
    """Four in the morning in Auckland is three in the afternoon of the day before."""
    monitor = Monitor(house, call_time=time(15))
    house.clock.move_to(datetime(2026, 3, 4, 4, tzinfo=timezone(timedelta(hours=13))))
    assert monitor.review.last_schedule() == datetime(2026, 3, 3, 15, tzinfo=UTC)
    house.clock.move_to(datetime(2026, 3, 4, 3, 59, tzinfo=timezone(timedelta(hours=13))))
    assert monitor.review.last_schedule() == datetime(2026, 3, 2, 15, tzinfo=UTC)


async def test_a_call_is_numbered_after_the_last_one_that_there_is_when_it_is_written(house, monitor):
    """Another leader's call was issued and met since the lists were read."""
    await fall_short(house)
    first = await monitor.look()
    await house.deposit(str(first.amount))
    assert (await monitor.look()).state is CallState.MET
    await house.trade("3")
    house.clock.skip(timedelta(seconds=1))
    monitor.review.calls = Stale(house.database)
    Stale.known = {}
    second = await monitor.look()
    assert (second.number, (await house.ports.calls.get_call(CORE, 1)).state) == (2, CallState.MET)


async def test_what_comes_in_after_the_margin_is_recognised_with_the_next_one_and_once(house, monitor):
    await fall_short(house, "0.85")
    await monitor.look()
    await house.deposit("1000")

    async def pays():
        await house.deposit("2000")

    assert (await monitor.look(meanwhile=pays)).met == 1_000
    house.clock.skip(timedelta(seconds=1))
    assert (await monitor.look()).met == 3_000
    house.clock.skip(timedelta(seconds=1))
    assert (await monitor.look()).met == 3_000


async def test_a_call_takes_every_step_that_it_is_due_at_one_review(house, monitor):
    """Something came in, the market data was confirmed, and the account is past the line: three notices, in this order."""
    await fall_short(house, "0.85")

    def doubted(result):
        ends = (result.utilization, result.utilization, result.excess_to_initial, result.excess_to_initial, result.band, result.band)
        return replace(result, quality=DataQuality((), *ends, may_liquidate=False, is_provisional=True))

    assert (await monitor.look(change=doubted)).is_provisional
    await house.trade("4")
    await house.deposit("2000")
    call = await monitor.look()
    assert (call.state, call.met, call.is_provisional) == (CallState.ESCALATED, 2_000, False)
    assert (await notices(house))[1:] == [NoticeKind.PARTIALLY_MET, NoticeKind.CONFIRMED, NoticeKind.ESCALATED]


async def test_who_is_remembered_in_margin_call_is_called_again_only_for_what_is_so_now(house, monitor):
    """At the levels 0.9, at the best end of the market less: the band to act on is better, though an initial-only charge is not covered."""
    await fall_short(house)
    view = await house.current_market()
    portfolio = portfolio_of(await house.ports.books.account_state(CORE))
    result = view.margin(portfolio)
    for band, is_called in ((Band.AT_RISK, False), (Band.MARGIN_CALL, True)):
        seen = AccountSeen(replace(result, band=band), BandState(Band.MARGIN_CALL), portfolio.mode)
        await monitor.review({CORE: seen}, view.parameters, epoch=house.database.epoch)
        assert (await house.ports.calls.last_call(CORE) is not None) is is_called


class Locked:
    """A storage of which somebody holds the locks of some accounts; it says what it was asked to write."""

    def __init__(self, writer, *accounts, reason=Reason.SERVICE_BUSY):
        self.writer, self.accounts, self.reason, self.asked = writer, accounts, reason, []

    async def write(self, request, decide):
        (account,) = request.accounts
        self.asked.append(account)
        if account in self.accounts:
            raise DomainError(self.reason, f"{account} cannot be written now")
        return await self.writer.write(request, decide)


async def short_clients(house, *names):
    """Accounts of clients that are all short, in the order of their names."""
    accounts = [await house.open_account("core", client=name) for name in names]
    seen = {}
    for account in accounts:
        await house.trade("10", account=account)
        maintenance = (await house.use_cases.evaluate_margin(account)).requirement.maintenance_margin
        await house.deposit(f"{maintenance / D('0.9'):.2f}", account=account)
    view = await house.current_market()
    for account in accounts:
        portfolio = portfolio_of(await house.ports.books.account_state(account))
        seen[account] = AccountSeen(view.margin(portfolio), BandState(Band.MARGIN_CALL), portfolio.mode)
    return accounts, seen, view.parameters


async def test_an_account_whose_lock_somebody_holds_keeps_nobody_else_from_being_called(house, monitor):
    (first, second), seen, parameters = await short_clients(house, "beta", "gamma")
    monitor.review.writer = Locked(house.ports.writer, first)
    await refused(monitor.review(seen, parameters, epoch=house.database.epoch), Reason.SERVICE_BUSY)
    assert list(await house.ports.calls.last_calls()) == [second]
    monitor.review.writer = house.ports.writer
    await monitor.review(seen, parameters, epoch=house.database.epoch)
    assert sorted(await house.ports.calls.last_calls()) == [first, second], "and he is called by the review that is made again"


async def test_what_is_overdue_is_escalated_though_one_account_is_held_up(house, monitor):
    (first, second), seen, parameters = await short_clients(house, "beta", "gamma")
    await monitor.review(seen, parameters, epoch=house.database.epoch)
    house.clock.move_to(NOON + timedelta(days=3))
    monitor.review.writer = Locked(house.ports.writer, first)
    await refused(monitor.review.escalate_overdue(epoch=house.database.epoch), Reason.SERVICE_BUSY)
    states = {account: call.state for account, call in (await house.ports.calls.last_calls()).items()}
    assert states == {first: CallState.ISSUED, second: CallState.ESCALATED}


@pytest.mark.parametrize(("reason", "asked"), [(Reason.SERVICE_BUSY, 6), (Reason.STORAGE_UNAVAILABLE, 1)])
async def test_a_storage_that_takes_nothing_down_is_not_asked_for_every_account(house, monitor, reason, asked):
    accounts, seen, parameters = await short_clients(house, *(f"client-{name}" for name in "abcdefgh"))
    locked = monitor.review.writer = Locked(house.ports.writer, *accounts, reason=reason)
    await refused(monitor.review(seen, parameters, epoch=house.database.epoch), reason)
    assert locked.asked == accounts[:asked]


async def test_by_schedule_who_was_held_up_is_called_once_he_can_be(house):
    monitor, (first, second) = (
        Monitor(house, call_time=time(11)),
        [await house.open_account("core", client=name) for name in ("beta", "gamma")],
    )
    view, seen = await house.current_market(), {}
    for account in (first, second):
        await house.deposit("1000", account=account)
        portfolio = portfolio_of(await house.ports.books.account_state(account))
        seen[account] = AccountSeen(lifted(view.margin(portfolio)), BandState(Band.HEALTHY), portfolio.mode)
    monitor.review.writer = Locked(house.ports.writer, first)
    await refused(monitor.review(seen, view.parameters, epoch=house.database.epoch), Reason.SERVICE_BUSY)
    monitor.review.writer = house.ports.writer
    await monitor.review(seen, view.parameters, epoch=house.database.epoch)
    assert {account: call.trigger for account, call in (await house.ports.calls.last_calls()).items()} == dict.fromkeys(
        (first, second), CallTrigger.SCHEDULE
    )


async def test_a_step_that_is_decided_again_is_told_once(house, monitor):
    class Twice:
        async def write(self, request, decide):
            async def twice(heads):
                await decide(heads)
                return await decide(heads)

            return await house.ports.writer.write(request, twice)

    await fall_short(house)
    monitor.review.writer = Twice()
    await monitor.look()
    assert [notice.kind for notice in house.ports.call_reports.notices] == [NoticeKind.ISSUED]


async def test_nobody_is_called_for_less_than_he_would_have_to_deliver(house, monitor):
    terms = CallTerms(D(0), D(1_000_000), D(1_000))
    house.database.contents.call_agreements[CORE.client_id, None] = replace(house_agreement(CORE.client_id), terms=terms)
    await fall_short(house)
    assert await monitor.look() is None


async def test_a_call_that_was_met_keeps_nobody_from_the_next_one_in_the_same_stay(house, monitor):
    """Only a waiver does. The account has not left margin call since before the first one was met."""
    await fall_short(house)
    first = await monitor.look()
    since = (await house.ports.history.bands())[CORE].since
    house.clock.move_to(since + timedelta(hours=1))
    await house.deposit(str(first.amount))
    assert (await monitor.look()).closed_at > since
    await house.trade("3")
    view = await house.current_market()
    portfolio = portfolio_of(await house.ports.books.account_state(CORE))
    seen = AccountSeen(view.margin(portfolio), BandState(Band.MARGIN_CALL, since=since), portfolio.mode)
    await monitor.review({CORE: seen}, view.parameters, epoch=house.database.epoch)
    assert (await house.ports.calls.last_call(CORE)).number == 2
