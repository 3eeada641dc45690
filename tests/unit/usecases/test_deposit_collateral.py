"""A deposit is booked once for each request id."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from crossmargin.domain.book import Deposit
from crossmargin.domain.errors import Reason
from crossmargin.domain.identifiers import AccountId, BookId, InstrumentId
from tests.unit.usecases.house import BTC_PERP, CORE, NOON, USD
from tests.unit.usecases.refusals import refused

DEPOSIT = Deposit(CORE, BookId("main"), USD, Decimal("1000.50"), NOON)


async def held(house):
    state = await house.ports.books.account_state(CORE)
    return {position.instrument_id: position.quantity for position in state.positions}


async def test_a_repeated_deposit_is_booked_once_and_answers_the_same(house):
    caller = house.caller("again")
    first = await house.use_cases.deposit_collateral(DEPOSIT, caller=caller)
    await house.deposit("5")
    second = await house.use_cases.deposit_collateral(DEPOSIT, caller=caller)
    assert (first.sequence, first.replayed, second.sequence, second.replayed) == (1, False, 1, True)
    assert await held(house) == {USD: Decimal("1005.50")}


async def test_the_same_deposit_under_a_new_request_id_is_another_deposit(house):
    for sequence in (1, 2):
        assert (await house.use_cases.deposit_collateral(DEPOSIT, caller=house.caller())).sequence == sequence
    assert await held(house) == {USD: Decimal(2001)}


async def test_a_request_id_is_not_used_again_for_another_deposit(house):
    caller = house.caller("again")
    await house.use_cases.deposit_collateral(DEPOSIT, caller=caller)
    other = replace(DEPOSIT, quantity=Decimal(7))
    await refused(house.use_cases.deposit_collateral(other, caller=caller), Reason.REQUEST_ID_REUSED)


async def test_a_deposit_of_what_cannot_be_deposited_is_refused(house):
    for change, reason in (
        ({"instrument_id": InstrumentId("NOTHING")}, Reason.UNKNOWN_INSTRUMENT),
        ({"instrument_id": BTC_PERP}, Reason.INVALID_INSTRUMENT),
        ({"quantity": Decimal("0.001")}, Reason.INVALID_DECIMAL),
        ({"account": replace(CORE, account_id=AccountId("stranger"))}, Reason.UNKNOWN_ACCOUNT),
    ):
        await refused(house.use_cases.deposit_collateral(replace(DEPOSIT, **change), caller=house.caller()), reason)
    assert await held(house) == {}
