"""The service with one thing taken away that keeps books sound: `python -m tests.faults.mutant_service NAME serve ...`.

The harness has to find each of them out. The service itself has no switch for any of this: what is taken away is replaced here, in this
process and in the run's own database, before the service's ordinary start.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

import psycopg

from crossmargin.__main__ import main
from crossmargin.adapters.grpc_server import book_service
from crossmargin.adapters.postgres import database, fact_lines, last_message, writer
from crossmargin.adapters.postgres.books import books_from_rows
from crossmargin.usecases.ports.writing import WriteOutcome

_MUTATION_LOCK: Final = 0x6D757461
_MARK: Final = "-- mutated"
_READ_BOOKS: Final = b"SELECT * FROM read_margined_books(%s::text[], %s::text[], '{}', false, clock_timestamp())"
_SEE_ALL: Final = b"SELECT set_config('crossmargin.clients', '*', false)"
ACKNOWLEDGED_EARLY_S: Final = 0.05
HALT_REMEMBERED_S: Final = 0.5


def no_idempotency() -> None:
    """Forget every request id: whoever asks again is served again."""
    reserved = "VALUES (p_principal, p_method, p_key, p_request_hash)"
    forgotten = "VALUES (p_principal, p_method, p_key || '#' || gen_random_uuid()::text, p_request_hash)"
    for function in ("begin_write", "begin_decision_beyond"):
        _change_function(function, (reserved, forgotten))
    no_idempotency_together()


def no_idempotency_together() -> None:
    """Forget request ids only where facts are written together."""
    _change_function(
        "begin_facts",
        ("(each.method, each.key) IN (SELECT * FROM unnest(new_methods, new_keys)) AS is_new", "true AS is_new"),
    )


def no_row_lock() -> None:
    """Read the heads of accounts without locking them."""
    _change_function("begin_write", ("FOR UPDATE OF h", ""))
    _change_function("begin_decision_beyond", ("FOR UPDATE;", ";"))
    no_row_lock_together()


def no_row_lock_together() -> None:
    """Read the heads of accounts without locking them only where facts are written together."""
    _change_function("begin_facts", ("FOR UPDATE OF h SKIP LOCKED", ""))


def books_before_lock() -> None:
    """Decide on reservations as they were before the account was locked, as a cache, or a check before the transaction, would."""
    begin = writer._begin_decision

    async def begin_carelessly(connection, request, kept):
        rows = []
        if not request.is_fact:
            names = ([ref.client_id for ref in request.accounts], [ref.account_id for ref in request.accounts])
            await connection.execute(_SEE_ALL)
            rows = await (await connection.execute(_READ_BOOKS, names)).fetchall()
        begun = await begin(connection, request, kept)
        if isinstance(begun, WriteOutcome) or not rows:
            return begun
        return replace(begun, reservations=books_from_rows(rows, request.accounts).reservations)

    writer._begin_decision = begin_carelessly


def halt_cached() -> None:
    """Read the halt switch twice a second and remember it, as a cache would."""
    _change_function("begin_decision_beyond", ("FOR SHARE;", ";"))
    begin = writer._begin_decision
    known: dict[str, Any] = {"until": 0.0, "halts": ()}

    async def begin_from_memory(connection, request, kept):
        begun = await begin(connection, request, kept)
        if isinstance(begun, WriteOutcome) or request.is_fact:
            return begun
        if time.monotonic() > known["until"]:
            known.update(until=time.monotonic() + HALT_REMEMBERED_S, halts=begun.halts)
        return replace(begun, halts=known["halts"])

    writer._begin_decision = begin_from_memory


def synchronous_commit_off() -> None:
    """Let the server answer a COMMIT before it has written it down."""
    prepare = database.prepare_session

    async def prepare_carelessly(connection) -> None:
        await prepare(connection)
        await connection.execute("SET synchronous_commit = off")

    database.prepare_session = prepare_carelessly


class _Early(asyncio.Future[WriteOutcome]):
    """The answer that is given before its time."""

    response: bytes = b""


_early: ContextVar[_Early | None] = ContextVar("early", default=None)
_waiting: ContextVar[tuple[_Early, ...]] = ContextVar("waiting", default=())


def acknowledge_before_commit() -> None:
    """Answer what moves an account as soon as everything is written, and commit a moment later."""
    finish = writer._finish

    async def finish_and_remember(connection, request, decision):
        if (answer := _early.get()) is not None:
            answer.response = decision.response
            _waiting.set((answer,))
        return await finish(connection, request, decision)

    writer._finish = finish_and_remember
    acknowledge_before_commit_together()


def acknowledge_before_commit_together() -> None:
    """Do so only with facts that are written together."""
    finish, commit = fact_lines._finish, last_message._commit

    def careless(write):
        async def write_carelessly(self, request, decide):
            if not request.accounts:
                return await write(self, request, decide)
            answer = _Early()
            _early.set(answer)
            writing = asyncio.create_task(write(self, request, decide))
            await asyncio.wait({answer, writing}, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else await writing

        return write_carelessly

    async def finish_and_remember(connection, decided, entries):
        answers = []
        for one in decided:
            if (answer := one.call.context.get(_early)) is not None:
                answer.response = one.decision.response
                answers.append(answer)
        _waiting.set(tuple(answers))
        return await finish(connection, decided, entries)

    async def commit_later(connection) -> None:
        answers = [answer for answer in _waiting.get() if not answer.done()]
        for answer in answers:
            answer.set_result(WriteOutcome(answer.response, replayed=False))
        if answers:
            await asyncio.sleep(ACKNOWLEDGED_EARLY_S)
        await commit(connection)

    fact_lines._finish, last_message._commit = finish_and_remember, commit_later
    for way in ("write", "decide"):
        setattr(writer.PostgresWriter, way, careless(getattr(writer.PostgresWriter, way)))


def answers_out_of_order() -> None:
    """Answer the messages of a stream when their answers are ready."""

    async def as_they_come(messages, answer, _stopping, **_options):
        ready = asyncio.Queue()

        async def work_on(message):
            ready.put_nowait(await answer(message))

        async def read():
            async with asyncio.TaskGroup() as group:
                async for message in messages:
                    group.create_task(work_on(message))

        reading = asyncio.create_task(read())
        try:
            while True:
                answers = [await ready.get()]
                while not ready.empty():
                    answers.append(ready.get_nowait())
                # Those that were written together are ready in their order.
                for answer_to_one in reversed(answers):
                    yield answer_to_one
        finally:
            reading.cancel()

    book_service.in_order = as_they_come


MUTATIONS: Final[dict[str, Callable[[], None]]] = {
    mutation.__name__.replace("_", "-"): mutation
    for mutation in (
        *(no_idempotency, acknowledge_before_commit, no_row_lock, books_before_lock, synchronous_commit_off, halt_cached),
        *(no_idempotency_together, acknowledge_before_commit_together, no_row_lock_together),
        answers_out_of_order,
    )
}


def _change_function(name: str, *changes: tuple[str, str]) -> None:
    """Replace parts of a function of the database, once over all replicas, as the superuser: the service may not."""
    with psycopg.connect(os.environ["CROSSMARGIN_DATABASE_URL"], user="postgres") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_MUTATION_LOCK])
        (source,) = connection.execute("SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = %s", [name]).fetchone()
        if _MARK in source:
            return
        for old, new in changes:
            if old not in source:
                raise LookupError(f"{name} has no {old!r} any more; the mutant has to take away what is there now")
            source = source.replace(old, new)
        connection.execute(source.replace("\nBEGIN\n", f"\nBEGIN\n{_MARK}\n", 1))


if __name__ == "__main__":
    MUTATIONS[sys.argv[1]]()
    raise SystemExit(main(sys.argv[2:]))
