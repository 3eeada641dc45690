"""Parameters of the monitor: when a band is left again, and when a liquidation waits for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crossmargin.domain.expectation import require_parameter


@dataclass(frozen=True, slots=True)
class MonitorParameters:
    """How the monitor remembers bands. Utilizations; the lines at which bands begin are `BandLines`.

    Attributes:
        hysteresis: A band is left when utilization is below its line by more than this.
        liquidation_end: A liquidation is over at this utilization or below, whatever the hysteresis.
        immediate_liquidation: From this utilization on a liquidation waits for no call.
        call_increase_fraction: Share of what a margin call asks for by which the deficit must have grown for the call to be raised.
    """

    hysteresis: Decimal
    liquidation_end: Decimal
    immediate_liquidation: Decimal
    call_increase_fraction: Decimal

    def __post_init__(self) -> None:
        end, immediate, increase = self.liquidation_end, self.immediate_liquidation, self.call_increase_fraction
        require_parameter(0 <= self.hysteresis < 1, "hysteresis of the monitor", self.hysteresis, "in [0, 1)")
        require_parameter(end > 0, "liquidation_end of the monitor", end, "more than zero")
        require_parameter(increase >= 0, "call_increase_fraction of the monitor", increase, "zero or more")
        require_parameter(immediate > end, "immediate_liquidation of the monitor", immediate, f"more than liquidation_end {end}")


FIRST_MONITOR: Final = MonitorParameters(Decimal("0.02"), Decimal("0.75"), Decimal("1.25"), Decimal("0.1"))
"""What a set says that is from before it said it."""
