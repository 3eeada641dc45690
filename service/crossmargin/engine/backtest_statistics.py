"""Statistics of a backtest: is the requirement breached as often as it should be, evenly, by as much, and how fast does it move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, chdtrc, xlogy

from crossmargin.domain.backtest import Zone
from crossmargin.domain.expectation import require_argument

ByBacktestDay: TypeAlias = NDArray[np.float64]
"""[D] days of a backtest, oldest first"""
BreachByBacktestDay: TypeAlias = NDArray[np.bool_]
"""[D] whether the loss of the day exceeded the requirement"""
ByPath: TypeAlias = NDArray[np.float64]
"""[N] simulated paths, or a single number without that axis"""
ByPathDay: TypeAlias = NDArray[np.float64]
"""[N, D], or [D] without the first axis"""


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A likelihood-ratio statistic, zero or more, and the probability of one at least as large if the requirement is right.

    The p-value is asymptotic (chi-squared); with few expected breaches it is rough.
    """

    statistic: float
    p_value: float


@dataclass(frozen=True, slots=True)
class ZoneLimits:
    """The most breaches in the green zone, and the most in the yellow one; more are red."""

    green_max: int
    yellow_max: int


def proportion_of_failures(observations: int, breaches: int, expected_fraction: float) -> LikelihoodRatio:
    """Return Kupiec's test that breaches happen with probability `expected_fraction`, against any other one (1 degree of freedom).

    LR = 2 [x log(x / (n p)) + (n - x) log((n - x) / (n (1 - p)))], n observations, x breaches (Kupiec 1995, "Techniques for verifying
    the accuracy of risk measurement models"). Zero when exactly the expected number of breaches happened.

    Raises:
        DomainError: INVALID_ARGUMENT unless 0 <= breaches <= observations, observations >= 1 and 0 < expected_fraction < 1.

    >>> round(proportion_of_failures(250, 6, 0.01).statistic, 5)
    3.55535
    """
    _check_counts(observations, breaches, expected_fraction)
    realised = breaches / observations
    fitted = _log_likelihood(observations - breaches, breaches, realised)
    return _chi_squared(2.0 * (fitted - _log_likelihood(observations - breaches, breaches, expected_fraction)), freedom=1)


def independence(breached: BreachByBacktestDay) -> LikelihoodRatio:
    """Return Christoffersen's test that a breach is as likely after a breach as after none (1 degree of freedom).

    The first-order Markov test of Christoffersen 1998, "Evaluating interval forecasts": one probability of a breach for every day but
    the first, against one for days after a breach and one for days after none. A probability that no day can show counts as fitted,
    so that a series without breaches, or with nothing else, has a statistic of 0. Overlapping horizons breach in runs by themselves:
    give it one day in each horizon.

    >>> round(independence(np.array([False, True, True, False, False, False, False, True, True, False])).statistic, 5)
    0.09001
    """
    before, after = breached[:-1], breached[1:]
    calm_after_breach, breach_after_breach = _counts(after[before])
    calm_after_calm, breach_after_calm = _counts(after[~before])
    apart = _best_log_likelihood(calm_after_calm, breach_after_calm) + _best_log_likelihood(calm_after_breach, breach_after_breach)
    together = _best_log_likelihood(calm_after_calm + calm_after_breach, breach_after_calm + breach_after_breach)
    return _chi_squared(2.0 * (apart - together), freedom=1)


def conditional_coverage(breached: BreachByBacktestDay, expected_fraction: float) -> LikelihoodRatio:
    """Return Christoffersen's joint test of the right number of breaches and of their independence (2 degrees of freedom).

    LR = Kupiec's over all days + the independence statistic (Christoffersen 1998). Errors as `proportion_of_failures`.
    """
    coverage = proportion_of_failures(len(breached), int(breached.sum()), expected_fraction)
    return _chi_squared(coverage.statistic + independence(breached).statistic, freedom=2)


