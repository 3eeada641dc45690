"""What a writer promises to decisions on books: all of one moment, after the locks, and nobody moves any of it before the commit."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.book import append_to_chain
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, OffsetGroupId
from crossmargin.domain.reservation import ReservationKind, ReservationStatus, filled_by
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.writing import Decision
from tests.builders import cash, coin
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, an_order, decide_reservation

SECOND = timedelta(seconds=1)
SATELLITE = AccountRef(CORE.client_id, AccountId("satellite"))
D = Decimal


@pytest.fixture(autouse=True)
async def accounts(storage):
    await storage.open_accounts(CORE, OTHER)


async def look(storage, *refs, is_fact=False, reservations=(), key="look"):
    """The books as a decision sees them. Nothing is kept: the decision fails."""
    seen = []

    async def decide(books):
        seen.append(books)
        raise DomainError(Reason.INVALID_ARGUMENT, "only looking")

    request = replace(a_request(key, *refs, is_fact=is_fact), reservations=reservations)
    with pytest.raises(DomainError, match="only looking"):
        await storage.writer.decide(request, decide)
    return seen[0]


async def reserve(storage, key, order):
    outcome = await storage.writer.decide(a_request(key, order.account, is_fact=False), decide_reservation(order))
    return int(outcome.response)


async def change(storage, key, reservation):
    async def decide(books):
        return Decision(b"changed", reservations=(reservation,))

    await storage.writer.decide(a_request(key, reservation.order.account), decide)


async def statuses(storage, ref=CORE):
    return [one.status for one in (await look(storage, ref)).reservations[ref]]


async def test_a_decision_sees_what_the_account_holds_and_how_it_counts(storage):
    await storage.create(cash())
    await storage.create(AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED))
    await storage.book(a_request("k1", CORE), CORE, "100.000000000000000001")
    books = await look(storage, CORE)
    assert list(books.states) == [CORE]
    assert books.states[CORE] == await storage.books.account_state(CORE)
    assert books.states[CORE].positions[0].quantity == D("100.000000000000000001")
    assert books.states[CORE].policies == {InstrumentId("USD"): CollateralPolicy.PLEDGED}
    assert (books.reservations, books.limits, books.halts) == ({CORE: ()}, (), ())
    assert (await storage.books.read_books(CORE)).states == books.states
    assert set((await storage.books.read_books(CORE, OTHER)).states) == {CORE, OTHER}


async def test_an_account_that_is_not_there_is_unknown_and_the_key_stays_free(storage):
    before = storage.row_counts()
    for refs in ((SATELLITE,), (CORE, SATELLITE)):
        with pytest.raises(DomainError) as refused:
            await storage.writer.decide(a_request("k1", *refs), decide_reservation(an_order()))
        assert (refused.value.reason, refused.value.facts) == (Reason.UNKNOWN_ACCOUNT, {"account": str(SATELLITE)})
    with pytest.raises(DomainError):
        await storage.books.read_books(SATELLITE)
    assert storage.row_counts() == before


async def test_a_key_is_decided_once_and_replayed_and_not_reused(storage):
    assert await reserve(storage, "k1", an_order()) == 1
    assert await reserve(storage, "k1", an_order()) == 1
    with pytest.raises(DomainError) as refused:
        await storage.writer.decide(a_request("k1", CORE, body="another", is_fact=False), decide_reservation(an_order()))
    assert refused.value.reason is Reason.REQUEST_ID_REUSED
    assert [one.sequence for one in (await look(storage, CORE)).reservations[CORE]] == [1]


async def test_a_reservation_comes_back_as_it_was_stored(storage):
    order = an_order("-2.5", price="61000.25", kind=ReservationKind.IMMEDIATE, lifetime_s=7, reference="order 17 of the desk")
    await reserve(storage, "k1", order)
    (found,) = (await look(storage, CORE)).reservations[CORE]
    assert found.order == order
    assert (found.sequence, found.filled, found.reserved_by, found.status) == (1, 0, "desk", ReservationStatus.ACTIVE)
    assert (found.consideration, found.paid_in) == (D("-152500.625"), None)
    assert found.expires_at - found.reserved_at == timedelta(seconds=7)
    assert list(await storage.books.list_reservations(CORE, after_sequence=0, limit=10)) == [found]
    assert list(await storage.books.list_reservations(CORE, after_sequence=1, limit=10)) == []
    assert (await storage.books.read_books(CORE)).reservations == {CORE: (found,)}


async def test_times_come_from_the_storage(storage):
    first = await look(storage, CORE)
    await reserve(storage, "k1", an_order())
    (found,) = (await look(storage, CORE)).reservations[CORE]
    assert first.now < found.reserved_at < (await look(storage, CORE)).now


@pytest.mark.parametrize(
    ("kind", "after"), [(ReservationKind.IMMEDIATE, ReservationStatus.EXPIRED), (ReservationKind.RESTING, ReservationStatus.SUSPECT)]
)
async def test_past_its_time_an_immediate_order_counts_no_more_and_a_resting_one_is_suspect(storage, kind, after):
    await reserve(storage, "k1", an_order(kind=kind, lifetime_s=3600))
    storage.pass_time(3590 * SECOND)
    assert await statuses(storage) == [ReservationStatus.ACTIVE]
    storage.pass_time(10 * SECOND)
    assert await statuses(storage) == [after]
    assert [one.status for one in await storage.books.list_reservations(CORE, after_sequence=0, limit=9)] == [after]
    overdue = await storage.books.overdue_reservations(limit=9)
    assert [one.sequence for one in overdue] == ([1] if after is ReservationStatus.EXPIRED else [])


async def test_what_was_filled_and_what_has_ended_is_kept_and_seen_only_by_name(storage):
    await reserve(storage, "k1", an_order(10))
    (held,) = (await look(storage, CORE)).reservations[CORE]
    part = filled_by(held, D("2.5"))
    await change(storage, "k2", part)
    assert (await look(storage, CORE)).reservations[CORE] == (part,)
    whole = filled_by(part, D("7.5"))
    await change(storage, "k3", whole)
    assert whole.status is ReservationStatus.FILLED
    assert (await look(storage, CORE)).reservations[CORE] == ()
    assert (await look(storage, CORE, reservations=(1, 99))).reservations[CORE] == (whole,)
    assert list(await storage.books.list_reservations(CORE, after_sequence=0, limit=9)) == [whole]
    assert await storage.books.overdue_reservations(limit=9) == []


async def test_reservations_belong_to_their_account(storage):
    await reserve(storage, "k1", an_order(1))
    await reserve(storage, "k2", an_order(2, account=OTHER))
    books = await look(storage, OTHER, CORE)
    assert {ref: [one.order.quantity for one in found] for ref, found in books.reservations.items()} == {CORE: [1], OTHER: [2]}


async def test_limits_of_the_account_and_of_its_client_are_seen_and_replaced(storage):
    assert await storage.books.get_limits(CORE.client_id, None) == ExposureLimits(CORE.client_id, None)
    account = ExposureLimits(CORE.client_id, CORE.account_id, D("1000.5"), None, D(0), {OffsetGroupId("BTC"): D("7.25")}, "alice")
    client = ExposureLimits(CORE.client_id, None, net=D(5), set_by="bob")
    await storage.create(account, client, ExposureLimits(OTHER.client_id, None, gross=D(1), set_by="bob"))
    await storage.create(replace(client, net=D(6)))
    found = (await look(storage, CORE)).limits
    assert [replace(one, set_at=None) for one in found] == [replace(client, net=D(6)), account]
    assert all(one.set_at is not None for one in found)
    assert await storage.books.get_limits(CORE.client_id, CORE.account_id) == found[1]
    with pytest.raises(DomainError) as refused:
        await storage.create(ExposureLimits(ClientId("gamma"), None, gross=D(1)))
    assert refused.value.reason is Reason.UNKNOWN_CLIENT


async def test_under_a_limit_on_a_whole_client_all_its_accounts_are_seen(storage):
    await storage.create(Account(SATELLITE, "Satellite", AccountMode.ISOLATED, CORE.account_id))
    await storage.book(a_request("k1", SATELLITE), SATELLITE, 5)
    assert list((await look(storage, CORE)).states) == [CORE]
    await storage.create(ExposureLimits(CORE.client_id, None, gross=D(1)))
    books = await look(storage, CORE)
    assert list(books.states) == [CORE, SATELLITE]
    assert books.states[SATELLITE].positions[0].quantity == 5


async def test_a_limit_over_two_accounts_is_not_breached_by_deciding_on_both_at_once(storage):
    await storage.create(Account(SATELLITE, "Satellite", AccountMode.ISOLATED, CORE.account_id))
    await storage.create(ExposureLimits(CORE.client_id, None, gross=D(10)))

    def approve(ref):
        async def decide(books):
            held = sum(position.quantity for state in books.states.values() for position in state.positions)
            await asyncio.sleep(0)
            if held + 3 > books.limits[0].gross:
                return Decision(b"refused")
            return Decision(b"approved", append_to_chain(books.states[ref].head, (a_deposit(ref, 3),)))

        return decide

    asked = [(f"k{n} {ref}", ref) for n in range(4) for ref in (CORE, SATELLITE)]
    outcomes = await asyncio.gather(*(storage.writer.decide(a_request(key, ref, is_fact=False), approve(ref)) for key, ref in asked))
    assert sorted(outcome.response for outcome in outcomes) == [b"approved"] * 3 + [b"refused"] * 5


async def test_reservations_that_each_respect_a_limit_never_breach_it_together(storage):
    async def approve(books):
        if sum(one.order.quantity for one in books.reservations[CORE]) + 3 > 10:
            return Decision(b"refused")
        await asyncio.sleep(0)
        return await decide_reservation(an_order(3))(books)

    requests = [a_request(f"k{n}", CORE, is_fact=False) for n in range(16)]
    outcomes = await asyncio.gather(*(storage.writer.decide(request, approve) for request in requests))
    assert sum(outcome.response != b"refused" for outcome in outcomes) == 3


async def test_a_refusal_is_an_outcome_of_its_key(storage):
    async def refuse(books):
        return Decision(b"refused")

    request = a_request("k1", CORE, is_fact=False)
    assert (await storage.writer.decide(request, refuse)).response == b"refused"
    again = await storage.writer.decide(request, decide_reservation(an_order()))
    assert (again.response, again.replayed) == (b"refused", True)
    assert (await look(storage, CORE)).reservations[CORE] == ()


async def test_a_halt_is_seen_by_requests_with_its_reason_and_not_by_facts(storage):
    halt = Halt(CORE.client_id, is_halted=True, reason="a runaway algorithm", changed_by="alice")
    await storage.create(halt)
    (seen,) = (await look(storage, CORE)).halts
    assert replace(seen, changed_at=None) == halt
    assert seen.changed_at is not None
    assert await storage.books.get_halt(CORE.client_id) == seen
    assert (await look(storage, OTHER)).halts == ()
    assert (await look(storage, CORE, is_fact=True)).halts == ()
    await storage.create(Halt(None, is_halted=True, reason="everything", changed_by="bob"))
    assert [one.client_id for one in (await look(storage, CORE)).halts] == [None, CORE.client_id]
    await storage.create(replace(halt, is_halted=False), Halt(None, is_halted=False, reason="over", changed_by="bob"))
    assert (await look(storage, CORE)).halts == ()
    assert (await storage.books.get_halt(None)).reason == "over"


async def test_halts_in_force_are_listed_the_house_first(storage):
    assert list(await storage.books.halts_in_force()) == []
    for client_id in (OTHER.client_id, CORE.client_id, None):
        await storage.create(Halt(client_id, is_halted=True, reason="why", changed_by="alice"))
    await storage.create(Halt(OTHER.client_id, is_halted=False, reason="over", changed_by="alice"))
    halts = await storage.books.halts_in_force()
    assert [(one.client_id, one.is_halted) for one in halts] == [(None, True), (CORE.client_id, True)]
    assert all(one.changed_at is not None for one in halts)


async def test_open_reservations_are_counted_by_the_clock(storage):
    assert await storage.books.count_open_reservations() == {ReservationStatus.ACTIVE: 0, ReservationStatus.SUSPECT: 0}
    for number, kind in enumerate((ReservationKind.RESTING, ReservationKind.IMMEDIATE)):
        await reserve(storage, f"k{number}", an_order(kind=kind))
    await reserve(storage, "long", an_order(lifetime_s=3600, account=OTHER))
    assert await storage.books.count_open_reservations() == {ReservationStatus.ACTIVE: 3, ReservationStatus.SUSPECT: 0}
    storage.pass_time(timedelta(seconds=61))
    assert await storage.books.count_open_reservations() == {ReservationStatus.ACTIVE: 1, ReservationStatus.SUSPECT: 1}


async def test_a_halt_of_a_client_refuses_its_requests_alone(storage):
    await storage.create(Halt(CORE.client_id, is_halted=True, reason="why", changed_by="alice"))
    with pytest.raises(DomainError) as refused:
        await storage.book(a_request("k1", CORE, is_fact=False), CORE, 1)
    assert refused.value.reason is Reason.HALTED
    assert not (await storage.book(a_request("k1", OTHER, is_fact=False), OTHER, 1)).replayed
    assert not (await storage.book(a_request("k2", CORE), CORE, 1)).replayed
    with pytest.raises(DomainError) as unknown:
        await storage.create(Halt(ClientId("gamma"), is_halted=True, reason="why"))
    assert unknown.value.reason is Reason.UNKNOWN_CLIENT


async def test_no_approval_commits_after_a_halt_was_acknowledged(storage):
    """The halt is asked for while approvals run without a break: it must get its turn, and everything after it must see it."""
    acknowledged = asyncio.Event()
    approved_late, stopped = [], 0

    async def decide(books):
        if books.halts:
            return Decision(b"refused")
        await asyncio.sleep(0.002)
        approved_late.append(acknowledged.is_set())
        return Decision(b"approved")

    async def approve(number, ref):
        nonlocal stopped
        for n in range(400):
            outcome = await storage.writer.decide(a_request(f"{number}-{n}", ref, is_fact=False), decide)
            if outcome.response == b"refused":
                stopped += 1
                return
            await asyncio.sleep(0)

    refs = [AccountRef(CORE.client_id, AccountId(f"desk-{n}")) for n in range(6)]
    await storage.open_accounts(*refs)
    running = []
    for number, ref in enumerate(refs):
        running.append(asyncio.create_task(approve(number, ref)))
        await asyncio.sleep(0)
    async with asyncio.timeout(20):
        while len(approved_late) < 12:  # noqa: ASYNC110 - progress of several tasks at once
            await asyncio.sleep(0.001)
    await storage.create(Halt(CORE.client_id, is_halted=True, reason="why", changed_by="alice"))
    acknowledged.set()
    await asyncio.gather(*running)
    assert stopped == len(refs)
    assert not any(approved_late)


async def test_the_market_version_changes_with_whatever_a_market_is_made_of(storage):
    before = (await look(storage, CORE)).market_version
    assert await storage.market.market_version() == before
    await storage.create(coin("BTC"))
    after = await storage.market.market_version()
    assert after != before
    assert (await look(storage, CORE)).market_version == after
    assert after == replace(before, instruments=after.instruments)


async def test_positions_are_not_read_for_a_fact_without_limits(storage):
    await storage.book(a_request("k1", CORE), CORE, 5)
    limit = ExposureLimits(CORE.client_id, CORE.account_id, gross=D(1))
    await storage.create(limit)
    assert (await look(storage, CORE, is_fact=True)).states[CORE].positions[0].quantity == 5


async def test_books_that_are_read_name_the_totals_over_all_accounts_that_were_the_latest(storage):
    assert (await storage.books.read_books(CORE)).house_view_id is None
    views = [HouseView({InstrumentId("BTC"): D(units)}, {}, {}) for units in (1, 2)]
    for view in views:
        await storage.market.record_house_view(view, epoch=0)
        assert (await storage.books.read_books(CORE)).house_view_id == view.view_id


async def test_whoever_is_let_see_one_client_is_told_of_the_latest_totals_too(storage):
    view = HouseView({InstrumentId("BTC"): D(1)}, {}, {})
    await storage.market.record_house_view(view, epoch=0)
    token = ADMITTED.set(Caller("p", scope=ClientScope(frozenset({CORE.client_id}))))
    try:
        books = await storage.books.read_books(CORE)
        assert (books.house_view_id, set(books.states)) == (view.view_id, {CORE})
    finally:
        ADMITTED.reset(token)
