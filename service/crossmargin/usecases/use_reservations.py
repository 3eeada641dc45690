"""Turn the reservations that trades fill into what is left of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from crossmargin.domain.book import NewEntry, Trade
from crossmargin.domain.money import EXACT
from crossmargin.domain.reservation import Reservation, ReservationStatus, by_sequence, filled_by
from crossmargin.domain.reservation_entry import entry_from_fill
from crossmargin.domain.trade_flag import TradeFlag

_ENDED_FLAGS = {
    ReservationStatus.FILLED: TradeFlag.BEYOND_RESERVATION,
    ReservationStatus.RELEASED: TradeFlag.AFTER_RELEASE,
    ReservationStatus.EXPIRED: TradeFlag.AFTER_EXPIRY,
}


@dataclass(slots=True)
class ReservationsInUse:
    """Reservations of one account while the trades of a batch use them, one after the other."""

    now: datetime
    _held: dict[int, Reservation]
    _changed: dict[int, Reservation] = field(default_factory=dict)

    @classmethod
    def of(cls, reservations: Iterable[Reservation], *, now: datetime) -> ReservationsInUse:
        """Return reservations that nothing has used yet."""
        return cls(now, dict(by_sequence(reservations)))

    @property
    def changed(self) -> tuple[Reservation, ...]:
        """Those that trades have used, as they are now."""
        return tuple(self._changed.values())

    def use(self, trade: Trade, *, trade_sequence: int) -> tuple[NewEntry | None, frozenset[TradeFlag]]:
        """Return the entry that says what a trade used, None if nothing, and what is to be looked at about it."""
        if trade.reservation is None:
            return None, frozenset()
        reservation = self._held.get(trade.reservation)
        if reservation is None:
            return None, frozenset({TradeFlag.UNKNOWN_RESERVATION})
        if not _is_as_reserved(trade, reservation):
            return None, frozenset({TradeFlag.NOT_AS_RESERVED})
        flags = set()
        if _is_worse(trade, reservation):
            flags.add(TradeFlag.WORSE_THAN_RESERVED)
        if not reservation.status.counts:
            return None, frozenset(flags | {_ENDED_FLAGS[reservation.status]})
        if reservation.status is ReservationStatus.SUSPECT:
            flags.add(TradeFlag.SUSPECT_RESERVATION)
        if trade.quantity.copy_abs() > reservation.remaining.copy_abs():
            flags.add(TradeFlag.BEYOND_RESERVATION)
        return self._take(reservation, trade.quantity, trade_sequence), frozenset(flags)

    def _take(self, reservation: Reservation, quantity: Decimal, trade_sequence: int) -> NewEntry:
        after = filled_by(reservation, quantity)
        self._held[reservation.sequence] = self._changed[reservation.sequence] = after
        used = EXACT.subtract(after.filled, reservation.filled)
        return entry_from_fill(after, used, trade_sequence=trade_sequence, at=self.now)


def _is_as_reserved(trade: Trade, reservation: Reservation) -> bool:
    order = reservation.order
    # What an instrument is settled in may be left unsaid.
    is_same_asset = order.settlement is None or trade.settlement in {None, order.settlement}
    return is_same_asset and trade.instrument_id == order.instrument_id and (trade.quantity > 0) == (order.quantity > 0)


def _is_worse(trade: Trade, reservation: Reservation) -> bool:
    order = reservation.order
    return trade.price > order.price if order.quantity > 0 else trade.price < order.price
