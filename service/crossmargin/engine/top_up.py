"""The cheapest mix of what can be delivered that brings a gain to zero: a linear program, cut by cut against what the mixes really gain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Fractions: TypeAlias = NDArray[np.float64]
"""[O] of each offer, the fraction of all of it that is delivered, from 0 to 1."""
Gain: TypeAlias = Callable[[Fractions], float]
"""Dollars by which a mix is past the target; below zero is what is missing."""
_Link: TypeAlias = tuple[NDArray[np.float64], list[float], list[float]]
"""Rows of a program, and the least and most that each may come to."""

MOST_ROUNDS: Final = 16
"""Of the program: each looks at one more mix, and at a step from it along every offer."""
CLOSE_ENOUGH: Final = 1e-4
"""Of what is missing at first: a mix that gains what was foreseen, but for this, is the best of those that do not reach the target."""
_STEP: Final = 0.03
"""Of what is missing at first: how far a slope looks ahead; well above what AUTO leaves open of an excess."""
_SHORT_STEP: Final = 0.1
"""Of that step: where a limit begins within it, the slope before tells more of what is far away."""
_ASIDE: Final = 0.01
"""The same, of how far beside a mix its plane touches: where limits and tiers begin, at no item and at whole lots most of all, slopes along
the items say nothing of what two of them gain together."""
_SPREAD: Final = 0.618
"""So that no two items are moved by the same: any number that is no simple fraction does."""
_TIE: Final = 1e-6
"""Of the highest cost: what a dollar of market value costs on top, so that of two mixes that cost the same the smaller one is taken."""
_PENALTY: Final = 1e4
"""Times the highest cost of a dollar: what a missing dollar costs. What counts for less than one part in so many is never delivered."""
_MOST_LOTS: Final = 10_000
"""More lots than these are as good as no lots."""
_NOISE: Final = 1e-6
_HALF_A_CENT: Final = 0.005
_DUST: Final = 2e-4
"""Of what is missing at first: less of an item is not worth a delivery."""
_SPARED: Final = 1e-3
"""Of its cost: a mix of one offer alone has to be cheaper by so much to be looked at."""
_HALVINGS: Final = 10
_MOST_TURNS: Final = 24
_TIME_LIMIT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be delivered of one thing. Base currency; fractions of all of it.

    Attributes:
        value: Market value of all of it, more than zero. cost: Of delivering all of it, zero or more.
        step: Deliveries are whole multiples of it, or all. least: Nothing between zero and this is delivered.
    """

    value: float
    cost: float
    step: float
    least: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """What to deliver.

    Attributes:
        counts: [O] in steps of each offer; `fractions`: the same as fractions of all of it.
        gain: What it gains. cost: what it costs. bound: no mix that was foreseen to be enough costs less.
    """

    counts: tuple[int, ...]
    fractions: Fractions
    gain: float
    cost: float
    bound: float


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """A plane that the gain nowhere exceeds, as far as it is concave: at + slope (z - fractions)."""

    fractions: Fractions
    at: float
    slope: Fractions


