"""Where runs are made: one server, one folder, and somebody who is told how far they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.faulty_postgres import FaultyPostgres
from tests.faults.rig import Result, Rig, Setup, exercise, running_rig

_TELL_EVERY_S: Final = 1.0


def _tell_nobody(name: str, line: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Bench:
    """What every run is given.

    Attributes:
        seed: Of all chance in a run.
        seconds: How long runs that break things again and again go on at least; None for as long as each of them is meant to.
        tell: Called once a second with the run's name and its progress.
    """

    postgres: FaultyPostgres
    folder: Path
    seed: int = 1
    seconds: float | None = None
    tell: Callable[[str, str], None] = _tell_nobody

    async def run(self, name: str, body: Callable[[Rig], Awaitable[None]], setup: Setup) -> Result:
        """Return what became of a run on a rig of its own."""
        async with running_rig(self.postgres, self.folder, setup) as rig:
            telling = asyncio.create_task(self._tell_on(name, rig))
            try:
                return await exercise(rig, name, setup, body)
            finally:
                telling.cancel()

    async def _tell_on(self, name: str, rig: Rig) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            self.tell(name, rig.progress_line())
