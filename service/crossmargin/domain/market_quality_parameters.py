"""Parameters of market data: when a quote is believed, how far off it may be when it is not, and when margin calls pause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique
from functools import cached_property
from typing import Final

from crossmargin.domain.expectation import require_parameter
from crossmargin.domain.market_clock import HorizonClock, WeeklyClose
from crossmargin.domain.worked_out_once import WorkedOutOnce


@unique
class QuoteKind(Enum):
    """What a quote is of, as far as the limits on it go."""

    SPOT = "spot"
    FX = "fx"
    ZERO = "zero"
    VOL = "vol"
    BASIS = "basis"
    SPREAD = "spread"
    PRICE = "price"
    """Level of a factor that may be below zero, USD."""
    MARK = "mark"
    """Mark of a contract or bond: above zero."""
    PREMIUM = "premium"
    """Mark of an option: zero or above."""
    PRESENT_VALUE = "present_value"
    """Mark of a forward or swap per unit: either sign."""


RATE_KINDS: Final = frozenset({QuoteKind.ZERO, QuoteKind.BASIS, QuoteKind.SPREAD})
"""Fractions a year, from -10 to 10."""
DIFFERENCE_KINDS: Final = RATE_KINDS | {QuoteKind.PRICE, QuoteKind.PRESENT_VALUE}
"""What may be zero or below moves by difference; everything else by return: the larger over the smaller, less one."""


@dataclass(frozen=True, slots=True)
class QuoteRule:
    """Limits for one kind of quote on markets of one clock. Moves are returns or differences (see DIFFERENCE_KINDS).

    Attributes:
        stale_after_s: Age, in seconds for which the market was open, above which a quote is stale.
        missing_after_s: Age above which what was last known counts as missing; more than `stale_after_s`.
        jump_limit: Largest move against the previous level that one source is believed at once.
        implausible_limit: Move above which a source is not believed however often it says so, unless another one agrees.
        disagreement_limit: Largest distance of a source from the others that still agrees with them.
        drift: How far a level may have moved, either way, once it has just become stale; grows with the square root of age.
        widest_drift: What the drift stops at, and what is said of a missing level.
    """

    kind: QuoteKind
    clock: HorizonClock
    stale_after_s: Decimal
    missing_after_s: Decimal
    jump_limit: Decimal
    implausible_limit: Decimal
    disagreement_limit: Decimal
    drift: Decimal
    widest_drift: Decimal

    def __post_init__(self) -> None:
        name = f"of {self.kind.value} on the {self.clock.value} clock"
        require_parameter(self.stale_after_s > 0, f"stale_after_s {name}", self.stale_after_s, "more than zero")
        require_parameter(
            self.missing_after_s > self.stale_after_s, f"missing_after_s {name}", self.missing_after_s, "more than stale_after_s"
        )
        require_parameter(self.jump_limit > 0, f"jump_limit {name}", self.jump_limit, "more than zero")
        require_parameter(
            self.implausible_limit >= self.jump_limit, f"implausible_limit {name}", self.implausible_limit, "jump_limit or more"
        )
        require_parameter(
            0 < self.disagreement_limit <= self.jump_limit,
            f"disagreement_limit {name}",
            self.disagreement_limit,
            "above zero, at most jump_limit",
        )
        require_parameter(self.drift > 0, f"drift {name}", self.drift, "more than zero")
        require_parameter(self.widest_drift >= self.drift, f"widest_drift {name}", self.widest_drift, "drift or more")


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When so much goes wrong at once that the market is doubted before the clients are. Accounts that enter a band within a minute.

    Attributes:
        calls_per_minute: Accounts that may enter margin call or liquidation; one more pauses calls and liquidations.
        liquidations_per_minute: Accounts that may enter liquidation; one more pauses them.
        concentration_fraction: Share of them that may owe most of their requirement to one and the same instrument.
        concentration_accounts: With fewer accounts than this, that share says nothing.
    """

    calls_per_minute: int
    liquidations_per_minute: int
    concentration_fraction: Decimal
    concentration_accounts: int

    def __post_init__(self) -> None:
        require_parameter(self.calls_per_minute >= 1, "calls_per_minute", self.calls_per_minute, "at least 1")
        require_parameter(
            1 <= self.liquidations_per_minute <= self.calls_per_minute,
            "liquidations_per_minute",
            self.liquidations_per_minute,
            "1 to calls_per_minute",
        )
        require_parameter(0 < self.concentration_fraction <= 1, "concentration_fraction", self.concentration_fraction, "in (0, 1]")
        require_parameter(self.concentration_accounts >= 2, "concentration_accounts", self.concentration_accounts, "at least 2")


@dataclass(frozen=True, eq=False)
class MarketQualityParameters(WorkedOutOnce):
    """How quotes become a market.

    Attributes:
        minimum_sources: Fresh sources that must agree for a level to be valid.
        confirming_sources: Sources that, agreeing, are believed whatever the move.
        confirming_ticks: Snapshots with newer quotes over which a move beyond the jump limit must stand to be believed of one source.
        weekly_close: When markets on the business clock are closed.
        rules: One for every kind on every clock.
    """

    minimum_sources: int
    confirming_sources: int
    confirming_ticks: int
    weekly_close: WeeklyClose
    rules: tuple[QuoteRule, ...]
    breakers: BreakerLimits

    def __post_init__(self) -> None:
        require_parameter(self.minimum_sources >= 1, "minimum_sources", self.minimum_sources, "at least 1")
        require_parameter(
            self.confirming_sources >= max(2, self.minimum_sources),
            "confirming_sources",
            self.confirming_sources,
            "at least 2, and minimum_sources or more",
        )
        require_parameter(self.confirming_ticks >= 2, "confirming_ticks", self.confirming_ticks, "at least 2")
        close = self.weekly_close
        for name, hour in (("friday_hour", close.friday_hour), ("sunday_hour", close.sunday_hour)):
            require_parameter(0 <= hour <= 24, name, hour, "0 to 24")
        wanted = {(kind, clock) for kind in QuoteKind for clock in HorizonClock}
        given = [(rule.kind, rule.clock) for rule in self.rules]
        require_parameter(
            len(given) == len(set(given)) and set(given) == wanted,
            "rules of market quality",
            sorted(f"{kind.value}/{clock.value}" for kind, clock in given),
            "one for every kind on every clock",
        )

    @cached_property
    def rule_of(self) -> Mapping[tuple[QuoteKind, HorizonClock], QuoteRule]:
        """The rule of each kind on each clock."""
        return {(rule.kind, rule.clock): rule for rule in self.rules}
