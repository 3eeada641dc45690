"""What is to be looked at about a trade that was booked all the same, because it has happened."""

from __future__ import annotations

from enum import Enum, unique


@unique
class TradeFlag(Enum):
    """Why somebody should look at a booked trade."""

    UNKNOWN_RESERVATION = "unknown reservation"
    """It names a reservation that its account never had."""
    NOT_AS_RESERVED = "not as reserved"
    """It is in another instrument, on the other side or paid in something else than the order; nothing of the reservation was used."""
    BEYOND_RESERVATION = "beyond reservation"
    """It is more than was left of the order, or the order had filled already."""
    WORSE_THAN_RESERVED = "worse than reserved"
    """Its price is worse than the worst that was approved."""
    AFTER_EXPIRY = "after expiry"
    """An immediate order had ended by the clock, and nothing was held for it any more."""
    AFTER_RELEASE = "after release"
    """The order had been released, and nothing was held for it any more."""
    SUSPECT_RESERVATION = "suspect reservation"
    """A resting order was past its time; its reservation was still held, and was used."""
    LIMIT_BREACHED = "limit breached"
    """It brought exposure over a limit, or further over it."""
    LIMITS_NOT_CHECKED = "limits not checked"
    """There are limits, but no market to measure exposure by."""