def zone_limits(observations: int, expected_fraction: float, *, yellow_from: float, red_from: float) -> ZoneLimits:
    """Return the most breaches of the green and of the yellow zone.

    A zone begins at the number of breaches x for which P(X <= x) reaches its probability, X being binomial (Basel Framework, MAR99:
    yellow from 95%, red from 99.99%). No breach at all is always green, which matters for short samples alone.

    Args:
        observations: Independent days, 1 or more.
        expected_fraction: Probability of a breach on each of them, between 0 and 1.
        yellow_from: Cumulative probability from which the yellow zone begins.
        red_from: The same for the red zone.

    Raises:
        DomainError: INVALID_ARGUMENT for arguments out of range.

    >>> zone_limits(250, 0.01, yellow_from=0.95, red_from=0.9999)
    ZoneLimits(green_max=4, yellow_max=9)
    """
    _check_counts(observations, 0, expected_fraction)
    require_argument(0 < yellow_from <= red_from < 1, "zone probabilities", (yellow_from, red_from), "0 < yellow_from <= red_from < 1")
    cumulative = bdtr(np.arange(observations + 1.0), observations, expected_fraction)
    green_max = max(0, int((cumulative < yellow_from).sum()) - 1)
    return ZoneLimits(green_max=green_max, yellow_max=max(green_max, int((cumulative < red_from).sum()) - 1))


def zone_limits_by_exceedance(observations: int, expected_fraction: float, *, yellow_from: float, red_from: float) -> ZoneLimits:
    """Return the same by the other reading of a binomial test: a zone begins at the x for which P(X >= x) falls to 1 - its probability.

    P(X >= x) counts x itself, so each zone begins at least one breach later than in `zone_limits`: at x where the other's began at x - 1.

    >>> zone_limits_by_exceedance(250, 0.01, yellow_from=0.95, red_from=0.9999)
    ZoneLimits(green_max=5, yellow_max=10)
    """
    basel = zone_limits(observations, expected_fraction, yellow_from=yellow_from, red_from=red_from)
    return ZoneLimits(green_max=basel.green_max + 1, yellow_max=basel.yellow_max + 1)


def zone_of(breaches: int, limits: ZoneLimits) -> Zone:
    """Return the zone of a number of breaches."""
    if breaches <= limits.green_max:
        return Zone.GREEN
    return Zone.YELLOW if breaches <= limits.yellow_max else Zone.RED


def traffic_light(observations: int, breaches: int, expected_fraction: float, *, yellow_from: float, red_from: float) -> Zone:
    """Return the zone of a number of breaches; arguments and errors as `zone_limits`."""
    _check_counts(observations, breaches, expected_fraction)
    return zone_of(breaches, zone_limits(observations, expected_fraction, yellow_from=yellow_from, red_from=red_from))


def shortfall_given_breach(pnl: ByPathDay, value_at_risk: ByBacktestDay, expected_shortfall: ByBacktestDay) -> ByPath:
    """Return the statistic Z1 of Acerbi and Szekely 2014, "Backtesting expected shortfall": the tail mean on the days of a breach.

    Z1 = 1 + (sum over breaches of pnl / ES) / number of breaches, a breach being pnl < -VaR. 0 is expected; below 0 the losses beyond
    VaR were larger than their forecast mean. It says nothing about how many there were. NaN on a path without a breach.

    Args:
        pnl: [D] realised, or [N, D] simulated, profits (+) and losses (-).
        value_at_risk: [D] forecast, a positive loss.
        expected_shortfall: [D] forecast of the same tail, above 0.
    """
    scaled, count = _scaled_breaches(pnl, value_at_risk, expected_shortfall)
    mean = np.full(np.shape(count), np.nan)
    np.divide(scaled.sum(axis=-1), count, out=mean, where=count > 0)
    return 1.0 + mean


def shortfall_and_frequency(pnl: ByPathDay, value_at_risk: ByBacktestDay, expected_shortfall: ByBacktestDay, *, alpha: float) -> ByPath:
    """Return the statistic Z2 of Acerbi and Szekely 2014: size and number of the breaches together.

    Z2 = 1 + (sum over breaches of pnl / ES) / (D alpha). 0 is expected, 1 means no breach at all, below 0 the tail was heavier or
    visited more often than forecast. Its distribution depends on the forecast one: compare it with `simulated_p_value`. Acerbi and
    Szekely find that for alpha = 2.5% and 250 days its 5% quantile is near -0.7 over a wide range of tails.

    Args:
        pnl: [D] realised, or [N, D] simulated, profits (+) and losses (-).
        value_at_risk: [D] forecast, a positive loss.
        expected_shortfall: [D] forecast of the same tail, above 0.
        alpha: Probability of the tail that both are of.
    """
    scaled, _ = _scaled_breaches(pnl, value_at_risk, expected_shortfall)
    statistic: ByPath = 1.0 + scaled.sum(axis=-1) / (pnl.shape[-1] * alpha)
    return statistic


