"""How much an account could be exposed to, at most, once its open orders have done what they may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

import numpy as np

from crossmargin.domain.exposure_limits import ExposureUsage
from crossmargin.domain.position import Position
from crossmargin.engine.axes import ByInstrument
from crossmargin.engine.portfolio_arrays import cents_to_decimal, position_arrays, requirement_to_cents
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True, eq=False)
class HoldingRange:
    """What may be held: along axis I the least and the most of each instrument."""

    low: ByInstrument
    high: ByInstrument

    @classmethod
    def of(cls, positions: Iterable[Position], blocks: Iterable[Sequence[Position]], market: RevaluedMarket) -> Self:
        """Return the range from what is held and the changes that may or may not come; raises as `position_arrays`."""
        rows, quantity = position_arrays(positions, market)
        held = np.zeros(len(market.instruments))
        np.add.at(held, rows, quantity)
        low, high = held.copy(), held.copy()
        rows, change = position_arrays((change for block in blocks for change in block), market)
        np.add.at(low, rows, np.minimum(change, 0.0))
        np.add.at(high, rows, np.maximum(change, 0.0))
        return cls(low, high)


def exposure_usage(held: HoldingRange, market: RevaluedMarket) -> ExposureUsage:
    """Return the largest gross, net and group exposures of any holdings in the range. Rounded up to the cent.

    Exposures are delta-equivalent, as charges take them. Each is linear in what is held of one instrument, or its absolute value, so
    the largest is at an end of each instrument's range, whatever the others do.
    """
    at_low = held.low[market.leg_instrument] * market.leg_exposure
    at_high = held.high[market.leg_instrument] * market.leg_exposure
    gross = float(np.maximum(np.abs(at_low), np.abs(at_high)).sum())
    group_count = len(market.groups)
    most = np.bincount(market.leg_group, weights=np.maximum(at_low, at_high), minlength=group_count)
    least = np.bincount(market.leg_group, weights=np.minimum(at_low, at_high), minlength=group_count)
    by_group = np.maximum(np.abs(most), np.abs(least))
    return ExposureUsage(
        gross=_money(gross, gross),
        net=_money(_net(held, market), gross),
        groups={group: _money(float(amount), gross) for group, amount in zip(market.groups, by_group, strict=True) if amount},
    )


def notional_of(order: Position, market: RevaluedMarket) -> Decimal:
    """Return the absolute notional of a change in one instrument, base currency, rounded up to the cent; raises as `position_arrays`."""
    rows, quantity = position_arrays([order], market)
    notional = float(abs(quantity[0]) * market.notional_unit[rows[0]])
    return _money(notional, notional)


def market_value_of(holding: Position, market: RevaluedMarket) -> Decimal:
    """Return the absolute market value of a holding, base currency, rounded up to the cent; raises as `position_arrays`."""
    rows, quantity = position_arrays([holding], market)
    value = float(abs(quantity[0] * market.unit_value[rows[0]]))
    return _money(value, value)


def _net(held: HoldingRange, market: RevaluedMarket) -> float:
    unit = np.bincount(market.leg_instrument, weights=market.leg_exposure, minlength=len(market.instruments))
    at_low, at_high = held.low * unit, held.high * unit
    return float(max(abs(np.maximum(at_low, at_high).sum()), abs(np.minimum(at_low, at_high).sum())))


def _money(amount: float, scale: float) -> Decimal:
    return cents_to_decimal(requirement_to_cents(amount, scale=scale))
