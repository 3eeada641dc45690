"""What breaks, and when: each fault comes after so much progress, not after so much time, so that every machine sees the same run."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Final

from tests.faults.commit_proxy import Fate
from tests.faults.replicas import Replica
from tests.faults.rig import Rig

FREEZE_S: Final = 5.0
"""Longer than the service waits for an answer, so that what it does about silence is seen."""

_LOOK_EVERY_S: Final = 0.25

Injector = Callable[[Rig], Awaitable[None]]


def kills(count: int | None = None, *, between: tuple[int, int] = (15, 45)) -> Injector:
    """Return an injector that kills replicas outright, `count` times in all or for ever, and starts each again."""

    async def inject(rig: Rig) -> None:
        turns = iter(range(count)) if count is not None else itertools.count()
        await _all(_kill_again_and_again(rig, replica, turns, between) for replica in rig.replicas)

    return inject


async def _kill_again_and_again(rig: Rig, replica: Replica, turns: Iterable[int], between: tuple[int, int]) -> None:
    for _ in turns:
        await rig.history.progress(rig.chance.randint(*between))
        if replica.note_own_death():
            rig.remarks.append(f"{replica.name} was dead before it was killed")
        await replica.kill()
        rig.tally.kills += 1
        await replica.start()


def crashes(count: int | None = None, *, between: tuple[int, int] = (60, 120)) -> Injector:
    """Return an injector that crashes PostgreSQL: in turns every process at once, and one session, on which the server restarts itself."""

    async def inject(rig: Rig) -> None:
        async for turn in _turns(rig, count, between):
            async with rig.server_turn:
                if turn % 2 and rig.postgres.kill_a_backend(rig.chance):
                    await rig.postgres.answers()
                else:
                    await rig.postgres.crash()
                    await rig.postgres.start_again()
                rig.tally.crashes += 1

    return inject


def freezes(count: int | None = None, *, between: tuple[int, int] = (100, 200), seconds: float = FREEZE_S) -> Injector:
    """Return an injector that stops every process of PostgreSQL where it is for a while."""

    async def inject(rig: Rig) -> None:
        async for _ in _turns(rig, count, between):
            async with rig.server_turn:
                rig.postgres.freeze()
                try:
                    await asyncio.sleep(seconds)
                finally:
                    rig.postgres.thaw()
                rig.tally.freezes += 1

    return inject


def cuts(count_each: int | None = None, *, between: tuple[int, int] = (3, 8)) -> Injector:
    """Return an injector that cuts lines before and after a COMMIT, in turns."""
    return _fates([Fate.CUT_BEFORE, Fate.CUT_AFTER], count_each, between)


def black_holes(count: int | None = None, *, between: tuple[int, int] = (20, 60)) -> Injector:
    """Return an injector of lines that swallow every answer from a COMMIT on, and stay open."""
    return _fates([Fate.BLACK_HOLE], count, between)


def delays(count: int | None = None, *, between: tuple[int, int] = (3, 10)) -> Injector:
    """Return an injector of COMMITs that arrive late, so that what follows overtakes them."""
    return _fates([Fate.DELAY], count, between)


def _fates(fates: list[Fate], count_each: int | None, between: tuple[int, int]) -> Injector:
    async def inject(rig: Rig) -> None:
        # Counted by what really happened: a COMMIT that a crash took before its fate did does not count.
        while count_each is None or min(rig.proxy.done[fate] for fate in fates) < count_each:
            fewest = min(fates, key=lambda fate: rig.proxy.done[fate])
            rig.proxy.arm(fewest)
            await rig.history.progress(rig.chance.randint(*between))

    return inject


async def _turns(rig: Rig, count: int | None, between: tuple[int, int]) -> AsyncIterator[int]:
    for turn in itertools.count() if count is None else range(count):
        await rig.history.progress(rig.chance.randint(*between))
        yield turn


def together(*injectors: Injector) -> Injector:
    """Return an injector that is all of these at once, and ends when each of them has ended."""

    async def inject(rig: Rig) -> None:
        await _all(injector(rig) for injector in injectors)

    return inject


def beside(background: Injector, injector: Injector) -> Injector:
    """Return an injector that ends when `injector` does, with something else going on beside it until then."""

    async def inject(rig: Rig) -> None:
        going_on = asyncio.ensure_future(background(rig))
        try:
            await injector(rig)
        finally:
            going_on.cancel()
            await asyncio.gather(going_on, return_exceptions=True)

    return inject


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Return when all have ended; the first that fails ends the others, and its error is raised as it is."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def at_least(injector: Injector, *, seconds: float = 0.0, **counts: int) -> Injector:
    """Return an injector without an end of its own, ended when so many seconds have passed and the tally has come to these counts."""

    async def inject(rig: Rig) -> None:
        breaking = asyncio.ensure_future(injector(rig))
        try:
            while not _is_enough(rig, seconds, counts):
                await asyncio.wait({breaking}, timeout=_LOOK_EVERY_S)
                if breaking.done():
                    breaking.result()
                    return
        finally:
            breaking.cancel()
            await asyncio.gather(breaking, return_exceptions=True)

    return inject


def _is_enough(rig: Rig, seconds: float, counts: Mapping[str, int]) -> bool:
    rig.note_cuts()
    is_long_enough = time.monotonic() - rig.began >= seconds
    return is_long_enough and all(getattr(rig.tally, name) >= count for name, count in counts.items())
