"""Bands with a memory: what the monitor acts on, so that an account at a line is not called again at every tick.

A margin result says the plain band, by where utilization is now; it depends on its stamp alone. The monitor also knows where the account
was before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import at_least
from crossmargin.domain.monitor_parameters import MonitorParameters
from crossmargin.domain.risk_parameters import BandLines, RiskParameters


@dataclass(frozen=True, slots=True)
class BandState:
    """Where the monitor holds an account to be.

    Attributes:
        is_immediate: True while a liquidation waits for no call.
        since: When the account came into the band, by the clock of the storage; None when it has not been stored yet.
    """

    band: Band
    is_immediate: bool = False
    since: datetime | None = None


def next_band_state(before: BandState | None, result: MarginResult, parameters: RiskParameters) -> BandState:
    """Return where an account is after a result; `before` is None for one that was never seen.

    A worse band is entered as the result says, which calls only who is short at the most favourable end of the market. Leaving a band lets
    go, so it takes utilization at the least favourable end: below the band's line by more than the hysteresis, and for a liquidation at or
    below its end. While doubted market data leaves that open, the band stays.
    """
    plain, monitor = result.band, parameters.monitor
    low, high = result.utilization_range
    band = plain if before is None else _held(before.band, plain, high, parameters.bands, monitor)
    is_immediate = plain is Band.LIQUIDATION and (low is None or low >= monitor.immediate_liquidation)
    since = before.since if before is not None and before.band is band else None
    return BandState(band, is_immediate, since)


def _held(before: Band, plain: Band, utilization: Decimal | None, lines: BandLines, monitor: MonitorParameters) -> Band:
    """Return the worst band, from the one before down to the plain one, that is not left yet."""
    for band in reversed(Band):
        if at_least(plain, band) or (at_least(before, band) and not _is_left(band, utilization, lines, monitor)):
            return band
    return plain


def _is_left(band: Band, utilization: Decimal | None, lines: BandLines, monitor: MonitorParameters) -> bool:
    if not utilization:
        # Infinite holds every band; without risk there is none to be in, however near to zero its line.
        return utilization is not None
    if band is Band.LIQUIDATION:
        return utilization <= min(monitor.liquidation_end, lines.liquidation)
    line = {Band.WATCH: lines.watch, Band.AT_RISK: lines.at_risk, Band.MARGIN_CALL: lines.margin_call}.get(band)
    return line is not None and utilization < line - monitor.hysteresis
