"""How facts are written together in PostgreSQL: who holds up nobody, who is kept apart, and what a lost answer comes to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg_pool import PoolTimeout
from structlog.testing import CapturingLogger

from crossmargin.adapters.postgres import fact_lines
from crossmargin.adapters.postgres.writer import PostgresWriter
from crossmargin.domain.book import append_to_chain
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.caller import ADMITTED, Caller
from tests.contract.cutting_proxy import Cut, CuttingProxy
from tests.contract.facts import ACCOUNTS, SATELLITE, alone, book_all, deposits, reasons, refuse, together, until_not_busy
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, postgres_storage, sql


@pytest.fixture
async def postgres(database_url):
    async with postgres_storage(database_url, pool_size=16) as storage:
        await storage.open_accounts(*ACCOUNTS)
        yield storage


async def test_an_account_that_somebody_holds_does_not_hold_up_the_others(postgres, database_url):
    async with await psycopg.AsyncConnection.connect(database_url) as holder:
        await holder.execute("SELECT FROM account_head WHERE client_id = 'beta' FOR UPDATE")
        held = asyncio.create_task(postgres.writer.decide(a_request("held", OTHER), deposits(OTHER, 1)))
        outcomes = await book_all(postgres, *[(a_request(f"k{n}", SATELLITE), deposits(SATELLITE, n)) for n in range(1, 5)])
        assert reasons(outcomes) == [f"after {n}".encode() for n in range(4)]
        assert not held.done()
        await holder.rollback()
    assert not (await held).replayed


async def test_one_who_finds_nobody_in_line_is_written_alone(postgres):
    for n in range(3):
        assert not (await postgres.writer.decide(a_request(f"k{n}", CORE), deposits(CORE, 1))).replayed
    assert together(postgres) == {1: 3}


async def test_a_transaction_that_is_undone_is_logged_and_counted(postgres, monkeypatch):
    """Each fact is then written by itself, or fails by itself: a position outgrows the ledger."""
    said = CapturingLogger()
    monkeypatch.setattr(fact_lines, "log", said)
    outcomes = await book_all(
        postgres,
        *[(a_request(f"k{quantity}", ref), deposits(ref, quantity)) for ref, quantity in ((CORE, 2), (OTHER, "9e19"), (OTHER, "8e19"))],
    )
    assert [reason for reason in reasons(outcomes) if reason is Reason.INVALID_DECIMAL] == [Reason.INVALID_DECIMAL]
    assert alone(postgres) == {"overflow": 3}
    assert [(call.method_name, call.kwargs) for call in said.calls] == [("warning", {"cause": "overflow", "number": 3})]


async def test_nobody_is_written_with_another_principal_or_with_other_clients(postgres):
    """The database keeps them apart by what a transaction says of itself."""

    async def as_caller(principal, scope, ref, key):
        ADMITTED.set(Caller(principal, scope=ClientScope(frozenset(scope))))
        return await postgres.writer.decide(replace(a_request(key, ref), principal=principal), deposits(ref, 1))

    callers = [("desk a", ("alpha",), CORE), ("desk b", ("beta",), OTHER), ("desk a", ("alpha", "beta"), SATELLITE)]
    tasks = [asyncio.create_task(as_caller(*caller, f"{n} {caller}")) for n in range(4) for caller in callers]
    assert not any(outcome.replayed for outcome in await asyncio.gather(*tasks))
    assert together(postgres) == {4: 3}
    # Who may see no client of the account's finds no account, also in a line with others.
    outside = [asyncio.create_task(as_caller("desk b", ("beta",), ref, f"outside {ref}")) for ref in (OTHER, CORE, SATELLITE)]
    outcomes = await asyncio.gather(*outside, return_exceptions=True)
    assert reasons(outcomes) == [b"after 4", Reason.UNKNOWN_ACCOUNT, Reason.UNKNOWN_ACCOUNT]


@pytest.mark.parametrize("cut", list(Cut))
async def test_a_commit_without_an_answer_is_looked_up_under_each_key(postgres_server, database_url, tmp_path, cut, postgres):
    proxy = CuttingProxy(postgres_server.socket_folder / ".s.PGSQL.5432", tmp_path, [cut])
    calls = [(a_request(f"k{n}", ref), deposits(ref, n)) for n in range(1, 5) for ref in ACCOUNTS]
    calls = [(replace(request, key=f"{request.key} {request.accounts[0]}"), decide) for request, decide in calls]
    async with proxy.running(), postgres_storage(proxy.url(database_url.split("/")[3].split("?")[0]), pool_size=16) as storage:
        outcomes = await book_all(storage, *calls)
        assert together(storage)[len(calls)] == 1
    assert proxy.cuts == []
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)
    assert {outcome.replayed for outcome in outcomes} == {cut is Cut.AFTER_COMMIT}
    for ref in ACCOUNTS:
        assert [entry.sequence for entry in await postgres.books.list_entries(ref, after_sequence=0, limit=99)] == [1, 2, 3, 4]


FACTS = st.lists(
    st.tuples(st.sampled_from(ACCOUNTS), st.integers(0, 6), st.sampled_from([1, 2, 300]), st.sampled_from([False] * 15 + [True])),
    min_size=2,
    max_size=24,
)


@given(facts=FACTS)
@settings(max_examples=12, deadline=None)
def test_any_line_comes_to_what_one_after_another_comes_to(module_database_url, facts):
    """Entries, chains and answers; the order among those at once is the ledger's."""
    asyncio.run(compare(module_database_url, facts))


