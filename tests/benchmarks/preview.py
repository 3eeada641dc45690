"""PreviewTrades as a caller feels it, beside an empty server that answers with as many bytes; and a large book beside a small one.

Both sides are called by the same blocking client with bytes that were made before, so that what the client itself costs is the same.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from queue import SimpleQueue
from typing import Final

import grpc

from crossmargin.api.v1 import book_service_pb2, margin_service_pb2
from crossmargin_cli.service_process import dying_with_parent
from crossmargin_client import trade
from tests.benchmarks.furniture import EXECUTED, Furniture, account
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn, median_of
from tests.benchmarks.opponents import echo
from tests.benchmarks.service_rig import SERVER_CORE, Served, bench_postgres, on_core, serving

STREAM: Final = "/crossmargin.api.v1.MarginService/StreamPreviews"
METHOD: Final = "/crossmargin.api.v1.MarginService/PreviewTrades"
SMALL, USUAL, LARGE, QUICK_LARGE = 20, 200, 20_000, 2_000
CALLS, QUICK_CALLS, LARGE_CALLS = 300, 100, 30
_TIMEOUT_S: Final = 10.0
_numbers = count(1)


def run(plan: Plan) -> list[Measured]:
    """Return the rows of PreviewTrades."""
    calls = QUICK_CALLS if plan.is_quick else CALLS
    rows, books = [], Furniture(positions={"usual": USUAL})
    for words, secure, goal in (("plain", False, 1.25), ("TLS, certificate and token", True, 1.4)):
        with serving(books, secure=secure) as served, previewing(served, "usual") as preview:
            size = len(preview())
            with echoing(size) as empty:
                rows.append(
                    in_turn(
                        f"PreviewTrades p50, {USUAL} positions, {words}",
                        "empty grpc.aio echo, plain",
                        Goal(Ratio.COST, goal),
                        ours=lambda preview=preview: median_of(preview, calls),
                        theirs=lambda empty=empty: median_of(empty, calls),
                        plan=plan,
                        note=f"every call previews another trade; metrics on; the answer has {size:,} bytes, the echo's as many",
                    )
                )
    return [*rows, _beside_asking_echo(plan), _stream_beside_echo(plan), _large_beside_small(plan)]


def _beside_asking_echo(plan: Plan) -> Measured:
    """A preview asks the database, so that clients stay apart and no book is an old one: beside the least that asking can cost here."""
    calls = QUICK_CALLS if plan.is_quick else CALLS
    with serving(Furniture(positions={"usual": USUAL})) as served, previewing(served, "usual") as preview:
        size = len(preview())
        with echoing(size, served.service_url) as asking:
            return in_turn(
                f"PreviewTrades p50, {USUAL} positions, plain",
                "the same echo that asks PostgreSQL for a 1",
                Goal(Ratio.COST, 2.0),
                ours=lambda: median_of(preview, calls),
                theirs=lambda: median_of(asking, calls),
                plan=plan,
                note="the echo takes a connection from psycopg's pool and asks one prepared question in it; the goal is our own",
            )


def _stream_beside_echo(plan: Plan) -> Measured:
    """Every check waits for the answer to the one before, as an order that is checked before it is sent does."""
    calls = QUICK_CALLS if plan.is_quick else CALLS
    with serving(Furniture(positions={"usual": USUAL})) as served, streaming(served, "usual") as preview:
        size = len(preview())
        with echoing(size) as empty:
            return in_turn(
                f"PreviewTrades on a stream, p50 of a check, {USUAL} positions, plain",
                "empty grpc.aio echo, unary, plain",
                Goal(Ratio.COST, 0.65),
                ours=lambda: median_of(preview, calls),
                theirs=lambda: median_of(empty, calls),
                plan=plan,
                note=f"one check in flight, every one of another trade; metrics on; the answer has {size:,} bytes, the echo's as many",
            )


def _large_beside_small(plan: Plan) -> Measured:
    large = QUICK_LARGE if plan.is_quick else LARGE
    with (
        serving(Furniture(large, {"small": SMALL, "large": large})) as served,
        previewing(served, "small") as of_small,
        previewing(served, "large") as of_large,
    ):
        return in_turn(
            f"PreviewTrades p50 on {large:,} positions",
            f"on {SMALL} positions",
            Goal(Ratio.COST, 1.05),
            ours=lambda: median_of(of_large, LARGE_CALLS),
            theirs=lambda: median_of(of_small, LARGE_CALLS),
            plan=plan,
        )


@contextmanager
def previewing(served: Served, account_id: str) -> Iterator[Callable[[], bytes]]:
    """Yield a call that previews one trade, never the same twice, and returns the answer's bytes."""
    metadata = served.metadata()
    with served.channel() as channel:
        method = channel.unary_unary(METHOD)

        def once() -> bytes:
            number = next(_numbers)
            wanted = trade(f"P{number % SMALL:05}", f"{1 + number % 997}.{number % 10}", "60000", executed_at=EXECUTED)
            request = preview_request(account_id, wanted)
            answer: bytes = method(request, timeout=_TIMEOUT_S, metadata=metadata)
            return answer

        # The first call makes the market of this process.
        margin_service_pb2.PreviewTradesResponse.FromString(once())
        yield once


@contextmanager
def streaming(served: Served, account_id: str) -> Iterator[Callable[[], bytes]]:
    """Yield what sends one preview on a stream that stays open, never the same twice, and returns the answer's bytes."""
    waiting: SimpleQueue[bytes | None] = SimpleQueue()
    with served.channel() as channel:
        answers = channel.stream_stream(STREAM)(iter(waiting.get, None), metadata=served.metadata())

        def once() -> bytes:
            number = next(_numbers)
            wanted = trade(f"P{number % SMALL:05}", f"{1 + number % 997}.{number % 10}", "60000", executed_at=EXECUTED)
            asked = margin_service_pb2.PreviewTradesRequest(account=account(account_id), trades=[wanted])
            message = margin_service_pb2.StreamPreviewsRequest(correlation_id=str(number), preview=asked)
            waiting.put(message.SerializeToString())
            answer: bytes = next(answers)
            return answer

        first = margin_service_pb2.StreamPreviewsResponse.FromString(once())
        if not first.HasField("preview"):
            raise RuntimeError(f"the service answered {first.refusal}")
        yield once
        waiting.put(None)


def preview_request(account_id: str, wanted: book_service_pb2.Trade) -> bytes:
    """Return the bytes that ask for a preview of one trade."""
    return margin_service_pb2.PreviewTradesRequest(account=account(account_id), trades=[wanted]).SerializeToString()


@contextmanager
def echoing(reply_bytes: int, url: str | None = None) -> Iterator[Callable[[], bytes]]:
    """Yield a call of an empty server on the service's core; one that asks a database for a 1 first where its address is given."""
    _, folder = bench_postgres()
    ready_file = folder / f"echo-{next(_numbers)}"
    command = [
        *on_core(SERVER_CORE),
        sys.executable,
        "-m",
        echo.__name__,
        str(ready_file),
        str(reply_bytes),
        *([] if url is None else [url]),
    ]
    process = subprocess.Popen(dying_with_parent(command), process_group=0)
    try:
        while not ready_file.exists():
            time.sleep(0.02)
        request = bytes(len(preview_request("usual", trade("P00001", "123.4", "60000", executed_at=EXECUTED))))
        with grpc.insecure_channel(f"127.0.0.1:{ready_file.read_text()}") as channel:
            method = channel.unary_unary(echo.METHOD)
            yield lambda: method(request, timeout=_TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
