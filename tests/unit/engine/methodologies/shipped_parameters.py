"""The values that the standard parameter set gives each methodology, with where they come from."""

from __future__ import annotations

from math import inf

from crossmargin.engine.methodologies.span_grid import SpanGridParameters
from crossmargin.engine.methodologies.standard_schedule import ScheduleBand, StandardScheduleParameters
from crossmargin.engine.methodologies.tims_grid import MoveRange, TimsGridParameters


def _by_maturity(up_to_2, up_to_5, beyond):
    return (ScheduleBand(2.0, up_to_2), ScheduleBand(5.0, up_to_5), ScheduleBand(inf, beyond))


def _flat(rate):
    return (ScheduleBand(inf, rate),)


# BCBS-IOSCO d475 Appendix A; 12 CFR 45 Appendix A.
STANDARD_SCHEDULE = StandardScheduleParameters(
    bands={
        "CREDIT": _by_maturity(0.02, 0.05, 0.10),
        "RATES": _by_maturity(0.01, 0.02, 0.04),
        "FX": _flat(0.06),
        "EQUITY": _flat(0.15),
        "COMMODITY": _flat(0.15),
        "OTHER": _flat(0.15),
    },
    gross_fraction=0.4,
)

# FINRA Rule 4210(g).
TIMS_GRID = TimsGridParameters(
    ranges={
        "HIGH_CAP_INDEX": MoveRange(lowest_fraction=-0.08, highest_fraction=0.06),
        "BROAD_INDEX": MoveRange(lowest_fraction=-0.10, highest_fraction=0.10),
        "OTHER": MoveRange(lowest_fraction=-0.15, highest_fraction=0.15),
    },
    contract_minimum=0.375,
)

# An extreme move of twice the range, 35% of which counts, is the variant of the textbooks and of Indian exchanges.
SPAN_GRID = SpanGridParameters(price_scan_fraction=0.1, volatility_scan_fraction=0.25, extreme_multiple=2.0, cover_fraction=0.35)
