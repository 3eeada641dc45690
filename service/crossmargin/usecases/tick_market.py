"""Make a market of the quotes, tick by tick, where the monitor leads."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.errors import DomainError
from crossmargin.usecases.build_snapshot import BuildSnapshot
from crossmargin.usecases.ports.leadership import Leadership
from crossmargin.usecases.ports.margin import MarginMetrics
from crossmargin.usecases.ports.runtime import Clock


@dataclass(slots=True)
class TickMarket:
    """Runs for ever. A house run that takes long holds up no tick: each has a loop of its own."""

    build_snapshot: BuildSnapshot
    metrics: MarginMetrics
    leadership: Leadership
    clock: Clock
    tick_s: float

    async def __call__(self) -> None:
        """Build a snapshot every tick, until cancelled."""
        while True:
            try:
                if await self.leadership.try_lead():
                    await self.build_snapshot(self.clock.now())
                else:
                    self.build_snapshot.metrics.withdraw_market()
            except DomainError as error:
                # Counted where failed house runs are, and tried again: without a market there is no margin either.
                self.metrics.house_failed(error.reason.code)
            await self.clock.sleep(self.tick_s)