def simulated_p_value(statistic: float, simulated: ByPath) -> float:
    """Return the share of simulated statistics at or below `statistic`: how probable so bad a one is if the forecasts are right.

    Z1 and Z2 have no distribution of their own, so the paths are drawn by the caller from the forecast distribution and passed through
    the same statistic. Paths on which it is NaN do not count.

    Raises:
        DomainError: INVALID_ARGUMENT when no path counts or the statistic itself is NaN.
    """
    counted = simulated[np.isfinite(simulated)]
    require_argument(len(counted) > 0, "simulated statistics", "none", "at least one path on which the statistic is defined")
    require_argument(bool(np.isfinite(statistic)), "statistic", statistic, "a finite number: no breach, no Z1")
    return float((counted <= statistic).mean())


def peak_to_trough(requirement: ByBacktestDay) -> float:
    """Return the largest requirement of a static book over its smallest, 1 or more (Murphy, Vasios and Vause 2014, Bank of England).

    Raises:
        DomainError: INVALID_ARGUMENT unless every requirement is above 0.
    """
    _check_requirements(requirement)
    return float(requirement.max() / requirement.min())


def largest_rise(requirement: ByBacktestDay, days: int) -> float:
    """Return the largest relative rise of the requirement of a static book from one day to `days` later, at least 0.

    max_t m_{t+days} / m_t - 1, the n-day measure of Murphy, Vasios and Vause 2014, as a fraction: 0.5 is a rise by half.

    Raises:
        DomainError: INVALID_ARGUMENT unless every requirement is above 0 and there are more of them than `days`, which is 1 or more.
    """
    _check_requirements(requirement)
    require_argument(1 <= days < len(requirement), "days", days, f"1 to {len(requirement) - 1}")
    return max(0.0, float((requirement[days:] / requirement[:-days]).max()) - 1.0)


def _scaled_breaches(
    pnl: ByPathDay, value_at_risk: ByBacktestDay, expected_shortfall: ByBacktestDay
) -> tuple[ByPathDay, NDArray[np.int64]]:
    """Return pnl / ES on the days of a breach, 0 on the others, and the number of breaches of each path."""
    require_argument(bool((expected_shortfall > 0).all()), "expected_shortfall", float(expected_shortfall.min()), "above 0 on every day")
    breached = pnl < -value_at_risk
    return np.where(breached, pnl / expected_shortfall, 0.0), np.asarray(breached.sum(axis=-1))


def _counts(breached: BreachByBacktestDay) -> tuple[int, int]:
    """Return the number of days without a breach, and with one."""
    breaches = int(breached.sum())
    return len(breached) - breaches, breaches


def _best_log_likelihood(calm: int, breaches: int) -> float:
    return _log_likelihood(calm, breaches, breaches / max(1, calm + breaches))


def _log_likelihood(calm: int, breaches: int, probability: float) -> float:
    # 0 log 0 is 0: what never happened costs no likelihood.
    return float(xlogy(calm, 1.0 - probability) + xlogy(breaches, probability))


def _chi_squared(statistic: float, *, freedom: int) -> LikelihoodRatio:
    # A difference of two equal logarithms may fall below zero by its last bit.
    statistic = max(0.0, statistic)
    return LikelihoodRatio(statistic, float(chdtrc(freedom, statistic)))


def _check_counts(observations: int, breaches: int, expected_fraction: float) -> None:
    require_argument(observations >= 1, "observations", observations, "at least 1")
    require_argument(0 <= breaches <= observations, "breaches", breaches, f"0 to observations {observations}")
    require_argument(0 < expected_fraction < 1, "expected_fraction", expected_fraction, "between 0 and 1")


def _check_requirements(requirement: ByBacktestDay) -> None:
    require_argument(
        len(requirement) > 0 and bool((requirement > 0).all()), "requirement", requirement.tolist()[:5], "above 0 on every day"
    )
