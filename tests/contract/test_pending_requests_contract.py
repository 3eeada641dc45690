"""What the store of pending requests promises: what was asked for is kept as it was, and ends once, whoever comes at the same moment."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from crossmargin.domain.account import Client
from crossmargin.domain.client_scope import NO_CLIENT, WHOLE_HOUSE, ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import ClientId, PendingRequestId
from crossmargin.domain.pending_request import LIFETIME, Asked, PendingEnd, PendingState, ask_first
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.pending_request import PendingFilter, pending_key
from tests.contract.storage import sql

ALPHA, BETA = ClientId("alpha"), ClientId("beta")
ANY = PendingFilter()


def a_request(request_id="r1", *, client_id=ALPHA, by="alice", words="set limits of clients/alpha: none"):
    return ask_first(Asked("SetLimits", words, client_id), by=by, request_id=request_id)


def end(pending, state=PendingState.CONFIRMED, by="bob"):
    return PendingEnd(pending.pending_id, state, by)


@pytest.fixture(autouse=True)
async def clients(storage):
    for client_id in (ALPHA, BETA):
        await storage.create(Client(client_id, "A client"))


async def refusal(work):
    with pytest.raises(DomainError) as refused:
        await work
    return refused.value


@pytest.mark.parametrize("client_id", [ALPHA, None])
async def test_it_comes_back_as_it_was_asked_for_with_its_times(storage, client_id):
    asked = a_request(client_id=client_id)
    await storage.create(asked)
    found = await storage.pending.get_pending(asked.pending_id)
    assert found == replace(asked, asked_at=found.asked_at, expires_at=found.expires_at)
    assert found.expires_at - found.asked_at == LIFETIME


async def test_what_nobody_asked_for_is_unknown(storage):
    nothing = PendingRequestId("0" * 16)
    for work in (storage.pending.get_pending(nothing), storage.create(PendingEnd(nothing, PendingState.CANCELLED, "bob"))):
        refused = await refusal(work)
        assert (refused.reason, refused.facts) == (Reason.UNKNOWN_PENDING_REQUEST, {"pending_request": nothing})


async def test_its_client_must_exist(storage):
    assert (await refusal(storage.create(a_request(client_id=ClientId("nobody"))))).reason is Reason.UNKNOWN_CLIENT


async def test_the_same_again_is_left_alone_and_another_under_its_name_refused(storage):
    asked = a_request()
    await storage.create(asked)
    found = await storage.pending.get_pending(asked.pending_id)
    await storage.create(asked)
    assert await storage.pending.get_pending(asked.pending_id) == found
    other = replace(asked, asked=replace(asked.asked, words="something else"))
    assert (await refusal(storage.create(other))).reason is Reason.ALREADY_EXISTS
    assert await storage.pending.get_pending(asked.pending_id) == found


@pytest.mark.parametrize("state", [PendingState.CONFIRMED, PendingState.CANCELLED])
async def test_it_ends_once(storage, state):
    asked = a_request()
    await storage.create(asked)
    await storage.create(end(asked, state))
    found = await storage.pending.get_pending(asked.pending_id)
    assert (found.state, found.ended_by, found.asked) == (state, "bob", asked.asked)
    assert found.ended_at >= found.asked_at
    refused = await refusal(storage.create(end(asked, by="carol")))
    assert (refused.reason, refused.facts["ended_by"]) == (Reason.PENDING_REQUEST_ENDED, "bob")
    assert await storage.pending.get_pending(asked.pending_id) == found


async def test_of_many_who_end_it_at_once_one_does_and_nothing_of_the_others_is_written(storage):
    asked = a_request()
    await storage.create(asked)
    limits = [ExposureLimits(ALPHA, None, set_by=f"person-{n}") for n in range(8)]
    outcomes = await asyncio.gather(
        *(storage.create(one, end(asked, by=one.set_by)) for one in limits),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert [error.reason for error in refused] == [Reason.PENDING_REQUEST_ENDED] * 7
    found = await storage.pending.get_pending(asked.pending_id)
    assert (await storage.books.get_limits(ALPHA, None)).set_by == found.ended_by


async def test_it_expires_by_the_clock_of_the_storage(storage):
    asked = a_request()
    await storage.create(asked)
    storage.pass_time(LIFETIME - timedelta(seconds=10))
    assert (await storage.pending.get_pending(asked.pending_id)).state is PendingState.AWAITING
    storage.pass_time(timedelta(seconds=10))
    assert (await storage.pending.get_pending(asked.pending_id)).state is PendingState.EXPIRED
    refused = await refusal(storage.create(end(asked)))
    assert (refused.reason, refused.facts["state"]) == (Reason.PENDING_REQUEST_ENDED, "expired")
    # Whoever looks for what waits does not find it any more.
    assert [one.state for one in await storage.pending.list_pending(ANY, Page(9))] == [PendingState.EXPIRED]
    assert not await storage.pending.list_pending(PendingFilter(state=PendingState.AWAITING), Page(9))


async def test_they_are_listed_oldest_first_page_by_page_and_by_client_and_state(storage):
    asked = [a_request(f"r{n}", client_id=client_id) for n, client_id in enumerate((ALPHA, BETA, None, ALPHA))]
    for one in asked:
        await storage.create(one)
    await storage.create(end(asked[3]))
    names = [one.pending_id for one in asked]
    everything = await storage.pending.list_pending(ANY, Page(9))
    assert [one.pending_id for one in everything] == names
    assert [one.pending_id for one in await storage.pending.list_pending(ANY, Page(2, pending_key(everything[0])))] == names[1:3]
    assert [one.pending_id for one in await storage.pending.list_pending(PendingFilter(ALPHA), Page(9))] == [names[0], names[3]]
    waiting = PendingFilter(ALPHA, PendingState.AWAITING)
    assert [one.pending_id for one in await storage.pending.list_pending(waiting, Page(9))] == names[:1]


@pytest.mark.parametrize(
    ("scope", "seen"),
    [(WHOLE_HOUSE, {0, 1, 2}), (ClientScope(frozenset({ALPHA})), {0}), (ClientScope(frozenset({ALPHA, BETA})), {0, 1}), (NO_CLIENT, set())],
)
async def test_work_for_some_clients_finds_theirs_and_none_of_others_or_of_the_house(storage, scope, seen):
    asked = [a_request(f"r{n}", client_id=client_id) for n, client_id in enumerate((ALPHA, BETA, None))]
    for one in asked:
        await storage.create(one)
    token = ADMITTED.set(Caller("alice", scope=scope))
    try:
        listed = await storage.pending.list_pending(ANY, Page(9))
        for number, one in enumerate(asked):
            if number in seen:
                assert (await storage.pending.get_pending(one.pending_id)).asked == one.asked
            else:
                refused = await refusal(storage.pending.get_pending(one.pending_id))
                nowhere = await refusal(storage.pending.get_pending(PendingRequestId("0" * 16)))
                assert (refused.reason, refused.message.replace(one.pending_id, "0" * 16)) == (nowhere.reason, nowhere.message)
    finally:
        ADMITTED.reset(token)
    assert [one.pending_id for one in listed] == [asked[number].pending_id for number in sorted(seen)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE pending_request SET words = 'something else'",
        "UPDATE pending_request SET words = 'something else', state = 'confirmed', ended_by = 'bob', ended_at = now()",
        "UPDATE pending_request SET expires_at = expires_at + interval '1 day'",
        "UPDATE pending_request SET state = 'confirmed', ended_by = 'alice', ended_at = now()",
        "DELETE FROM pending_request",
        "TRUNCATE pending_request",
    ],
)
async def test_the_database_itself_keeps_it_and_takes_two_persons(storage, request, statement):
    if "memory" in request.node.callspec.id:
        return  # dictionaries guard nothing
    await storage.create(a_request())
    url = request.getfixturevalue("database_url")
    with pytest.raises((psycopg.errors.RestrictViolation, psycopg.errors.CheckViolation)):
        sql(url, statement)
