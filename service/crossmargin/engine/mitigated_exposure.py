"""What is left of an exposure after collateral, under the comprehensive approach of Basel CRE22."""

from __future__ import annotations


def mitigated_exposure(
    *,
    exposure: float,
    collateral: float,
    exposure_haircut_fraction: float,
    collateral_haircut_fraction: float,
    currency_mismatch_fraction: float,
) -> float:
    """Return E* = max(0, E (1 + He) - C (1 - Hc - Hfx)) (Basel Framework, CRE22, comprehensive approach), zero or more.

    Money in one currency, zero or more; haircuts are fractions for one common holding period.

    >>> round(mitigated_exposure(
    ...     exposure=1000.0,
    ...     collateral=1100.0,
    ...     exposure_haircut_fraction=0.0,
    ...     collateral_haircut_fraction=0.06,
    ...     currency_mismatch_fraction=0.08,
    ... ), 9)
    54.0
    """
    secured = collateral * (1.0 - collateral_haircut_fraction - currency_mismatch_fraction)
    return max(0.0, exposure * (1.0 + exposure_haircut_fraction) - secured)
