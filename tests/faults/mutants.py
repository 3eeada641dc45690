"""Services that are wrong on purpose, and the faults that have to find each of them out."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from tests.faults import injectors
from tests.faults.bench import Bench
from tests.faults.halt import halts
from tests.faults.rig import Result, Rig, Setup
from tests.faults.streamed_trades import TradeStreams
from tests.faults.workload import POLICY, TRADES

CAUGHT_WITHIN_S: Final = 60.0
_STREAMS: Final = TradeStreams()
_ROUNDS: Final = 6
_FEW_ACCOUNTS: Final = Setup(account_count=4)
_IN_LINE: Final = Setup(account_count=4, callers=32, kinds=(TRADES,))
"""Trades alone, so many at a time that most are written together."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """What is wrong, and how to see it.

    Attributes:
        name: Of the mutation in `mutant_service`.
        says: What the mistake is.
        shows: How a finding begins that shows this mistake and no other.
        round: Breaks what shows the mistake; run again and again, the books checked after each, until it shows or time is up.
    """

    name: str
    says: str
    shows: tuple[str, ...]
    round: Callable[[], Callable[[Rig], Awaitable[None]]]
    setup: Setup = _FEW_ACCOUNTS


def _some_work(count: int) -> Callable[[Rig], Awaitable[None]]:
    async def body(rig: Rig) -> None:
        await rig.history.progress(count)

    return body


MUTANTS: Final = (
    Mutant("no-idempotency", "request ids are forgotten", ("doubled",), lambda: _some_work(60)),
    Mutant("acknowledge-before-commit", "answers go out before the COMMIT", ("lost",), lambda: injectors.kills(2, between=(8, 16))),
    Mutant(
        "no-row-lock",
        "account heads are read without a lock",
        ("answers that",),
        lambda: _some_work(60),
        Setup(account_count=1),
    ),
    Mutant("no-idempotency-together", "request ids are forgotten by facts in line", ("doubled",), lambda: _some_work(60), _IN_LINE),
    Mutant(
        "acknowledge-before-commit-together",
        "answers to facts in line go out before the COMMIT",
        ("lost",),
        lambda: injectors.kills(2, between=(8, 16)),
        _IN_LINE,
    ),
    Mutant(
        "answers-out-of-order",
        "messages of a stream are answered when their answers are ready, and not in their order",
        ("answers that no document allows",),
        lambda: _some_work(15),
        Setup(account_count=4, callers=32, kinds=(_STREAMS.kind(),), afterwards=_STREAMS.end),
    ),
    # The ledger itself refuses entries that do not follow one another, and each is then written alone: books stay sound, the log tells.
    Mutant(
        "no-row-lock-together",
        "account heads are read without a lock for facts in line",
        ("replica-1 logged", "replica-2 logged"),
        lambda: _some_work(60),
        replace(_IN_LINE, account_count=1),
    ),
    Mutant(
        "synchronous-commit-off", "a COMMIT is answered before it is on disk", ("lost",), lambda: injectors.crashes(1, between=(40, 60))
    ),
    Mutant(
        "halt-cached",
        "the halt switch is read from a cache",
        ("approved while halted",),
        lambda: halts(3),
        Setup(account_count=8, kinds=(POLICY,)),
    ),
)


async def hunt(bench: Bench, mutant: Mutant) -> Result:
    """Return a result that holds when the mutant was found out in time."""
    setup = replace(mutant.setup, program=("-m", "tests.faults.mutant_service", mutant.name))
    began = time.monotonic()
    result, caught = Result(f"mutant {mutant.name}"), []
    for turn in range(_ROUNDS):
        result = await bench.run(f"mutant {mutant.name}", mutant.round(), replace(setup, seed=bench.seed + turn))
        caught = [finding for finding in result.findings if finding.startswith(mutant.shows)]
        if caught or time.monotonic() - began > CAUGHT_WITHIN_S:
            break
    return _verdict(result, caught, time.monotonic() - began)


def _verdict(result: Result, caught: Sequence[str], seconds: float) -> Result:
    if caught and seconds <= CAUGHT_WITHIN_S:
        return replace(result, seconds=seconds, findings=[], remarks=[f"caught in {seconds:.0f} s: {caught[0][:160]}"])
    late = (
        f"caught only after {seconds:.0f} s" if caught else f"not caught in {seconds:.0f} s; seen instead: {result.findings or 'nothing'}"
    )
    return replace(result, seconds=seconds, findings=[f"{late}: the harness does not see this mistake"])
