"""The rule of two persons through the verbs that it holds: limits, the end of a halt, large withdrawals."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.book import Withdrawal
from crossmargin.domain.errors import Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import BookId, ClientId, PendingRequestId
from crossmargin.domain.pending_request import PendingRequest, PendingState, Persons
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.pending_request import PendingFilter
from crossmargin.usecases.withdraw_collateral import Withdrawn
from tests.unit.usecases.house import BTC, CORE, NOON, USD
from tests.unit.usecases.refusals import refused

D = Decimal
ALPHA, BETA = CORE.client_id, ClientId("beta")
MILLIONS = Withdrawal(CORE, BookId("main"), USD, D(2_000_000), "w1")


@dataclass
class Verb:
    """A call that takes two persons, another like it, and what shows that it was done."""

    call: object
    other: object
    is_done: object
    done_type: type


def limits_verb(house):
    limits = ExposureLimits(ALPHA, CORE.account_id, gross=D(500))

    async def is_done():
        return (await house.use_cases.books.get_limits(ALPHA, CORE.account_id)).gross == D(500)

    def call(caller):
        return house.use_cases.set_exposure_limits(limits, caller=caller)

    def other(caller):
        return house.use_cases.set_exposure_limits(replace(limits, gross=D(501)), caller=caller)

    return Verb(call, other, is_done, ExposureLimits)


def resume_verb(house):
    async def is_done():
        return not (await house.use_cases.books.get_halt(ALPHA)).is_halted

    def call(caller):
        return house.use_cases.resume_trading(ALPHA, reason="fixed", caller=caller)

    def other(caller):
        return house.use_cases.resume_trading(ALPHA, reason="fixed, perhaps", caller=caller)

    return Verb(call, other, is_done, Halt)


def withdraw_verb(house):
    async def is_done():
        return len(await house.use_cases.books.list_entries(CORE, after_sequence=0, limit=9)) == 2

    def call(caller):
        return house.use_cases.withdraw_collateral(MILLIONS, caller=caller)

    def other(caller):
        return house.use_cases.withdraw_collateral(replace(MILLIONS, quantity=D(2_000_001)), caller=caller)

    return Verb(call, other, is_done, Withdrawn)


@pytest.fixture(params=[limits_verb, resume_verb, withdraw_verb])
async def verb(house, request):
    await house.deposit("5000000")
    if request.param is resume_verb:
        await house.use_cases.halt_trading(ALPHA, reason="why", caller=house.caller(principal="alice"))
    return request.param(house)


async def ask(house, verb, principal="alice", request_id=None):
    asked = await verb.call(house.caller(request_id, principal=principal))
    assert isinstance(asked, PendingRequest)
    return asked


async def awaiting(house):
    return await house.use_cases.pending.list_pending(PendingFilter(state=PendingState.AWAITING), Page(99))


async def test_one_person_does_nothing_and_two_do_it(house, verb):
    asked = await ask(house, verb)
    assert (asked.state, asked.asked_by, asked.asked.client_id) == (PendingState.AWAITING, "alice", ALPHA)
    assert not await verb.is_done()
    done = await verb.call(house.caller(principal="bob", confirms=asked.pending_id))
    assert isinstance(done, verb.done_type)
    assert await verb.is_done()
    ended = await house.use_cases.pending.get_pending(asked.pending_id)
    assert (ended.state, ended.ended_by) == (PendingState.CONFIRMED, "bob")
    assert not await awaiting(house)


async def test_the_same_person_cannot_be_both(house, verb):
    asked = await ask(house, verb)
    await refused(verb.call(house.caller(principal="alice", confirms=asked.pending_id)), Reason.FOUR_EYES_REQUIRED)
    assert not await verb.is_done()


async def test_other_content_is_refused_and_leaves_it_waiting(house, verb):
    asked = await ask(house, verb)
    error = await refused(verb.other(house.caller(principal="bob", confirms=asked.pending_id)), Reason.PENDING_REQUEST_DIFFERS)
    assert error.facts["expected"] == asked.asked.words
    assert [one.pending_id for one in await awaiting(house)] == [asked.pending_id]


async def test_a_retry_of_the_first_is_no_second_request_and_learns_what_became_of_it(house, verb):
    asked = await ask(house, verb, request_id="once")
    assert await ask(house, verb, request_id="once") == asked
    await verb.call(house.caller(principal="bob", confirms=asked.pending_id))
    assert (await ask(house, verb, request_id="once")).state is PendingState.CONFIRMED
    assert not await awaiting(house)


async def test_a_retry_of_the_second_is_answered_and_does_nothing_twice(house, verb):
    asked = await ask(house, verb)
    second = house.caller("again", principal="bob", confirms=asked.pending_id)
    first_answer = await verb.call(second)
    again = await verb.call(second)
    assert replace(again, replayed=False) == first_answer if isinstance(again, Withdrawn) else again == first_answer
    assert await verb.is_done()


async def test_of_many_who_confirm_at_once_one_does(house, verb):
    asked = await ask(house, verb)
    callers = [house.caller(principal=f"person-{n}", confirms=asked.pending_id) for n in range(6)]
    answers = await asyncio.gather(*map(verb.call, callers), return_exceptions=True)
    lost = [answer for answer in answers if isinstance(answer, BaseException)]
    assert [error.reason for error in lost] == [Reason.PENDING_REQUEST_ENDED] * 5
    assert await verb.is_done()


async def test_what_was_cancelled_or_confirmed_or_never_asked_for_is_not_done(house, verb):
    asked = await ask(house, verb)
    ended = await house.use_cases.cancel_pending_request(asked.pending_id, caller=house.caller("c", principal="alice"))
    assert (ended.state, ended.ended_by) == (PendingState.CANCELLED, "alice")
    assert await house.use_cases.cancel_pending_request(asked.pending_id, caller=house.caller("c", principal="alice")) == ended
    await refused(verb.call(house.caller(principal="bob", confirms=asked.pending_id)), Reason.PENDING_REQUEST_ENDED)
    unknown = PendingRequestId("f" * 16)
    await refused(verb.call(house.caller(principal="bob", confirms=unknown)), Reason.UNKNOWN_PENDING_REQUEST)
    await refused(house.use_cases.cancel_pending_request(asked.pending_id, caller=house.caller()), Reason.PENDING_REQUEST_ENDED)
    assert not await verb.is_done()


async def test_what_is_about_another_client_answers_like_what_nobody_asked_for(house):
    await house.open_account("core", client="beta")
    foreign = await house.use_cases.set_exposure_limits(ExposureLimits(BETA, None), caller=house.caller(principal="alice"))
    name = foreign.pending_id
    told = []
    for confirms in (name, PendingRequestId("f" * 16)):
        call = house.use_cases.set_exposure_limits(ExposureLimits(ALPHA, None), caller=house.caller(principal="bob", confirms=confirms))
        error = await refused(call, Reason.UNKNOWN_PENDING_REQUEST)
        told.append(error.message.replace(confirms, "NAME"))
    assert told[0] == told[1]


async def test_both_names_are_kept_with_what_they_did(house):
    assert (await house.limit(ExposureLimits(ALPHA, None, gross=D(1)))).set_by == "alice and bob"
    await house.use_cases.halt_trading(None, reason="why", caller=house.caller(principal="carol"))
    assert (await house.resume(None)).changed_by == "alice and bob"
    await house.deposit("5000000")
    verb = withdraw_verb(house)
    asked = await ask(house, verb)
    await house.limit(ExposureLimits(ALPHA, None))
    done = await verb.call(house.caller(principal="bob", confirms=asked.pending_id))
    booked = await house.use_cases.books.get_entry(CORE, done.sequence)
    assert booked.entry.entry.details.persons == Persons("alice", "bob")


@pytest.mark.parametrize(
    ("quantity", "instrument", "alone"),
    [("1000000", USD, True), ("1000000.01", USD, False), ("16.6", BTC, True), ("16.7", BTC, False)],
)
async def test_a_withdrawal_up_to_the_limit_is_one_persons(house, quantity, instrument, alone):
    await house.deposit("5000000")
    await house.deposit("100", BTC)
    assert await withdraws_alone(house, quantity, instrument) is alone


async def withdraws_alone(house, quantity, instrument=USD, *, account=CORE):
    """Whether one person may, tried first and then done."""
    withdrawal = Withdrawal(account, BookId("main"), instrument, D(quantity))
    tried = await house.use_cases.withdraw_collateral.validate(withdrawal)
    done = await house.use_cases.withdraw_collateral(withdrawal, caller=house.caller(principal="alice"))
    assert tried.needs_second_person is isinstance(done, PendingRequest)
    return isinstance(done, Withdrawn)


async def test_what_one_person_withdraws_in_a_day_counts_together(house):
    """So that much does not leave in parts: from any account of the client, in any asset, at what it is worth now."""
    second, other = await house.open_account("second"), await house.open_account("core", client="beta")
    for account in (CORE, second, other):
        await house.deposit("5000000", account=account)
    await house.deposit("100", BTC)
    assert await withdraws_alone(house, "400000")
    assert await withdraws_alone(house, "5", BTC)
    assert await withdraws_alone(house, "300000", account=second)
    assert not await withdraws_alone(house, "0.01")
    assert not await withdraws_alone(house, "1", account=second)
    assert await withdraws_alone(house, "1000000", account=other)
    house.database.clock_offset = timedelta(hours=24, seconds=1)
    await house.publish(at=NOON + timedelta(days=1))
    assert await withdraws_alone(house, "1000000", account=second)


async def test_what_two_persons_withdrew_leaves_one_person_what_he_may(house):
    await house.deposit("5000000")
    verb = withdraw_verb(house)
    asked = await ask(house, verb)
    await verb.call(house.caller(principal="bob", confirms=asked.pending_id))
    assert await withdraws_alone(house, "1000000")


async def test_of_two_withdrawals_at_one_moment_from_two_accounts_one_waits(house):
    second = await house.open_account("second")
    for account in (CORE, second):
        await house.deposit("5000000", account=account)
    both = [Withdrawal(account, BookId("main"), USD, D(600_000)) for account in (CORE, second)]
    done = await asyncio.gather(*(house.use_cases.withdraw_collateral(each, caller=house.caller(principal="alice")) for each in both))
    assert sorted(type(one).__name__ for one in done) == ["PendingRequest", "Withdrawn"]


async def test_margin_is_decided_anew_when_the_second_person_comes(house):
    await house.deposit("5000000")
    verb = withdraw_verb(house)
    asked = await ask(house, verb)
    await house.trade("500")
    second = house.caller("second", principal="bob", confirms=asked.pending_id)
    for _ in range(2):  # a refusal is bound to the key
        await refused(verb.call(second), Reason.INSUFFICIENT_MARGIN)
    # It goes on waiting: what cannot leave now may be able to later.
    assert [one.pending_id for one in await awaiting(house)] == [asked.pending_id]
    await house.trade("-500")
    await verb.call(house.caller(principal="bob", confirms=asked.pending_id))
    assert not await awaiting(house)


async def test_what_may_not_leave_does_not_wait_for_anybody(house):
    await house.deposit("1000")
    await refused(withdraw_verb(house).call(house.caller(principal="alice")), Reason.INSUFFICIENT_HOLDING)
    assert not await awaiting(house)
