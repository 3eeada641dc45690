"""What facts that were written together come to: what they would have come to one after another, and each its own answer."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from crossmargin.domain.book import append_to_chain
from crossmargin.domain.errors import Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountId, AccountRef
from crossmargin.usecases.ports.writing import Decision
from tests.contract.facts import ACCOUNTS, SATELLITE, alone, book_all, deposits, reasons, refuse, together
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, an_order, decide_reservation


@pytest.fixture(autouse=True)
async def accounts(storage):
    await storage.open_accounts(*ACCOUNTS)


async def test_they_continue_the_chains_of_their_accounts_one_after_the_other(storage):
    calls = [(a_request(f"k{n}", ref, body=str(n)), deposits(ref, n, n)) for n in range(1, 11) for ref in ACCOUNTS[n % 2 : n % 2 + 2]]
    calls = [(replace(request, key=f"{request.key} {request.accounts[0]}"), decide) for request, decide in calls]
    outcomes = await book_all(storage, *calls)
    for ref in ACCOUNTS:
        own = [outcome.response for outcome, (request, _) in zip(outcomes, calls, strict=True) if request.accounts == (ref,)]
        assert own == [f"after {2 * n}".encode() for n in range(len(own))]
        entries = await storage.books.list_entries(ref, after_sequence=0, limit=100)
        assert [entry.sequence for entry in entries] == list(range(1, 2 * len(own) + 1))
        assert all(after.previous_hash == before.chain_hash for before, after in itertools.pairwise(entries))
        assert (await storage.books.account_state(ref)).head.chain_hash == entries[-1].chain_hash
    if (sizes := together(storage)) is not None:
        assert sizes == {len(calls): 1}
        assert alone(storage) == {}
    again = await book_all(storage, *calls)
    assert [(outcome.replayed, outcome.response) for outcome in again] == [(True, outcome.response) for outcome in outcomes]


async def test_what_fails_fails_alone(storage):
    await storage.writer.decide(a_request("known", CORE, body="buy"), deposits(CORE, 5))
    closed = AccountRef(CORE.client_id, AccountId("closed"))
    await storage.open_accounts(closed)
    storage.close_account(closed)

    async def on_open_only(books):
        return await deposits(closed, 1)(replace(books, states={closed: replace(books.states[closed], head=check(books))}))

    def check(books):
        return books.states[closed].head.check_open()

    nowhere = AccountRef(CORE.client_id, AccountId("nowhere"))
    outcomes = await book_all(
        storage,
        (a_request("a", CORE), deposits(CORE, 1)),
        (a_request("known", CORE, body="sell"), deposits(CORE, 1)),
        (a_request("b", nowhere), deposits(nowhere, 1)),
        (a_request("c", closed), on_open_only),
        (a_request("known", CORE, body="buy"), deposits(CORE, 5)),
        (a_request("d", OTHER), deposits(OTHER, 1)),
    )
    assert reasons(outcomes) == [
        b"after 1",
        Reason.REQUEST_ID_REUSED,
        Reason.UNKNOWN_ACCOUNT,
        Reason.ACCOUNT_CLOSED,
        b"after 0",
        b"after 0",
    ]
    if (causes := alone(storage)) is not None:
        assert causes == {"left_out": 2}
    # A key that was refused is free.
    assert not (await storage.writer.decide(a_request("b", CORE, body="new"), deposits(CORE, 1))).replayed


async def test_a_decision_that_fails_spoils_no_other(storage):
    async def broken(books):
        head = books.states[CORE].head
        return Decision(b"", append_to_chain(replace(head, sequence=head.sequence + 5), (a_deposit(CORE, 1),)))

    outcomes = await book_all(
        storage,
        (a_request("a", CORE), deposits(CORE, 1)),
        (a_request("b", CORE), refuse),
        (a_request("c", CORE), broken),
        (a_request("d", OTHER), decide_reservation(an_order(account=OTHER))),
        (a_request("e", SATELLITE), deposits(SATELLITE, 1)),
    )
    assert outcomes[1].reason is Reason.INVALID_QUANTITY
    assert isinstance(outcomes[2], ValueError)
    assert reasons([outcomes[0], outcomes[3], outcomes[4]]) == [b"after 0", b"1", b"after 0"]
    assert len(await storage.books.list_entries(CORE, after_sequence=0, limit=9)) == 1


async def test_the_others_of_a_decision_that_fails_are_still_written_together(storage):
    outcomes = await book_all(
        storage,
        (a_request("a", CORE), deposits(CORE, 1)),
        (a_request("b", CORE), refuse),
        (a_request("c", CORE), deposits(CORE, 2)),
        (a_request("d", OTHER), decide_reservation(an_order(account=OTHER))),
        (a_request("e", OTHER), deposits(OTHER, 3)),
    )
    assert reasons(outcomes)[:3] == [b"after 0", Reason.INVALID_QUANTITY, b"after 1"]
    assert sorted(reasons(outcomes)[3:]) in ([b"1", b"after 1"], [b"2", b"after 0"])
    if (causes := alone(storage)) is not None:
        assert causes == {"spoiled": 2}


async def test_a_key_twice_in_one_line_is_booked_once(storage):
    outcomes = await book_all(storage, *[(a_request("same", OTHER), deposits(OTHER, 7))] * 6)
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 5
    assert {outcome.response for outcome in outcomes} == {b"after 0"}
    assert [entry.sequence for entry in await storage.books.list_entries(OTHER, after_sequence=0, limit=9)] == [1]


async def test_an_account_under_a_limit_is_decided_on_with_its_positions(storage):
    await storage.create(ExposureLimits(OTHER.client_id, None))
    seen = []

    async def look(books):
        seen.append(len(books.limits))
        return await deposits(OTHER, 1)(books)

    outcomes = await book_all(
        storage, (a_request("a", CORE), deposits(CORE, 1)), (a_request("b", OTHER), look), (a_request("c", OTHER), look)
    )
    assert (reasons(outcomes)[0], seen) == (b"after 0", [1, 1])


async def test_one_who_goes_away_takes_nobody_along(storage):
    leaving = asyncio.create_task(storage.writer.decide(a_request("leaves", OTHER), deposits(OTHER, 1)))
    staying = asyncio.create_task(storage.writer.decide(a_request("stays", OTHER), deposits(OTHER, 1)))
    await asyncio.sleep(0)
    leaving.cancel()
    assert not (await staying).replayed
    assert (await storage.writer.decide(a_request("leaves", OTHER), deposits(OTHER, 1))).replayed
