"""What was booked by mistake is taken back once, by an entry that names it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import AccountStatus
from crossmargin.domain.book import EntryKind
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId
from crossmargin.domain.lifecycle_event import Funding, LifecycleEvent
from tests.unit.usecases.house import BTC_PERP, CORE, NOON, spot_trade
from tests.unit.usecases.refusals import refused

FUNDING = LifecycleEvent(BTC_PERP, NOON, Funding(Decimal("0.0001"), Decimal(60_000)))


async def held(house):
    state = await house.ports.books.account_state(CORE)
    return {position.instrument_id: (position.quantity, position.cost) for position in state.positions}


async def cancel(house, sequence=1, *, reason="bust", caller=None, account=CORE):
    return await house.use_cases.cancel_trade(account, sequence, reason=reason, caller=caller or house.caller())


async def test_a_cancelled_trade_leaves_nothing_but_its_two_entries(house):
    await house.use_cases.record_trades(CORE, [spot_trade("2")], caller=house.caller())
    await house.trade("3")
    done = await cancel(house, 1, reason="venue bust 17")
    assert (done.sequence, done.replayed) == (3, False)
    assert await held(house) == {BTC_PERP: (3, 180_000)}
    back = (await house.ports.books.get_entry(CORE, 3)).entry.entry
    assert (back.kind, back.reference, back.details.reverses) == (EntryKind.TRADE_CANCELLATION, "venue bust 17", 1)
    assert back.effective_at == NOON
    first = (await house.ports.books.get_entry(CORE, 1)).entry.entry
    assert [(leg.ledger_account, leg.instrument_id, -leg.quantity) for leg in back.postings] == [
        (leg.ledger_account, leg.instrument_id, leg.quantity) for leg in first.postings
    ]


async def test_a_second_cancellation_is_refused_and_the_same_request_is_answered_again(house):
    await house.trade("3")
    caller = house.caller()
    first = await cancel(house, caller=caller)
    again = await cancel(house, caller=caller)
    assert (again.sequence, again.replayed) == (first.sequence, True)
    error = await refused(cancel(house), Reason.ALREADY_CANCELLED)
    assert error.facts == {"account": str(CORE), "sequence": "1", "cancelled_by": "2"}
    await refused(cancel(house, caller=caller, reason="another"), Reason.REQUEST_ID_REUSED)


async def test_of_two_cancellations_at_once_one_is_booked(house):
    await house.trade("3")
    both = await asyncio.gather(cancel(house), cancel(house), return_exceptions=True)
    assert sorted(type(one).__name__ for one in both) == ["Cancelled", "DomainError"]
    assert await held(house) == {}


async def test_only_a_trade_that_is_there_is_cancelled_as_one(house):
    await house.deposit("100")
    await house.trade("3")
    await cancel(house, 2)
    error = await refused(cancel(house, 1), Reason.NOT_CANCELLABLE)
    assert error.facts["kind"] == "deposit"
    await refused(cancel(house, 3), Reason.NOT_CANCELLABLE)
    await refused(cancel(house, 4), Reason.UNKNOWN_ENTRY)
    await refused(cancel(house, account=replace(CORE, account_id=AccountId("stranger"))), Reason.UNKNOWN_ACCOUNT)


@pytest.mark.parametrize("reason", ["", "x" * 129, "é"])
async def test_a_cancellation_says_why(house, reason):
    await house.trade("3")
    await refused(cancel(house, reason=reason), Reason.INVALID_ARGUMENT)
    assert (await house.ports.books.account_state(CORE)).head.sequence == 1


async def test_a_cancellation_is_a_fact_that_a_halt_does_not_refuse_but_a_closed_account_does(house):
    await house.trade("3")
    await house.trade("4")
    house.database.is_halted = True
    await cancel(house, 1)
    heads = house.database.contents.heads
    heads[CORE] = replace(heads[CORE], status=AccountStatus.CLOSED)
    await refused(cancel(house, 2), Reason.ACCOUNT_CLOSED)


async def test_a_trade_is_cancelled_after_an_event_acted_on_it_and_what_the_event_paid_stays(house):
    await house.trade("3")
    await apply(house)
    await cancel(house, 1)
    assert await held(house) == {"USD": (-18, 0)}
    # The payment is an entry of its own: it is taken back and, as nothing is held any more, not paid again.
    await house.use_cases.cancel_lifecycle_event(CORE, 2, reason="trade was busted", caller=house.caller())
    assert [one.applied.value for one in await apply(house)] == ["nothing to book"]
    assert await held(house) == {}


async def test_a_trade_is_no_event_and_an_event_no_trade(house):
    await house.trade("3")
    await apply(house)
    await refused(cancel(house, 2), Reason.NOT_CANCELLABLE)
    await refused(house.use_cases.cancel_lifecycle_event(CORE, 1, reason="x", caller=house.caller()), Reason.NOT_CANCELLABLE)


async def apply(house):
    return [one async for one in house.use_cases.apply_lifecycle_event(FUNDING, None, caller=house.caller())]
