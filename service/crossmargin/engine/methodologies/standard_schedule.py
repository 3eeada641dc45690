"""The standardised initial margin schedule for uncleared derivatives (BCBS-IOSCO 2020, d475, Appendix A; 12 CFR 45 Appendix A)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.engine.methodologies.parameter_checks import require_parameter

ByTrade: TypeAlias = NDArray[np.float64]
"""[T] trades of one netting set"""


@dataclass(frozen=True, slots=True)
class ScheduleBand:
    """Rate on the notional of trades whose residual maturity is at most `up_to_years`; infinity for the last band."""

    up_to_years: float
    rate_fraction: float


@dataclass(frozen=True, eq=False)
class StandardScheduleParameters:
    """The schedule.

    Attributes:
        bands: Rates of each asset class by residual maturity, shortest first; one open-ended band for a class whose rate is flat.
        gross_fraction: Share of the gross margin that no netting reduces; the rest is scaled by the net-to-gross ratio.
    """

    bands: Mapping[str, tuple[ScheduleBand, ...]]
    gross_fraction: float

    def __post_init__(self) -> None:
        require_parameter(0 <= self.gross_fraction <= 1, "gross_fraction", self.gross_fraction, "in [0, 1]")
        for asset_class, bands in self.bands.items():
            ends = [band.up_to_years for band in bands]
            ascending = all(shorter < longer for shorter, longer in pairwise(ends))
            require_parameter(
                bool(bands) and ascending and ends[-1] == inf, f"bands of {asset_class}", ends, "ascending, the last open-ended"
            )
            for band in bands:
                require_parameter(0 <= band.rate_fraction <= 1, f"rate_fraction of {asset_class}", band.rate_fraction, "in [0, 1]")


@dataclass(frozen=True, slots=True)
class ScheduleMargin:
    """Initial margin that one side collects. Base currency.

    Attributes:
        gross: Sum of |notional| x rate over all trades.
        net_to_gross_ratio: Net over gross replacement cost, 0 to 1.
        initial_margin: gross x (gross_fraction + (1 - gross_fraction) x net_to_gross_ratio).
    """

    gross: float
    net_to_gross_ratio: float
    initial_margin: float


def schedule_rates(asset_class: Sequence[str], residual_years: ByTrade, parameters: StandardScheduleParameters) -> ByTrade:
    """Return [T] the rate of each trade, a fraction of its notional.

    A trade that ends exactly at the border of two bands is in the shorter one; the rules, "0-2 years" and "2-5 years", leave it open.

    Args:
        asset_class: [T] a class of the schedule for each trade.
        residual_years: [T] actual/365 to the end of each trade.
        parameters: The schedule.

    Raises:
        DomainError: INVALID_RISK_PARAMETERS for an asset class that the schedule does not know.
    """
    return np.array([_rate(name, years, parameters) for name, years in zip(asset_class, residual_years.tolist(), strict=True)])


def collected_margin(notional: ByTrade, rate: ByTrade, present_value: ByTrade, *, gross_fraction: float) -> ScheduleMargin:
    """Return the initial margin to collect from the counterparty for one netting set.

    gross = sum |notional| rate, over every trade: opposite trades do not offset in it. The net-to-gross ratio is
    max(0, sum PV) / sum max(0, PV), 1 when no trade has a positive value, and is all the netting that the rule knows.

    Args:
        notional: [T] base currency, any sign.
        rate: [T] from `schedule_rates`.
        present_value: [T] replacement cost: positive when the counterparty owes us, base currency.
        gross_fraction: Of the parameters.

    >>> margin = collected_margin(np.array([100.0, 50.0]), np.array([0.02, 0.15]), np.array([4.0, -3.0]), gross_fraction=0.4)
    >>> margin.gross, margin.net_to_gross_ratio, round(margin.initial_margin, 6)
    (9.5, 0.25, 5.225)
    """
    gross = float((np.abs(notional) * rate).sum())
    ratio = _net_to_gross_ratio(present_value)
    return ScheduleMargin(gross, ratio, gross * (gross_fraction + (1.0 - gross_fraction) * ratio))


def posted_margin(notional: ByTrade, rate: ByTrade, present_value: ByTrade, *, gross_fraction: float) -> ScheduleMargin:
    """Return the initial margin to post: what the counterparty collects, to whom every present value has the opposite sign."""
    return collected_margin(notional, rate, -present_value, gross_fraction=gross_fraction)


def _rate(asset_class: str, residual_years: float, parameters: StandardScheduleParameters) -> float:
    if asset_class not in parameters.bands:
        raise DomainError(
            Reason.INVALID_RISK_PARAMETERS,
            f"the standard schedule has no rate for asset class {asset_class}; expected one of {', '.join(sorted(parameters.bands))}",
            asset_class=asset_class,
            expected=sorted(parameters.bands),
        )
    return next(band.rate_fraction for band in parameters.bands[asset_class] if residual_years <= band.up_to_years)


def _net_to_gross_ratio(present_value: ByTrade) -> float:
    gross_cost = float(np.maximum(present_value, 0.0).sum())
    return max(0.0, float(present_value.sum())) / gross_cost if gross_cost > 0 else 1.0
