"""Parameters of a lost peg: what a stablecoin that has slipped still counts for, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.expectation import require_parameter


@dataclass(frozen=True, slots=True)
class DepegParameters:
    """What happens when a stablecoin slips. Prices are in the currency it is pegged to.

    Attributes:
        mild_price: Below it the haircut rises by `haircut_slope` for each unit of price, for new risk only, and the coin is depegged.
        ineligible_price: Below it the coin is no collateral at all.
        slow_rise_per_day: How fast the price that holdings count at follows the market upwards, a day; None for at once.
        longest_hours: A depeg that has lasted longer makes the coin no collateral at all; None for never.
        recovery_hours: A depeg is over when the price has been back at `mild_price` for so long without a break.
    """

    mild_price: Decimal
    haircut_slope: Decimal
    ineligible_price: Decimal
    slow_rise_per_day: Decimal | None = None
    longest_hours: Decimal | None = None
    recovery_hours: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        require_parameter(0 <= self.mild_price <= 1, "mild_price", self.mild_price, "in [0, 1]")
        require_parameter(0 <= self.ineligible_price <= self.mild_price, "ineligible_price", self.ineligible_price, "from 0 to mild_price")
        require_parameter(self.haircut_slope >= 0, "haircut_slope", self.haircut_slope, "zero or more")
        rise, longest = self.slow_rise_per_day, self.longest_hours
        # At zero a coin that slipped once would stay at its lowest for ever.
        require_parameter(rise is None or rise > 0, "slow_rise_per_day", rise, "more than zero, or null")
        require_parameter(longest is None or longest >= 0, "longest_hours", longest, "zero or more, or null")
        require_parameter(self.recovery_hours >= 0, "recovery_hours", self.recovery_hours, "zero or more")
