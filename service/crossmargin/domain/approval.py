"""What may be approved: the one place that says so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from crossmargin.domain.margin import MarginResult


@dataclass(frozen=True, slots=True)
class MarginNeed:
    """The worst that an account can come to over everything its open orders may do. Base currency.

    Attributes:
        initial_margin: The largest.
        excess: The smallest excess of equity over initial margin; negative is a deficit. Both need not be of the same fills.
        least_excess: The smallest at the least favourable end of the market; `excess` when nothing is doubted, None when nobody can say.
    """

    initial_margin: Decimal
    excess: Decimal
    least_excess: Decimal | None

    @classmethod
    def of(cls, result: MarginResult) -> Self:
        """Return what an account without open orders needs."""
        return cls(result.requirement.initial_margin, result.excess_to_initial, result.least_excess_to_initial)

    @classmethod
    def none(cls) -> Self:
        """Return the need of an account without anything."""
        return cls(Decimal(0), Decimal(0), Decimal(0))

    @classmethod
    def worst(cls, needs: Iterable[MarginNeed]) -> Self:
        """Return the worst of several possible outcomes; there must be one."""
        found = tuple(needs)
        least = [need.least_excess for need in found if need.least_excess is not None]
        return cls(
            initial_margin=max(need.initial_margin for need in found),
            excess=min(need.excess for need in found),
            least_excess=min(least) if len(least) == len(found) else None,
        )

    @property
    def is_covered(self) -> bool:
        """True when equity covers the initial margin, at the levels of the market and at the least favourable end of them."""
        return self.excess >= 0 and self.least_excess is not None and self.least_excess >= 0


def is_approvable(before: MarginNeed, after: MarginNeed) -> bool:
    """Return whether an order may go ahead that takes an account from one need to another.

    It may when the initial margin is covered afterwards. It may as well when it reduces risk, which is never held up.
    """
    return after.is_covered or reduces_risk(before, after)


def reduces_risk(before: MarginNeed, after: MarginNeed) -> bool:
    """Return whether an order raises neither the initial margin nor a deficit.

    The deficit counts too, because closing at any price would lower margin: what gives equity away is no reduction.
    """
    return after.initial_margin <= before.initial_margin and (after.excess >= before.excess or after.excess >= 0)


def is_releasable(after: MarginNeed) -> bool:
    """Return whether collateral may leave an account that needs this afterwards: only while the initial margin is covered."""
    return after.is_covered
