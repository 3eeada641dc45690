"""Fixed initial and maintenance rates per instrument, as exchanges state them by leverage, and the check of one isolated bucket."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.engine.axes import ByHolding
from crossmargin.engine.methodologies.parameter_checks import require_parameter


@dataclass(frozen=True, slots=True)
class RatioRate:
    """Rates of one instrument as fractions of its absolute notional; 0.1 is a leverage of ten, above 1 is more than its value."""

    initial_fraction: float
    maintenance_fraction: float

    def __post_init__(self) -> None:
        require_parameter(self.maintenance_fraction >= 0, "maintenance_fraction", self.maintenance_fraction, "zero or more")
        require_parameter(
            self.initial_fraction >= self.maintenance_fraction,
            "initial_fraction",
            self.initial_fraction,
            f"at least maintenance_fraction {self.maintenance_fraction}",
        )


@dataclass(frozen=True, eq=False)
class RatioParameters:
    """Rates by instrument."""

    rates: Mapping[InstrumentId, RatioRate]

    def rate_of(self, instrument_id: InstrumentId) -> RatioRate:
        """Return the rates of an instrument.

        Raises:
            DomainError: INVALID_RISK_PARAMETERS for an instrument without rates.
        """
        try:
            return self.rates[instrument_id]
        except KeyError:
            raise DomainError(
                Reason.INVALID_RISK_PARAMETERS,
                f"instrument {instrument_id} has no margin rates; add its initial and maintenance fraction",
                instrument=instrument_id,
            ) from None


@dataclass(frozen=True, slots=True)
class RatioMargin:
    """Initial and maintenance margin of one account, base currency, zero or more."""

    initial: float
    maintenance: float


@dataclass(frozen=True, slots=True)
class BucketCheck:
    """Whether what is in a bucket covers what the bucket needs. Base currency.

    Attributes:
        equity: Collateral and profit.
        excess: Equity less requirement; negative is a deficit.
        client_loss: What the client has lost, at most the collateral: the rest of the client's money is outside the bucket.
        gap_loss: Equity below zero, which the broker bears in an isolated bucket.
    """

    equity: float
    excess: float
    client_loss: float
    gap_loss: float

    @property
    def is_covered(self) -> bool:
        """Whether the equity meets the requirement."""
        return self.excess >= 0.0


def ratio_margin(instruments: Sequence[InstrumentId], notional: ByHolding, parameters: RatioParameters) -> RatioMargin:
    """Return the sum of |notional| x rate over the holdings: long and short add up, nothing offsets.

    Args:
        instruments: [H] one id for each holding.
        notional: [H] quantity x multiplier x mark, base currency, any sign.
        parameters: The rates.

    Raises:
        DomainError: INVALID_RISK_PARAMETERS for an instrument without rates.
    """
    rates = [parameters.rate_of(instrument_id) for instrument_id in instruments]
    without_limit = np.full(len(rates), np.inf)
    return RatioMargin(
        initial=float(holding_margins(notional, np.array([rate.initial_fraction for rate in rates]), without_limit).sum()),
        maintenance=float(holding_margins(notional, np.array([rate.maintenance_fraction for rate in rates]), without_limit).sum()),
    )


def holding_margins(notional: ByHolding, rate_fraction: ByHolding, most_at_stake: ByHolding) -> ByHolding:
    """Return [H] |notional| x rate of each holding, and no more than all that can be lost on it; base currency.

    >>> holding_margins(np.array([1000.0, -500.0]), np.full(2, 0.1), np.array([30.0, np.inf])).tolist()
    [30.0, 50.0]
    """
    margins: ByHolding = np.minimum(np.abs(notional) * rate_fraction, most_at_stake)
    return margins


def check_bucket(*, collateral: float, pnl: float, requirement: float) -> BucketCheck:
    """Return how a bucket stands with `collateral` moved in and a profit or loss of `pnl` on its positions.

    Args:
        collateral: Zero or more, base currency.
        pnl: Positive when the client gains, base currency.
        requirement: Zero or more, base currency: its initial margin before new risk, its maintenance margin for the line.

    >>> check_bucket(collateral=100.0, pnl=-1000.0, requirement=1000.0)
    BucketCheck(equity=-900.0, excess=-1900.0, client_loss=100.0, gap_loss=900.0)
    """
    equity = collateral + pnl
    return BucketCheck(
        equity=equity,
        excess=equity - requirement,
        client_loss=min(max(0.0, -pnl), collateral),
        gap_loss=max(0.0, -equity),
    )
