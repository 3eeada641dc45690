"""What both storages promise of margin calls: one open call an account, notices that stay, and a lead that is looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time
from decimal import Decimal

import pytest

from crossmargin.domain.call_agreement import CallAgreement, house_agreement
from crossmargin.domain.call_life import CallStanding, CallTrigger, acknowledge, issue, waive
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.holidays import HolidayCalendar
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, SnapshotId
from crossmargin.domain.margin_call import CallTerms
from crossmargin.usecases.ports.leadership import LeadershipLostError
from crossmargin.usecases.ports.margin_call import CallFilter, EntrySpan, call_key
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.writing import UnderLead
from tests.contract.storage import CORE, OTHER, a_request, decide_records

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
D = Decimal
STANDING = CallStanding(3, SnapshotId("0" * 32), None, D("100000.5"), None, is_called_for=True, is_past_the_line=False, is_provisional=True)


def a_call(ref=CORE, before=None):
    return issue(ref, STANDING, house_agreement(ref.client_id), CallTrigger.BAND, before, at=NOW, by="crossmargin")


async def store(storage, *changes):
    for change in changes:
        await storage.create(change.call, change.notice)


@pytest.fixture(autouse=True)
async def accounts(storage):
    await storage.open_accounts(CORE, OTHER)


async def test_a_call_and_its_notices_come_back_as_they_were(storage):
    first = a_call()
    second = acknowledge(first.call, at=NOW, by="carol", text="on its way")
    await store(storage, first, second)
    assert await storage.calls.get_call(CORE, 1) == second.call == await storage.calls.last_call(CORE)
    assert list(await storage.calls.list_notices(CORE, after_sequence=0, limit=9)) == [first.notice, second.notice]
    assert list(await storage.calls.list_notices(CORE, after_sequence=1, limit=9)) == [second.notice]
    assert list(await storage.calls.list_notices(CORE, after_sequence=0, limit=1, call_number=1)) == [first.notice]
    assert list(await storage.calls.list_notices(CORE, after_sequence=0, limit=9, call_number=2)) == []
    assert await storage.calls.last_call(OTHER) is None


async def test_an_account_has_one_open_call_whatever_anybody_believes(storage):
    first = a_call()
    await store(storage, first)
    with pytest.raises(DomainError) as refused:
        await store(storage, a_call(before=first.call))
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert len(await storage.calls.list_calls(CallFilter(), Page(9))) == 1
    waived = waive(first.call, at=NOW, by="alice and bob", text="why")
    second = a_call(before=waived.call)
    await store(storage, waived, second)
    assert [call.number for call in await storage.calls.list_calls(CallFilter(only_open=True), Page(9))] == [2]


async def test_a_notice_is_never_replaced(storage):
    first = a_call()
    await store(storage, first)
    with pytest.raises(DomainError) as refused:
        await storage.create(replace(first.notice, text="another"))
    assert refused.value.reason is Reason.ALREADY_EXISTS


async def test_a_change_under_a_lead_that_is_over_is_not_written(storage):
    leader, successor = storage.new_leadership(), storage.new_leadership()
    await leader.try_lead()
    stale = leader.epoch
    await leader.close()
    await successor.try_lead()
    change = a_call()
    with pytest.raises(LeadershipLostError):
        await storage.writer.write(a_request("stale", CORE), decide_records(UnderLead(stale), change.call, change.notice))
    assert await storage.calls.last_calls() == {}
    await storage.writer.write(a_request("now", CORE), decide_records(UnderLead(successor.epoch), change.call, change.notice))
    assert list(await storage.calls.last_calls()) == [CORE]
    await successor.close()


async def test_calls_are_listed_by_account_and_number_and_in_pages(storage):
    longer = AccountRef(CORE.client_id, AccountId("core-2"))
    await storage.open_accounts(longer)
    waived = waive(a_call().call, at=NOW, by="alice and bob", text="why")
    changes = [a_call(), waived, a_call(before=waived.call), a_call(OTHER), a_call(longer)]
    await store(storage, *changes)
    every = list(await storage.calls.list_calls(CallFilter(), Page(9)))
    assert [(call.account, call.number) for call in every] == [(CORE, 1), (CORE, 2), (longer, 1), (OTHER, 1)]
    assert list(await storage.calls.list_calls(CallFilter(), Page(2, call_key(every[0])))) == every[1:3]
    assert list(await storage.calls.list_calls(CallFilter(), Page(9, call_key(every[1])))) == every[2:]
    assert list(await storage.calls.list_calls(CallFilter(OTHER.client_id), Page(9))) == every[3:]
    assert list(await storage.calls.list_calls(CallFilter(CORE.client_id, CORE), Page(9))) == every[:2]
    assert (await storage.calls.last_calls())[CORE] == every[1]


async def test_what_does_not_exist_is_unknown(storage):
    nobody = AccountRef(ClientId("nobody"), AccountId("core"))
    for asked in (storage.calls.get_call(CORE, 1), storage.calls.list_notices(nobody, after_sequence=0, limit=1)):
        with pytest.raises(DomainError) as refused:
            await asked
        assert refused.value.reason in {Reason.UNKNOWN_CALL, Reason.UNKNOWN_ACCOUNT}


async def test_deliveries_are_those_between_two_entries(storage):
    await storage.book(a_request("one", CORE), CORE, 100)
    await storage.book(a_request("two", CORE), CORE, 7, 5)
    assert await storage.calls.deliveries(CORE, after_sequence=1, until_sequence=3) == {InstrumentId("USD"): D(12)}
    assert await storage.calls.deliveries(CORE, after_sequence=1, until_sequence=2) == {InstrumentId("USD"): D(7)}
    assert await storage.calls.deliveries(CORE, after_sequence=3, until_sequence=9) == {}


async def test_deliveries_of_many_are_those_of_each_and_nobody_elses(storage):
    await storage.open_accounts(OTHER)
    await storage.book(a_request("one", CORE), CORE, 100, 7)
    await storage.book(a_request("two", OTHER), OTHER, 5, 11)
    spans = {CORE: EntrySpan(1, 2), OTHER: EntrySpan(0, 1)}
    assert await storage.calls.deliveries_of(spans) == {CORE: {InstrumentId("USD"): D(7)}, OTHER: {InstrumentId("USD"): D(5)}}
    assert await storage.calls.deliveries_of({CORE: EntrySpan(2, 9), OTHER: EntrySpan(1, 2)}) == {OTHER: {InstrumentId("USD"): D(11)}}
    assert await storage.calls.deliveries_of({}) == {}


async def test_terms_replace_those_of_the_same_scope(storage):
    agreed = CallAgreement(
        CORE.client_id,
        None,
        CallTerms(D(1), D(2), D("0.5")),
        time(14),
        0,
        time(18, 30),
        on_business_days=True,
        set_by="alice and bob",
        calendar=HolidayCalendar.LONDON,
    )
    own = replace(agreed, account_id=CORE.account_id, due_days=2)
    await storage.create(agreed)
    await storage.create(own)
    changed = replace(agreed, due_days=1, set_by="bob and carol")
    await storage.create(changed)
    found = await storage.calls.agreements()
    assert {key: replace(each, set_at=None) for key, each in found.items()} == {
        (CORE.client_id, None): changed,
        (CORE.client_id, CORE.account_id): own,
    }
    assert found[CORE.client_id, None].set_at is not None
    with pytest.raises(DomainError) as refused:
        await storage.create(replace(agreed, client_id=ClientId("nobody")))
    assert refused.value.reason is Reason.UNKNOWN_CLIENT
