"""Counts what would be published, where nobody scrapes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import SourceId
from crossmargin.domain.liquidation_life import LiquidationStep
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.reservation import ReservationStatus
from crossmargin.domain.trade_flag import TradeFlag
from crossmargin.usecases.ports.liquidation import OpenLiquidation


class MemoryRequestReports:
    """See `RequestReports`."""

    def __init__(self) -> None:
        self.flags: Counter[TradeFlag] = Counter()
        self.reservations: Mapping[ReservationStatus, int] | None = None
        self.halts: Sequence[Halt] | None = None

    def requests_seen(self, reservations: Mapping[ReservationStatus, int], halts: Sequence[Halt]) -> None:
        """Keep what stands."""
        self.reservations, self.halts = reservations, halts

    def withdraw_requests(self) -> None:
        """Forget what stands."""
        self.reservations, self.halts = None, None

    def trades_flagged(self, flags: Iterable[TradeFlag]) -> None:
        """Count flags."""
        self.flags.update(flags)


class MemoryQuoteMetrics:
    """See `QuoteMetrics`."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[SourceId, str]] = Counter()
        self.last_built: MarketSnapshot | None = None

    def quotes_received(self, source: SourceId, *, accepted: int, replayed: int, refused: int, missed: int) -> None:
        """Count what came of the quotes of one batch."""
        for outcome, count in (("accepted", accepted), ("replayed", replayed), ("refused", refused), ("missed", missed)):
            self.counts[source, outcome] += count

    def snapshot_built(self, snapshot: MarketSnapshot) -> None:
        """Keep the snapshot."""
        self.last_built = snapshot

    def withdraw_market(self) -> None:
        """Forget the snapshot."""
        self.last_built = None


class MemoryCallReports:
    """See `CallReports`."""

    def __init__(self) -> None:
        self.open: Sequence[MarginCall] | None = None
        self.notices: list[CallNotice] = []

    def calls_seen(self, calls: Sequence[MarginCall]) -> None:
        """Keep the open calls."""
        self.open = calls

    def withdraw_calls(self) -> None:
        """Forget the open calls."""
        self.open = None

    def call_changed(self, notice: CallNotice) -> None:
        """Keep what was done."""
        self.notices.append(notice)


class MemoryLiquidationReports:
    """See `LiquidationReports`."""

    def __init__(self) -> None:
        self.open: Sequence[OpenLiquidation] | None = None
        self.steps: list[LiquidationStep] = []

    def liquidations_seen(self, found: Sequence[OpenLiquidation]) -> None:
        """Keep the open liquidations."""
        self.open = found

    def withdraw_liquidations(self) -> None:
        """Forget the open liquidations."""
        self.open = None

    def liquidation_stepped(self, step: LiquidationStep) -> None:
        """Keep what was written."""
        self.steps.append(step)
