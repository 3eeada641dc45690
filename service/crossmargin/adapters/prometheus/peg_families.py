"""How the stablecoins of the market stand. They are few and named by the operator, so they may be labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.peg import PegStanding


@dataclass(frozen=True, slots=True)
class PegGauge:
    """One figure of how a stablecoin stands."""

    name: str
    help_text: str
    read: Callable[[PegStanding], float]


PEG_GAUGES: Final = (
    PegGauge(
        "crossmargin_stablecoin_slow_price",
        "What holdings of a stablecoin count at, at most, in what it is pegged to, in the market of the last house run.",
        lambda standing: float(standing.slow_price),
    ),
    PegGauge(
        "crossmargin_stablecoin_depegged_seconds",
        "For how long a stablecoin had been below its line, in the market of the last house run; 0 for one that is well.",
        lambda standing: standing.depegged_for.total_seconds(),
    ),
    PegGauge(
        "crossmargin_stablecoin_peg_lost",
        "1 for a stablecoin that is no collateral any more: it counts at too little, or has been off its peg for too long.",
        lambda standing: float(standing.is_lost),
    ),
)


def peg_families(pegs: Mapping[InstrumentId, PegStanding]) -> Iterator[GaugeMetricFamily]:
    """Yield the families of stablecoins."""
    for gauge in PEG_GAUGES:
        family = GaugeMetricFamily(gauge.name, gauge.help_text, labels=["instrument"])
        for name, standing in sorted(pegs.items()):
            family.add_metric([name], gauge.read(standing))
        yield family
