"""Replicas are replaced one after the other under load, as an orchestrator does it: no caller may see an error."""

from __future__ import annotations

import time
from collections import Counter
from typing import Final

from tests.faults.history import Outcome
from tests.faults.injectors import Injector
from tests.faults.latencies import latency_line, under_way
from tests.faults.replicas import Replica
from tests.faults.rig import Rig

_TROUBLE: Final = frozenset({Outcome.UNKNOWN, Outcome.BUSY, Outcome.UNEXPECTED})


def rolling_restarts(rounds: int, *, between: tuple[int, int] = (60, 100)) -> Injector:
    """Return an injector that stops every replica in turn, `rounds` times, each only when the one before serves again."""

    async def inject(rig: Rig) -> None:
        replaced = []
        for _ in range(rounds):
            for replica in rig.replicas:
                await rig.history.progress(rig.chance.randint(*between))
                began = time.monotonic()
                await _replace(rig, replica)
                replaced += under_way(rig.history.answers, began, time.monotonic())
        await rig.history.progress(between[1])
        troubles = [answer for answer in rig.history.answers if answer.outcome in _TROUBLE]
        seen = Counter(answer.detail[:200] for answer in troubles)
        rig.findings += [f"errors that callers saw: {count} times {detail}" for detail, count in seen.most_common(5)]
        rig.remarks.append(f"{rig.tally.stops} replicas were replaced; errors that callers of the client library saw: {len(troubles)}")
        rig.remarks.append(f"while one was being replaced {latency_line(replaced)}; of all, {latency_line(rig.history.answers)}")

    return inject


async def _replace(rig: Rig, replica: Replica) -> None:
    code = await replica.stop()
    rig.tally.stops += 1
    if code != 0:
        rig.findings.append(f"{replica.name} ended with {code} when it was asked to stop: {replica.last_words()}")
    await replica.start()
