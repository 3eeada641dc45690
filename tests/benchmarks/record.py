"""RecordTrades through the API and through the writer alone, many in flight, beside pgbench on the same statements one trade at a time."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from hashlib import sha256
from itertools import count
from typing import Final

import grpc

from crossmargin.adapters.postgres.database import Database
from crossmargin.adapters.postgres.instruments import PostgresInstrumentReader
from crossmargin.adapters.postgres.writer import PostgresWriter
from crossmargin.api.v1 import book_service_pb2
from crossmargin.domain.book import Trade, append_to_chain, entry_from_trade
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.writing import Decision, WriteRequest
from crossmargin_client import trade, trades_of
from crossmargin_client.requests import new_request_id
from tests.benchmarks.furniture import EXECUTED, Furniture, account
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn
from tests.benchmarks.opponents import pgbench
from tests.benchmarks.service_rig import Served, bench_postgres, database_of, serving

METHOD: Final = "/crossmargin.api.v1.BookService/RecordTrades"
STREAM: Final = "/crossmargin.api.v1.BookService/StreamTrades"
INSTRUMENT: Final = "P00000"
IN_FLIGHT: Final = 32
BATCH: Final = 32
SECONDS: Final = 1
"""Of each side in a round: trades enough for a rate, and all rounds are over in a few minutes."""
_TIMEOUT_S: Final = 10.0
_numbers = count(1)
BOOKS: Final = Furniture(4, {**{f"a{n}": 1 for n in range(IN_FLIGHT)}, **{f"h{n}": 1 for n in range(IN_FLIGHT)}})


def run(plan: Plan) -> list[Measured]:
    """Return the rows of trades through the API, through the writer, and on one hot account."""
    return [*_through_the_api(plan, SECONDS), *_through_the_writer(plan, SECONDS)]


def _through_the_api(plan: Plan, seconds: int) -> list[Measured]:
    script = pgbench.trade(IN_FLIGHT, INSTRUMENT)
    with serving(BOOKS) as served:

        def by_hand() -> float:
            return 1 / pgbench.timed(script, served.url, clients=IN_FLIGHT, seconds=seconds).per_s

        def unary(accounts: int = IN_FLIGHT, batch: int = 1) -> float:
            return 1 / asyncio.run(per_second(served, accounts, batch, seconds))

        rows = [
            in_turn(
                f"RecordTrades, durable, {IN_FLIGHT} in flight, {words}",
                "pgbench, the same statements one trade at a time, as many clients",
                Goal(Ratio.SPEED, goal),
                ours=ours,
                theirs=by_hand,
                plan=plan,
                note="ms are those between two trades, of whichever caller",
            )
            for words, goal, ours in (
                ("a trade a call", 0.7, unary),
                (f"{BATCH} trades a call", 0.9, lambda: unary(batch=BATCH)),
                ("a trade a message of one stream", 0.9, lambda: 1 / asyncio.run(streamed_per_second(served, seconds))),
            )
        ]
        rows.append(
            in_turn(
                f"RecordTrades on one hot account, {IN_FLIGHT} in flight",
                f"on {IN_FLIGHT} accounts",
                Goal(Ratio.SPEED, 0.3),
                ours=lambda: unary(accounts=1),
                theirs=unary,
                plan=plan,
                note="no goal but that it is no cliff",
            )
        )
    return rows


async def per_second(served: Served, accounts: int, batch: int, seconds: float) -> float:
    """Return how many trades a second are booked, as so many callers wait for their answers."""
    booked = 0
    async with grpc.aio.insecure_channel(served.address) as channel:
        method = channel.unary_unary(METHOD)

        async def book_on(name: str, until: float) -> None:
            nonlocal booked
            while time.monotonic() < until:
                trades = [trade(INSTRUMENT, 1, "60000", executed_at=EXECUTED)] * batch
                request = book_service_pb2.RecordTradesRequest(request_id=new_request_id(), account=name, trades=trades)
                await method(request.SerializeToString(), timeout=_TIMEOUT_S)
                booked += batch

        began = time.monotonic()
        await asyncio.gather(*(book_on(account(f"a{place % accounts}"), began + seconds) for place in range(IN_FLIGHT)))
        return booked / (time.monotonic() - began)


async def streamed_per_second(served: Served, seconds: float) -> float:
    """Return how many trades a second are booked over one stream, each on the account whose turn it is, so many under way at a time."""
    answered = 0
    places = asyncio.Semaphore(IN_FLIGHT)
    async with grpc.aio.insecure_channel(served.address) as channel:
        call = channel.stream_stream(STREAM)()
        began = time.monotonic()

        async def send() -> None:
            for place in count():
                if time.monotonic() > began + seconds:
                    break
                await places.acquire()
                one = trade(INSTRUMENT, 1, "60000", executed_at=EXECUTED)
                await call.write(trades_of(account(f"a{place % IN_FLIGHT}"), one).SerializeToString())
            await call.done_writing()

        sending = asyncio.create_task(send())
        async for _ in call:
            answered += 1
            places.release()
        await sending
        return answered / (time.monotonic() - began)


def _through_the_writer(plan: Plan, seconds: int) -> list[Measured]:
    postgres, _ = bench_postgres()
    name = database_of(BOOKS)
    script = pgbench.trade(IN_FLIGHT, INSTRUMENT)
    rows = []
    for in_flight, goal in ((8, 1.5), (32, 3.0)):
        rows.append(
            in_turn(
                f"writer alone, {in_flight} in flight",
                "pgbench, the same statements one trade at a time, as many clients",
                Goal(Ratio.SPEED, goal),
                ours=lambda in_flight=in_flight: 1 / asyncio.run(_written_per_second(postgres.service_url_of(name), in_flight, seconds)),
                theirs=lambda in_flight=in_flight: (
                    1 / pgbench.timed(script, postgres.url_of(name), clients=in_flight, seconds=seconds).per_s
                ),
                plan=plan,
                note="entries are made and hashed in Python, behind the walls; without gRPC",
            )
        )
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
    return rows


async def _written_per_second(url: str, in_flight: int, seconds: float) -> float:
    database = Database(url)
    await database.open()
    try:
        name = InstrumentId(INSTRUMENT)
        instrument = (await PostgresInstrumentReader(database).get_instruments([name]))[name]
        writer, written = PostgresWriter(database), 0

        async def write_on(ref: AccountRef, until: float) -> None:
            nonlocal written
            one = Trade(ref, BookId("main"), instrument.instrument_id, Decimal(1), Decimal(60_000), EXECUTED)
            while time.monotonic() < until:

                async def decide(books: Books) -> Decision:
                    entries = append_to_chain(books.states[ref].head, (entry_from_trade(one, instrument, None),))
                    return Decision(b"{}", entries)

                key = f"bench-{time.monotonic_ns()}-{next(_numbers)}"
                await writer.decide(WriteRequest("bench", "RecordTrades", key, sha256(key.encode()).digest(), (ref,), is_fact=True), decide)
                written += 1

        began = time.monotonic()
        refs = [AccountRef.parse(account(f"a{place}")) for place in range(in_flight)]
        await asyncio.gather(*(write_on(ref, began + seconds) for ref in refs))
        return written / (time.monotonic() - began)
    finally:
        await database.close()