class MixSearch:
    """Mixes of some offers, with all that is known of what they gain.

    More of a thing counts for less and less: tiers, limits and tail means all bend one way. So the gain is concave in what is delivered, as
    far as the charges do not bend it, and every mix that was looked at gives a plane above all of it (Kelley 1960, "The cutting-plane
    method for solving convex programs"). The cheapest mix under all planes is a linear program, with whole numbers for lots and for least
    deliveries; it is looked at in turn, until one is enough. What is said to be enough was looked at.
    """

    def __init__(self, offers: Sequence[Offer], gain: Gain) -> None:
        self._offers, self._gain = offers, gain
        self._known: dict[tuple[float, ...], float] = {}
        self._value = np.array([offer.value for offer in offers])
        self._cost = np.array([offer.cost for offer in offers])
        rate = self._cost / self._value
        self._dearest = float(rate.max()) or 1.0
        self._price = rate / self._dearest + _TIE
        self._scale = max(-self._gain_of(np.zeros(len(offers))), 1.0)
        self._cuts: list[_Cut] = []

    def solve(self, required: float = 0.0) -> Mix:
        """Return the cheapest mix found that gains at least `required`; the one that gains the most, if none does."""
        if not self._cuts:
            self._cut(np.zeros(len(self._offers)))
            # A plane that is too low shows far away, and is lifted.
            for far in (*np.eye(len(self._offers)), np.ones(len(self._offers))):
                self._gain_of(far)
        best, bound, foreseen, tolerance, seen = None, 0.0, 0.0, CLOSE_ENOUGH * self._scale, set[tuple[int, ...]]()
        for _ in range(MOST_ROUNDS):
            fractions, short = self._relaxed(required)
            mix, bound, foreseen = self._fitted(fractions), float(self._cost @ fractions), self._weight_of(fractions)
            best = self._better(best, mix, required)
            cannot = short > tolerance and mix.gain - required >= -short - tolerance
            # What is enough lifts planes that hid something cheaper, so it is asked again until nothing cheaper is foreseen.
            is_best = best.gain >= required and self._is_foreseen(best, foreseen)
            if cannot or is_best or mix.counts in seen:
                break
            seen.add(mix.counts)
            if mix.gain < required:
                self._cut(mix.fractions)
        found = self._enough(best, required)
        if found.gain < required:
            found = self._trimmed(found, found.gain - _HALF_A_CENT)
        else:
            found = self._trimmed(found, required) if found.gain - required > tolerance / 2 else found
            found = found if self._is_foreseen(found, foreseen) else self._exchanged(found, required)
            found = self._alone(found, required)
        return replace(found, bound=min(bound, found.cost))

    def _gain_of(self, fractions: Fractions) -> float:
        key = tuple(np.round(fractions, 12).tolist())
        if key not in self._known:
            self._known[key] = self._gain(fractions)
        return self._known[key]

    def _cut(self, fractions: Fractions) -> None:
        """Add the plane that touches the gain beside a mix."""
        step, count = self._scale / self._value, len(self._offers)
        aside = _ASIDE * step * (1.0 + np.modf(_SPREAD * np.arange(count))[0])
        beside = np.where(fractions + aside <= 1.0, fractions + aside, np.maximum(fractions - aside, 0.0))
        slope = np.array([self._slope(beside, place, _STEP * float(step[place])) for place in range(count)])
        self._cuts.append(_Cut(beside, self._gain_of(beside), slope))

    def _slope(self, at: Fractions, place: int, wanted: float) -> float:
        """Return the slope along one offer, from a step and from a tenth of it: the one that leaves the plane higher."""
        slopes = []
        for part in (1.0, _SHORT_STEP):
            reach = self._reach(float(at[place]), part * wanted)
            moved = at.copy()
            moved[place] += reach
            slopes.append((self._gain_of(moved) - self._gain_of(at)) / reach)
        return max(slopes) if reach > 0 else min(slopes)

    def _planes(self) -> list[_Cut]:
        """Return the planes, lifted over every mix that is known to gain more: a plane is above the gain or it is none."""
        known = np.array(list(self._known))
        gains = np.array(list(self._known.values()))
        return [
            replace(cut, at=cut.at + max(0.0, float((gains - cut.at - (known - cut.fractions) @ cut.slope).max()))) for cut in self._cuts
        ]

    @staticmethod
    def _reach(fraction: float, wanted: float) -> float:
        """Return a step of about the size wanted that stays between nothing and all: ahead if there is room."""
        if fraction + wanted <= 1.0:
            return wanted
        if fraction >= wanted:
            return -wanted
        return 1.0 - fraction if fraction <= 0.5 else -fraction

    def _relaxed(self, required: float) -> tuple[Fractions, float]:
        """Return the cheapest mix under all planes, and the dollars that even the planes leave missing.

        Variables: the fractions, for offers with a least delivery whether anything is delivered, for offers in lots how many, and last what
        is missing in units of the scale.
        """
        count, cuts = len(self._offers), self._planes()
        some = [place for place, offer in enumerate(self._offers) if offer.least > 0.0]
        whole = [place for place, offer in enumerate(self._offers) if self._lots(offer) <= _MOST_LOTS]
        size = count + len(some) + len(whole) + 1
        price, most, is_whole = np.zeros(size), np.ones(size), np.zeros(size, dtype=np.int64)
        price[:count] = self._value / self._value.max() * self._price
        price[-1] = _PENALTY * self._scale / self._value.max()
        most[count + len(some) : -1] = [self._lots(self._offers[place]) for place in whole]
        most[-1] = np.inf
        is_whole[count:-1] = 1
        planes = np.zeros((len(cuts), size))
        planes[:, :count] = np.array([cut.slope for cut in cuts]) / self._scale
        planes[:, -1] = 1.0
        least = np.array([required - cut.at + float(cut.slope @ cut.fractions) for cut in cuts]) / self._scale
        # A tenth of a second that a start does not wait for.
        from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415

        solved = milp(
            price,
            integrality=is_whole,
            bounds=Bounds(np.zeros(size), most),
            constraints=[LinearConstraint(planes, least, np.inf), *(LinearConstraint(*link) for link in self._links(some, whole, size))],
            options={"time_limit": _TIME_LIMIT_S, "mip_rel_gap": _NOISE},
        )
        if solved.x is None:
            raise ArithmeticError(f"no mix was found under {len(cuts)} planes: {solved.message}")
        return np.clip(solved.x[:count], 0.0, 1.0), float(solved.x[-1]) * self._scale

    def _links(
        self, some: Sequence[int], whole: Sequence[int], size: int
    ) -> Iterator[tuple[NDArray[np.float64], list[float], list[float]]]:
        """Yield what ties the whole numbers to the fractions, rows and what is between their bounds: least y <= z <= y, and z = step n."""
        count = len(self._offers)
        for number, place in enumerate(some, start=count):
            row = np.zeros((2, size))
            row[:, place] = 1.0
            row[:, number] = -1.0, -self._offers[place].least
            yield row, [-np.inf, 0.0], [0.0, np.inf]
        for number, place in enumerate(whole, start=count + len(some)):
            row = np.zeros((1, size))
            row[0, [place, number]] = 1.0, -self._offers[place].step
            yield row, [0.0], [0.0]

    @staticmethod
    def _lots(offer: Offer) -> int:
        return round(1.0 / offer.step)

    def _fitted(self, fractions: Fractions) -> Mix:
        """Return a mix in whole steps, none below its least: rounded up, but for the noise of the program."""
        counts = []
        for fraction, offer in zip(fractions.tolist(), self._offers, strict=True):
            wanted = 0.0 if fraction * offer.value < _DUST * self._scale else max(fraction, offer.least)
            counts.append(min(int(np.ceil(wanted / offer.step - _NOISE)), int(np.ceil(1.0 / offer.step - _NOISE))))
        return self._mix(counts)

    def _mix(self, counts: Sequence[int]) -> Mix:
        fractions = np.minimum(np.array([each * offer.step for each, offer in zip(counts, self._offers, strict=True)]), 1.0)
        return Mix(tuple(counts), fractions, self._gain_of(fractions), float(self._cost @ fractions), 0.0)

    def _better(self, one: Mix | None, other: Mix, required: float) -> Mix:
        """Return the cheaper of two that are enough, the one that is enough, or the one that gains more."""
        if one is None:
            return other
        if one.gain >= required and other.gain >= required:
            return min((one, other), key=self._weight)
        return max((one, other), key=lambda mix: mix.gain)

    def _is_foreseen(self, mix: Mix, foreseen: float) -> bool:
        return self._weight(mix) <= foreseen * (1.0 + CLOSE_ENOUGH)

    def _weight(self, mix: Mix) -> float:
        return self._weight_of(mix.fractions)

    def _weight_of(self, fractions: Fractions) -> float:
        """Return what the search makes as small as it can: the cost, and a little of the market value."""
        return float((self._value * self._price) @ fractions)

    def _enough(self, best: Mix | None, required: float) -> Mix:
        """Return the best mix known, stretched towards everything where that is what is needed to be enough."""
        everything = self._fitted(np.ones(len(self._offers)))
        if best is None or best.gain >= required:
            return best or everything
        if everything.gain < required:
            return self._better(best, everything, required)
        short, enough, found = 0.0, 1.0, everything
        for _ in range(_HALVINGS):
            middle = (short + enough) / 2
            mix = self._fitted(best.fractions + middle * (1.0 - best.fractions))
            short, enough = (short, middle) if mix.gain >= required else (middle, enough)
            found = self._better(found, mix, required) if mix.gain >= required else found
        return found

    def _trimmed(self, mix: Mix, required: float) -> Mix:
        """Return a mix that gains what is required without what it has too much of, the dearest first."""
        for place in sorted(np.flatnonzero(mix.fractions).tolist(), key=lambda one: -self._price[one]):
            mix = self._fewest(mix, place, required)
        return mix

    def _fewest(self, mix: Mix, place: int, required: float) -> Mix:
        """Return the mix with the fewest steps of one offer that are enough, the other offers as they are; one that is enough is."""
        offer, enough = self._offers[place], mix
        short = self._with(mix, place, 0)
        if short.gain >= required:
            return short
        least = int(np.ceil(offer.least / offer.step - _NOISE))
        if least > 0:
            short = self._with(mix, place, min(least, mix.counts[place]))
            if short.gain >= required:
                return short
        for turn in range(_MOST_TURNS):
            low, high = short.counts[place], enough.counts[place]
            if high - low < 2 or (high - low) * offer.step * offer.value < CLOSE_ENOUGH * self._scale:
                break
            # The gain is nearly a straight line between the two; every other time the middle, in case it is not.
            reach = (required - short.gain) / (enough.gain - short.gain) if turn % 2 == 0 else 0.5
            tried = self._with(mix, place, min(max(low + int(np.ceil(reach * (high - low))), low + 1), high - 1))
            short, enough = (short, tried) if tried.gain >= required else (tried, enough)
        return enough

    def _with(self, mix: Mix, place: int, count: int) -> Mix:
        return self._mix([*mix.counts[:place], count, *mix.counts[place + 1 :]])

    def _exchanged(self, mix: Mix, required: float) -> Mix:
        """Return a mix with more of one offer and less of another, or none, if that is cheaper: for gains that no plane describes."""
        best = mix
        for more, less in permutations(range(len(self._offers)), 2):
            fuller = self._with(best, more, int(np.ceil(1.0 / self._offers[more].step - _NOISE)))
            without = self._with(fuller, less, 0)
            if not best.counts[less] or fuller.gain < required:
                continue
            changed = self._fewest(without, more, required) if without.gain >= required else self._fewest(fuller, less, required)
            best = self._better(best, changed, required)
        return best

    def _alone(self, mix: Mix, required: float) -> Mix:
        """Return one offer alone, if that is enough and cheaper: where charges bend the gain, the planes may have hidden it."""
        best = mix
        for place, offer in enumerate(self._offers):
            cost = float(self._price[place] * offer.value)
            spared = (1.0 - _SPARED) * self._weight(best)
            reach = min(1.0, spared / cost)
            counts = [0] * len(self._offers)
            counts[place] = int(np.floor(reach / offer.step + _NOISE))
            if best.gain < required or counts[place] * offer.step < max(offer.least, _NOISE):
                continue
            alone = self._mix(counts)
            if alone.gain >= required:
                best = self._fewest(alone, place, required)
        return best
