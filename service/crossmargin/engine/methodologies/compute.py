"""One way to ask for a margin, whatever it is computed by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, TypeAlias

from crossmargin.domain.margin import MarginResult
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.methodologies.grid_margin import span_margin, tims_margin
from crossmargin.engine.methodologies.ratio_margin import fixed_rate_margin
from crossmargin.engine.methodologies.schedule_margin import schedule_margin
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

Compute: TypeAlias = Callable[[Portfolio, RevaluedMarket, RiskParameters], MarginResult]

METHODOLOGIES: Final[Mapping[Methodology, Compute]] = {
    Methodology.EXPECTED_SHORTFALL: compute_margin,
    Methodology.SPAN_GRID: span_margin,
    Methodology.TIMS_GRID: tims_margin,
    Methodology.STANDARD_SCHEDULE: schedule_margin,
    Methodology.RATIO: fixed_rate_margin,
}


def compute_brief(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginResult:
    """Return what `compute` does, without groups, contributions and worst scenarios: every other figure is the same. Errors as there."""
    if portfolio.methodology is Methodology.EXPECTED_SHORTFALL:
        return compute_margin(portfolio, market, parameters, is_explained=False)
    return replace(compute(portfolio, market, parameters), groups=(), contributions=(), worst_scenarios=())


def compute(portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> MarginResult:
    """Return the margin of an account by its own methodology.

    Equity, and what the broker may lose in an isolated account, are the same under all of them. The same inputs give the same result,
    bit for bit; money is rounded to the cent against the client.

    Raises:
        DomainError: For a holding that cannot be valued (see `portfolio_arrays`); METHODOLOGY_UNAVAILABLE for a methodology of which the
            parameters do not say enough.
    """
    return METHODOLOGIES[portfolio.methodology](portfolio, market, parameters)
