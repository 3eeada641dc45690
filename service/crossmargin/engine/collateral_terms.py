"""What one holding of collateral counts for by itself, however it is split into a risked and a pledged amount."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.domain.instrument import BondTerms
from crossmargin.engine.collateral_limits import NO_ISSUER, house_cap, house_share, issuer_of, largest_counted
from crossmargin.engine.portfolio_arrays import HaircutRates, HaircutSchedule
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket


@dataclass(frozen=True, slots=True)
class Counted:
    """The part of a market value that counts, and the haircut on it. Base currency."""

    risked: float
    pledged: float
    haircut: float

    @property
    def value(self) -> float:
        """What it counts for."""
        return self.risked + self.pledged - self.haircut


@dataclass(frozen=True, slots=True)
class HoldingTerms:
    """Terms of one positive holding of an asset or bond. Base currency, fractions.

    Attributes:
        value: Market value. largest: Most of it that counts, by the limits that know nothing of the rest of the account.
        residual_fraction: Haircut on a risked amount.
        slices: (upper end, haircut fraction) of a pledged amount, FX mismatch included, lowest first; above the last nothing counts. Of
            policy RISKED there are none: what is not risked is left out.
        share_limit: Largest share of all that counts; inf for none.
        issuer: Place of its issuer among the limited ones, or NO_ISSUER.
    """

    value: float
    largest: float
    residual_fraction: float
    slices: tuple[tuple[float, float], ...]
    share_limit: float
    issuer: int

    def counted(self, risked_value: float) -> Counted:
        """Return what counts when `risked_value` is risked and the rest pledged.

        Under a limit that counts first which keeps most: the pledged slices with a haircut below the residual one, then the risked
        amount, then the other slices. So the value is the largest that the limit allows, and concave in the split.
        """
        return Counted(*self.parts(risked_value))

    def value_counted(self, risked_value: float) -> float:
        """Return what `counted` comes to: `Counted.value`, without the parts."""
        risked, pledged, haircut = self.parts(risked_value)
        return risked + pledged - haircut

    def pledged_slope(self, pledged_value: float) -> float:
        """Return what one more dollar of the holding counts for when it is pledged beside `pledged_value`."""
        if self.value > self.largest:
            return 0.0
        return next((1.0 - fraction for end, fraction in self.slices if pledged_value < end), 0.0)

    def bends(self) -> list[float]:
        """Return the risked values from nothing to all between which the value is linear, ascending."""
        value, largest = self.value, self.largest
        bends = {0.0, value, largest, value - largest}
        for end, _ in self.slices:
            bends.update((value - end, largest - end))
        return sorted([bend for bend in bends if 0.0 <= bend <= value])

    def parts(self, risked_value: float) -> tuple[float, float, float]:
        """Return `counted` as its three amounts."""
        pledged_value, largest = self.value - risked_value, self.largest
        first = min(pledged_value, self._better_pledged(), largest)
        risked = min(risked_value, largest - first)
        if not self.slices:
            return risked, 0.0, self.residual_fraction * risked
        pledged = first + min(pledged_value - first, largest - first - risked)
        return risked, pledged, self.residual_fraction * risked + tiered_haircut(pledged, self.slices)

    def _better_pledged(self) -> float:
        """Return how much keeps more when it is pledged than when it is risked."""
        better = 0.0
        for end, fraction in self.slices:
            if fraction < self.residual_fraction:
                better = max(better, end)
        return better


NOT_ELIGIBLE = HoldingTerms(0.0, 0.0, 0.0, (), math.inf, NO_ISSUER)


@dataclass(frozen=True, slots=True)
class Shares:
    """Where a holding stands among all of its kind.

    Attributes:
        units: Its own. owned: Those of its owner in accounts of the same mode. held_by_all: Those of all clients.
        owned_before: Those of its owner that tiers and limits serve before: of an isolated account, what the cross accounts hold.
    """

    units: float
    owned: float
    owned_before: float
    held_by_all: float

    def left_of(self, largest: float, unit_value: float) -> float:
        """Return the account's part of a market value that is the owner's: its share of what those before it have left."""
        share = self.units / self.owned if self.owned > 0 else 1.0
        return share * max(0.0, largest - self.owned_before * unit_value) if self.owned_before > 0 else share * largest


@dataclass(frozen=True, slots=True)
class InstrumentTerms:
    """What an asset or bond may count for at a market, whoever holds it. Base currency, fractions and units.

    Attributes:
        unit_value: Of one unit. largest: Market value of an owner's that counts at most. house_cap: Units that count over all clients.
        residual_fraction, share_limit, issuer: As of `HoldingTerms`; slices: likewise, of all that an owner holds.
    """

    unit_value: float
    largest: float
    house_cap: float
    residual_fraction: float
    slices: tuple[tuple[float, float], ...]
    share_limit: float
    issuer: int

    def of_holding(self, shares: Shares, *, is_pledgeable: bool) -> HoldingTerms:
        """Return the terms of one holding, without slices unless what is not risked of it is pledged.

        Tiers and limits are on what the owner holds over all accounts, so that splitting a holding gains nothing: cross accounts have
        their shares of them, and isolated ones their shares of what the cross accounts leave, so that no bucket ever changes its core.
        """
        market_value = shares.units * self.unit_value
        slices = self.slices if is_pledgeable else ()
        return HoldingTerms(
            value=market_value,
            largest=min(shares.left_of(self.largest, self.unit_value), house_share(self.house_cap, shares.held_by_all) * market_value),
            residual_fraction=self.residual_fraction,
            # By slice and at most the slice, so that no slice takes anything off the others.
            slices=tuple([(shares.left_of(end, self.unit_value), fraction) for end, fraction in slices]),
            share_limit=self.share_limit,
            issuer=self.issuer,
        )


def instrument_terms(row: int, rates: HaircutRates, market: RevaluedMarket, schedule: HaircutSchedule) -> InstrumentTerms:
    """Return the terms of the eligible instrument at `row` along axis I, whose row of the schedule is `rates`."""
    instrument = market.instruments[row]
    years = float(market.residual_years[row]) if isinstance(instrument.terms, BondTerms) else math.inf
    tiers = next(tiers for up_to_years, tiers in rates.bands if years <= up_to_years)
    # Translation days are zero for the base currency, so its own money never takes the mismatch haircut.
    mismatch = rates.fx_mismatch_fraction_per_root_day * math.sqrt(float(market.translation_days[row]))
    return InstrumentTerms(
        unit_value=float(market.unit_value[row]),
        largest=largest_counted(row, rates, schedule, market),
        house_cap=house_cap(row, rates, schedule, market),
        residual_fraction=rates.residual_haircut_fraction,
        slices=tuple((end, min(1.0, fraction + mismatch)) for end, fraction in tiers),
        share_limit=rates.share_limit_fraction,
        issuer=issuer_of(instrument, schedule),
    )


def tiered_haircut(value: float, tiers: Sequence[tuple[float, float]]) -> float:
    """Return the haircut on a market value: each slice takes its own fraction, and above the last end nothing counts.

    >>> tiered_haircut(150.0, ((100.0, 0.1), (200.0, 0.5)))
    35.0
    >>> tiered_haircut(300.0, ((100.0, 0.1), (200.0, 0.5)))
    160.0
    """
    taken, lower = 0.0, 0.0
    for upper, fraction in tiers:
        if value <= upper:
            return taken + fraction * max(0.0, value - lower)
        taken += fraction * (upper - lower)
        lower = upper
    return taken + (value - lower)
