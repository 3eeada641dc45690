"""Bills, bonds and notes laid out: what they ever pay, and what of it is left in a snapshot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import PER_HUNDRED, Instrument
from crossmargin.engine.axes import ByInstrument, Index
from crossmargin.engine.revaluation.bundle import Asked, Bundle, ClaimBundle, Members, PreparedKind, Preparer, Valued
from crossmargin.engine.revaluation.discounting import (
    Flows,
    Payments,
    credit_present_values,
    flows_of,
    present_values,
    spread_curve,
)
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, discount_curve
from crossmargin.engine.revaluation.valuation import attempt, expired


@dataclass(frozen=True, eq=False)
class Schedule:
    """All payments of one instrument, past ones too: the days [D], ascending, the last being its maturity, and amounts per 100 of face."""

    days: NDArray[np.datetime64]
    amounts: NDArray[np.float64]


def scheduled(schedule: Callable[[Instrument], Schedule]) -> Preparer:
    """Return the preparer of bills or bonds whose payments are known beforehand: 0.01 x price per unit of face, in the settlement asset.

    Time only takes payments away: a snapshot leaves out those of its own day and before. Instruments of one currency and one credit are
    valued together.
    """

    def prepare(members: Members) -> PreparedKind:
        return _AllOf(tuple(_scheduled(part, [schedule(each) for each in part.instruments]) for part in _by_discounting(members)))

    return prepare


def projected(remaining: Callable[[Instrument, ShockedMarket], Payments]) -> Preparer:
    """Return the preparer of notes whose payments depend on the snapshot; `remaining` returns them or raises INSTRUMENT_EXPIRED."""
    return lambda members: _AllOf(tuple(_Projected(part, remaining) for part in _by_discounting(members)))


@dataclass(frozen=True, eq=False)
class _Discounted:
    """Bills or bonds of one currency and one credit."""

    members: Members

    @property
    def settlement(self) -> InstrumentId:
        return self.members.instruments[0].settlement

    def bundle(self, places: Index, flows: Flows, market: ShockedMarket, asked: Asked) -> Bundle:
        """Return the valuation of those at some places, whose payments are `flows`."""
        rows = self.members.rows[places]
        return Bundle(
            rows=rows,
            settlement=self.settlement,
            claims=self._claims(flows, asked.mark[rows], market),
            residual_years=np.maximum.reduceat(flows.years[flows.column], flows.starts[:-1]),
            notional=np.ones((len(rows), len(market.bases))),
        )

    def _claims(self, flows: Flows, marks: ByInstrument, market: ShockedMarket) -> tuple[ClaimBundle, ...]:
        """Return what rates do as one claim; with credit, what that does on top of it as another."""
        zero, spread = discount_curve(market.assets[self.settlement]), spread_curve(self.members.instruments[0])
        group, unit = market.curve_group(zero), float(PER_HUNDRED)
        if spread is None:
            prices = present_values(market.curve(zero), flows, marks)
            prices *= unit
            return (ClaimBundle(self.settlement, prices, group),)
        prices, calm = credit_present_values(market.curve(zero), market.curve(spread), market.base_of, flows, marks)
        by_credit = unit * (prices - calm)
        return (
            ClaimBundle(self.settlement, unit * calm, group),
            ClaimBundle(self.settlement, by_credit, market.curve_group(spread), exposure=unit * prices[:, market.bases]),
        )

    def readable(self, place: int, payments: Payments, market: ShockedMarket) -> Payments:
        """Return the payments of one if every node of the curves that they need has scenarios."""
        return _readable(self.members.instruments[place], market, payments)


@dataclass(frozen=True, eq=False)
class _Projected(_Discounted):
    """Notes: their payments are read with every snapshot."""

    remaining: Callable[[Instrument, ShockedMarket], Payments]

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        valued, places, payments = Valued(), list[int](), list[Payments]()
        for place in np.flatnonzero(asked.is_valued[self.members.rows]).tolist():
            found = attempt(self._payments, place, market)
            if isinstance(found, DomainError):
                valued.errors[int(self.members.rows[place])] = found
            else:
                places.append(place)
                payments.append(found)
        if places:
            valued.bundles.append(self.bundle(np.array(places), flows_of(payments), market, asked))
        return valued

    def _payments(self, place: int, market: ShockedMarket) -> Payments:
        return self.readable(place, self.remaining(self.members.instruments[place], market), market)


@dataclass(frozen=True, eq=False)
class _Scheduled(_Discounted):
    """Bills or bonds with all that they ever pay.

    Attributes:
        days: [T] the distinct days, ascending. column: [D] the day of each payment among them.
        amounts: [D] per 100 of face. owner: [D] the place of the instrument among the members.
        maturity: [I].
    """

    days: NDArray[np.datetime64]
    column: Index
    amounts: NDArray[np.float64]
    owner: Index
    maturity: NDArray[np.datetime64]

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        valued = Valued()
        today = np.datetime64(market.as_of.date(), "D")
        is_left = asked.is_valued[self.members.rows]
        for place in np.flatnonzero(is_left & (self.maturity <= today)).tolist():
            ended = self.maturity[place].astype(object)
            valued.errors[int(self.members.rows[place])] = expired(self.members.instruments[place], ended=ended, as_of=market.as_of)
        is_left &= self.maturity > today
        if is_left.any():
            is_left &= self._is_readable(is_left, valued, market)
        if is_left.any():
            flows = self._flows(is_left, market)
            valued.bundles.append(self.bundle(np.flatnonzero(is_left), flows, market, asked))
        return valued

    def _is_readable(self, is_left: NDArray[np.bool_], valued: Valued, market: ShockedMarket) -> NDArray[np.bool_]:
        """Return [I] which can be valued from the curves, and add the errors of the others."""
        if attempt(self._are_curves_whole, self.settlement, market) is True:
            return is_left
        is_readable = np.zeros_like(is_left)
        for place in np.flatnonzero(is_left).tolist():
            found = attempt(self._payments, place, market)
            is_readable[place] = isinstance(found, Payments)
            if isinstance(found, DomainError):
                valued.errors[int(self.members.rows[place])] = found
        return is_readable

    def _payments(self, place: int, market: ShockedMarket) -> Payments:
        flows = self._flows(np.arange(len(self.members.rows)) == place, market)
        return self.readable(place, Payments(flows.years[flows.column], flows.amounts), market)

    def _are_curves_whole(self, settlement: InstrumentId, market: ShockedMarket) -> bool:
        """Return whether every node of the curves has scenarios, so that there is nothing to ask of one instrument."""
        names = [discount_curve(market.assets[settlement]), spread_curve(self.members.instruments[0])]
        curves = [market.curve(name) for name in names if name is not None]
        for name in names:
            if name is not None:
                market.curve_group(name)
        return not any(curve.unavailable for curve in curves)

    def _flows(self, is_left: NDArray[np.bool_], market: ShockedMarket) -> Flows:
        """Return what some of the instruments still pay after the snapshot's day."""
        is_later = self.days > np.datetime64(market.as_of.date(), "D")
        kept = is_left[self.owner] & is_later[self.column]
        column, owner = self.column[kept], self.owner[kept]
        is_used = np.zeros(len(self.days), dtype=np.bool_)
        is_used[column] = True
        years = market.years_until_days(self.days[is_used])
        counts = np.bincount(owner, minlength=len(is_left))[is_left]
        return Flows(
            years=years,
            paid_years=years,
            column=(np.cumsum(is_used) - 1)[column],
            amounts=self.amounts[kept],
            starts=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )


def _scheduled(members: Members, schedules: Sequence[Schedule]) -> _Scheduled:
    days, column = np.unique(np.concatenate([each.days for each in schedules]), return_inverse=True)
    return _Scheduled(
        members,
        days=days,
        column=column,
        amounts=np.concatenate([each.amounts for each in schedules]),
        owner=np.repeat(np.arange(len(schedules)), [len(each.days) for each in schedules]),
        maturity=np.array([each.days[-1] for each in schedules]),
    )


@dataclass(frozen=True, eq=False)
class _AllOf:
    parts: tuple[PreparedKind, ...]

    def value(self, market: ShockedMarket, asked: Asked) -> Valued:
        valued = Valued()
        for part in self.parts:
            valued.add(part.value(market, asked))
        return valued


def _by_discounting(members: Members) -> list[Members]:
    places: defaultdict[tuple[InstrumentId, str | None], list[int]] = defaultdict(list)
    for place, instrument in enumerate(members.instruments):
        places[instrument.settlement, spread_curve(instrument)].append(place)
    return [Members(tuple(members.instruments[place] for place in each), members.rows[each]) for each in places.values()]


def _readable(instrument: Instrument, market: ShockedMarket, payments: Payments) -> Payments:
    """Return the payments if every node of the curves that they need has scenarios."""
    curve, spread = discount_curve(market.assets[instrument.settlement]), spread_curve(instrument)
    market.curve(curve).check(payments.years)
    market.curve_group(curve)
    if spread is not None:
        market.curve(spread).check(payments.paid_years)
        market.curve_group(spread)
    return payments
