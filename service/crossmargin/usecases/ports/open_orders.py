"""Where people learn of open orders, halts and flagged trades."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from crossmargin.domain.halt import Halt
from crossmargin.domain.reservation import ReservationStatus
from crossmargin.domain.trade_flag import TradeFlag


class RequestReports(Protocol):
    """Where people learn of orders that are open, of halts, and of trades to be looked at."""

    def requests_seen(self, reservations: Mapping[ReservationStatus, int], halts: Sequence[Halt]) -> None:
        """Publish how many reservations are active and suspect, and the halts in force. Of the process that leads."""
        ...

    def withdraw_requests(self) -> None:
        """Stop publishing reservations and halts: this process no longer leads."""
        ...

    def trades_flagged(self, flags: Iterable[TradeFlag]) -> None:
        """Count trades that were booked just now, once for each of their flags."""
        ...
