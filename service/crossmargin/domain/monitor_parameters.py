"""Parameters of the monitor: when a band is left again, and when a liquidation waits for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.errors import DomainError, Reason


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
        _require(0 <= self.hysteresis < 1, "hysteresis", self.hysteresis, "in [0, 1)")
        _require(self.liquidation_end > 0, "liquidation_end", self.liquidation_end, "more than zero")
        is_later = self.immediate_liquidation > self.liquidation_end
        _require(self.call_increase_fraction >= 0, "call_increase_fraction", self.call_increase_fraction, "zero or more")
        _require(is_later, "immediate_liquidation", self.immediate_liquidation, "more than liquidation_end")


def _require(claim: bool, name: str, value: object, expected: str) -> None:  # noqa: FBT001 - a claim and its sentence
    if not claim:
        raise DomainError(
            Reason.INVALID_RISK_PARAMETERS,
            f"{name} of the monitor was {value}; expected {expected}",
            field=name,
            value=value,
            expected=expected,
        )
