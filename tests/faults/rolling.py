"""Replicas are replaced one after the other under load, as an orchestrator does it: no caller may see an error."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.faults.history import Outcome
from tests.faults.injectors import Injector
from tests.faults.replicas import Replica
from tests.faults.rig import Rig

_TROUBLE: Final = frozenset({Outcome.UNKNOWN, Outcome.BUSY, Outcome.UNEXPECTED})


def rolling_restarts(rounds: int, *, between: tuple[int, int] = (60, 100)) -> Injector:
    """Return an injector that stops every replica in turn, `rounds` times, each only when the one before serves again."""

    async def inject(rig: Rig) -> None:
        for _ in range(rounds):
            for replica in rig.replicas:
                await rig.history.progress(rig.chance.randint(*between))
                await _replace(rig, replica)
        await rig.history.progress(between[1])
        seen = Counter(answer.detail[:200] for answer in rig.history.answers if answer.outcome in _TROUBLE)
        rig.findings += [f"errors that callers saw: {count} times {detail}" for detail, count in seen.most_common(5)]

    return inject


async def _replace(rig: Rig, replica: Replica) -> None:
    code = await replica.stop()
    rig.tally.stops += 1
    if code != 0:
        rig.findings.append(f"{replica.name} ended with {code} when it was asked to stop: {replica.last_words()}")
    await replica.start()
