"""The border between exact decimals and float64: every crossing, in both directions, each with its rounding."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy, CollateralTerms
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.money import EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByHolding, Index
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

SLACK_FRACTION: Final = 1e-12
"""Float noise of a sum, as a fraction of the absolute amounts that went into it: some thousand times what float64 sums really lose."""
LARGEST_SLACK: Final = 0.001
"""Base currency: a tenth of a cent, so that slack never swallows money that shows."""

_FRACTION_UNIT: Final = Decimal("0.000001")


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioArrays:
    """One account's holdings along axis H, in the order of the portfolio.

    Attributes:
        holdings: What is held, exactly. instruments: Its terms.
        policies: How each would count as collateral if it is positive and an asset or bond.
        row: [H] row of the instrument along the market's axis I.
        quantity: [H] signed units. cost: [H] in units of the settlement asset.
    """

    holdings: tuple[Holding, ...]
    instruments: tuple[Instrument, ...]
    policies: tuple[CollateralPolicy, ...]
    row: Index
    quantity: ByHolding
    cost: ByHolding


@dataclass(frozen=True, slots=True)
class MarginRates:
    """Parameters of the market requirement. `offset_within_class` is rho1, `offset_across_classes` rho2, `tail_fraction` alpha."""

    tail_fraction: float
    offset_within_class: float
    offset_across_classes: float


@dataclass(frozen=True, slots=True)
class HaircutRates:
    """One row of the haircut schedule. Fractions, years and base currency; inf where there is no limit or end.

    Attributes:
        bands: Longest residual maturity in years, and tiers of (upper end, haircut fraction); shortest band first.
        fx_mismatch_fraction_per_root_day: Extra haircut on pledged value, to be multiplied by the square root of the translation days.
    """

    residual_haircut_fraction: float
    bands: tuple[tuple[float, tuple[tuple[float, float], ...]], ...]
    share_limit_fraction: float
    absolute_limit: float
    fx_mismatch_fraction_per_root_day: float


def portfolio_arrays(portfolio: Portfolio, market: RevaluedMarket) -> PortfolioArrays:
    """Return the holdings as arrays. Decimals become the nearest float64.

    Raises:
        DomainError: For a holding that the market could not value, with the market's own reason; UNKNOWN_INSTRUMENT for one that the
            market has never heard of. The message names account and instrument.
    """
    row_of, names = market.row_of, [holding.instrument_id for holding in portfolio.holdings]
    try:
        rows = [row_of[name] for name in names]
    except KeyError as missing:
        raise _not_valued(portfolio.account, missing.args[0], market) from None
    return PortfolioArrays(
        holdings=portfolio.holdings,
        instruments=tuple(market.instruments[row] for row in rows),
        policies=tuple(portfolio.policies.get(name, CollateralPolicy.RISKED) for name in names),
        row=np.array(rows, dtype=np.int64),
        quantity=np.array([float(holding.quantity) for holding in portfolio.holdings]),
        cost=np.array([float(holding.cost) for holding in portfolio.holdings]),
    )


def margin_rates(parameters: RiskParameters, mode: AccountMode) -> MarginRates:
    """Return the rates of an account of this mode. Inside an isolated account all diversification is recognised."""
    if mode is AccountMode.ISOLATED:
        return MarginRates(float(parameters.tail_fraction), 1.0, 1.0)
    return MarginRates(float(parameters.tail_fraction), float(parameters.offset_within_class), float(parameters.offset_across_classes))


@lru_cache(maxsize=8)
def haircut_rates(parameters: RiskParameters) -> Mapping[str, HaircutRates]:
    """Return the haircut schedule by collateral class. Remembered, because every account of a house run asks for it."""
    per_root_day = float(parameters.fx_mismatch_haircut_fraction) / math.sqrt(parameters.fx_mismatch_days)
    return {name: _haircut_row(terms, per_root_day) for name, terms in parameters.haircut_schedule.items()}


def requirement_to_cents(amount: float, *, scale: float) -> int:
    """Return a requirement in whole cents, rounded up.

    `scale` is the sum of the absolute amounts behind the figure. A figure within its float noise above a whole cent is that cent: 11.15
    that came out as 11.150000000000002 stays 11.15, and what is rounded away is always less than a tenth of a cent.

    >>> requirement_to_cents(11.150000000000002, scale=35.0), requirement_to_cents(11.1501, scale=35.0)
    (1115, 1116)
    """
    return math.ceil((amount - _slack(scale)) * 100)


def client_value_to_cents(amount: float, *, scale: float) -> int:
    """Return a value of the client's in whole cents, rounded down; within float noise below a whole cent it is that cent.

    >>> client_value_to_cents(0.29, scale=0.29), client_value_to_cents(-0.291, scale=0.291)
    (29, -30)
    """
    return math.floor((amount + _slack(scale)) * 100)


def cents_to_decimal(cents: int) -> Decimal:
    """Return whole cents as money.

    >>> cents_to_decimal(1115)
    Decimal('11.15')
    """
    return Decimal(cents).scaleb(-2, EXACT)


def fraction_to_decimal(fraction: float) -> Decimal:
    """Return a fraction, a count or a move with six places, the nearest.

    >>> fraction_to_decimal(0.1234567)
    Decimal('0.123457')
    """
    return EXACT.quantize(Decimal(fraction), _FRACTION_UNIT)


def _slack(scale: float) -> float:
    return min(SLACK_FRACTION * scale, LARGEST_SLACK)


def _haircut_row(terms: CollateralTerms, per_root_day: float) -> HaircutRates:
    return HaircutRates(
        residual_haircut_fraction=float(terms.residual_haircut_fraction),
        bands=tuple(
            (_or_infinite(band.up_to_years), tuple((_or_infinite(tier.up_to), float(tier.haircut_fraction)) for tier in band.tiers))
            for band in terms.bands
        ),
        share_limit_fraction=_or_infinite(terms.share_limit_fraction),
        absolute_limit=_or_infinite(terms.absolute_limit),
        fx_mismatch_fraction_per_root_day=per_root_day if terms.has_fx_mismatch else 0.0,
    )


def _or_infinite(limit: Decimal | None) -> float:
    return math.inf if limit is None else float(limit)


def _not_valued(account: AccountRef, name: InstrumentId, market: RevaluedMarket) -> DomainError:
    if name in market.unavailable:
        cause = market.unavailable[name]
        facts = {**cause.facts, "account": account, "instrument": name}
        return DomainError(cause.reason, f"{account} holds {name}, which cannot be valued: {cause.message}", **facts)
    return DomainError(
        Reason.UNKNOWN_INSTRUMENT,
        f"{account} holds {name}, which is not in the market revalued from snapshot {market.snapshot_id}; "
        "create the instrument and revalue the market",
        account=account,
        instrument=name,
        snapshot=market.snapshot_id,
    )