async def compare(url, facts):
    async with postgres_storage(url, pool_size=16) as storage:
        mark = uuid4()
        await storage.open_accounts(*ACCOUNTS)
        before = {ref: (await storage.books.account_state(ref)).head for ref in ACCOUNTS}
        calls = [
            (a_request(f"{mark} {key} {ref}", ref, body=str(quantity)), refuse if refuses else deposits(ref, quantity))
            for ref, key, quantity, refuses in facts
        ]
        tried = (until_not_busy(storage.writer, *call) for call in calls)
        outcomes = await asyncio.gather(*tried, return_exceptions=True)
        booked = {}
        for (request, _), outcome, (ref, _, quantity, refuses) in zip(calls, outcomes, facts, strict=True):
            if isinstance(outcome, DomainError):
                assert outcome.reason is Reason.REQUEST_ID_REUSED or (refuses and outcome.reason is Reason.INVALID_QUANTITY)
                continue
            name = (ref, int(outcome.response.split()[1]))
            assert booked.setdefault(name, (request.key, quantity)) == (request.key, quantity)
        for ref in ACCOUNTS:
            head = before[ref]
            entries = await storage.books.list_entries(ref, after_sequence=head.sequence, limit=1000)
            recorded = sql(url, "SELECT recorded_at FROM entry WHERE (client_id, account_id) = (%s, %s) ORDER BY sequence", *names(ref))
            for entry, (recorded_at,) in zip(entries, recorded[head.sequence :], strict=True):
                # What alone would have been appended to what was there before, when it was recorded.
                one = a_deposit(ref, booked[ref, head.sequence][1])
                assert (entry,) == append_to_chain(replace(head, locked_at=recorded_at), (one,))
                head = replace(head, sequence=entry.sequence, chain_hash=entry.chain_hash)
            assert (await storage.books.account_state(ref)).head == head
            assert len(entries) == sum(account == ref for account, _ in booked)


def names(ref):
    return ref.client_id, ref.account_id


async def test_facts_whose_commit_went_unanswered_are_not_called_busy_because_nothing_is_free_afterwards(postgres, monkeypatch):
    """They may be booked: whoever is told that nothing happened would book them again under another name."""

    async def unanswered(*_):
        raise psycopg.OperationalError("no answer to COMMIT")

    async def none_free(*_):
        raise PoolTimeout("no connection is free")

    writer = PostgresWriter(postgres.database, deadline_s=0.05)
    monkeypatch.setattr(fact_lines, "write_and_commit", unanswered)
    monkeypatch.setattr(writer, "_write_once", none_free)
    calls = [writer.decide(a_request(f"k{n}", ref), deposits(ref, 1)) for n, ref in enumerate(ACCOUNTS)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    (by_itself,) = await asyncio.gather(writer.decide(a_request("alone", CORE), deposits(CORE, 1)), return_exceptions=True)
    assert together(postgres) == {1: 1, 3: 1}
    assert reasons(outcomes) == [Reason.STORAGE_UNAVAILABLE] * 3
    assert reasons([by_itself]) == [Reason.SERVICE_BUSY]


async def test_a_decision_that_waits_for_something_holds_up_nobody(postgres):
    """What is decided alone may wait; the others are written without it."""
    answered = asyncio.Event()

    async def waits(books):
        await answered.wait()
        return await deposits(OTHER, 1)(books)

    waiting = asyncio.create_task(postgres.writer.decide(a_request("waits", OTHER), waits))
    outcomes = await book_all(postgres, *[(a_request(f"k{n}", SATELLITE), deposits(SATELLITE, 1)) for n in range(2)])
    assert (reasons(outcomes), waiting.done()) == ([b"after 0", b"after 1"], False)
    answered.set()
    assert (await waiting).response == b"after 0"
    assert alone(postgres) == {"spoiled": 1}
