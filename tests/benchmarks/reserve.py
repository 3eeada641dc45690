"""ReserveMargin beside the same lock, insert and commit by hand."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Final

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceStub
from crossmargin_client import order
from crossmargin_client.requests import new_request_id
from tests.benchmarks.furniture import COINS, Furniture, account
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn
from tests.benchmarks.opponents import pgbench
from tests.benchmarks.service_rig import Served, serving

POSITIONS: Final = 200
CALLS, QUICK_CALLS = 200, 60
_TIMEOUT_S: Final = 10.0
_numbers = count(1)


def run(plan: Plan) -> list[Measured]:
    """Return the row of ReserveMargin, plain and with everything that tells callers apart."""
    calls, rows = QUICK_CALLS if plan.is_quick else CALLS, []
    books = Furniture(positions={"usual": POSITIONS, "by-hand": 1})
    for words, secure in (("plain", False), ("TLS, certificate and token", True)):
        with serving(books, secure=secure) as served, reserving(served, "usual") as reserve:
            rows.append(
                in_turn(
                    f"ReserveMargin p50, durable, {POSITIONS} positions, {words}",
                    "pgbench: lock, insert, commit",
                    Goal(Ratio.COST, 1.5),
                    ours=lambda reserve=reserve: statistics.median(reserve() for _ in range(calls)),
                    theirs=lambda url=served.url: pgbench.timed(pgbench.decision("by-hand"), url, seconds=1).p50_s,
                    plan=plan,
                    note="every order is of another size, and released before the next",
                )
            )
    return rows


@contextmanager
def reserving(served: Served, account_id: str) -> Iterator[Callable[[], float]]:
    """Yield a call that reserves for one order, releases it, and returns how long the first took."""
    name, metadata = account(account_id), served.metadata()
    with served.channel() as channel:
        stub = MarginServiceStub(channel)

        def once() -> float:
            number = next(_numbers)
            wanted = order("P00000", f"{1 + number % 997}.{number % 10}", f"{COINS['BTC']:.0f}", lifetime=timedelta(hours=1))
            request = pb.ReserveMarginRequest(request_id=new_request_id(), account=name, order=wanted)
            began = time.perf_counter()
            answer: pb.ReserveMarginResponse = stub.ReserveMargin(request, timeout=_TIMEOUT_S, metadata=metadata)
            took = time.perf_counter() - began
            release = pb.ReleaseReservationRequest(request_id=new_request_id(), account=name, reservation=answer.reservation.reservation)
            stub.ReleaseReservation(release, timeout=_TIMEOUT_S, metadata=metadata)
            return took

        stub.GetMargin(pb.GetMarginRequest(account=name), timeout=_TIMEOUT_S, metadata=metadata)  # makes the market of that process
        yield once
