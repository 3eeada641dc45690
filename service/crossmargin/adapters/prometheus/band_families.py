"""The bands of accounts, as the monitor remembers them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from crossmargin.adapters.prometheus.gauge_columns import ColumnFamily, Labelled, column_of
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.margin import Band

_BANDS: Final = tuple(Band)


@dataclass(frozen=True, slots=True)
class BandGauge:
    """One figure of where the monitor holds an account to be."""

    name: str
    help_text: str
    read: Callable[[BandState], float]


BAND_GAUGES: Final = (
    BandGauge(
        "crossmargin_band",
        "0 healthy, 1 watch, 2 at risk, 3 margin call, 4 liquidation. As the monitor remembers it, which leaves a band later.",
        lambda state: float(_BANDS.index(state.band)),
    ),
    BandGauge(
        "crossmargin_liquidation_immediate",
        "1 when an account is so far past the liquidation line that its liquidation waits for no call.",
        lambda state: float(state.is_immediate),
    ),
)


def band_families(bands: Labelled[BandState]) -> Iterator[ColumnFamily]:
    """Yield the families of the bands of accounts, in their order."""
    for gauge in BAND_GAUGES:
        yield ColumnFamily(gauge.name, gauge.help_text, [column_of(bands, gauge.read)])
