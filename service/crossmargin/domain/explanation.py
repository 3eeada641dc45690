"""What a margin result says beyond the number: how far the line is, what the book rests on, and how sure the number is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.identifiers import InstrumentId, OffsetGroupId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market import LOG_KINDS, FactorId, FactorKind
from crossmargin.domain.risk_parameters import FactorProxy


@dataclass(frozen=True, slots=True)
class MarketMove:
    """All factors of one kind in one offset group moving together, everything else standing still.

    Attributes:
        size: Simple return for prices, exchange rates and volatilities (-0.25 is a fall by a quarter); difference for rates, carry and
            spreads (0.01 is +100 bp), and for prices that may be negative (-5 is a fall by 5 USD).
    """

    group_id: OffsetGroupId
    kind: FactorKind
    size: Decimal

    @property
    def is_return(self) -> bool:
        """True when `size` is a simple return, False when it is a difference."""
        return self.kind in LOG_KINDS


@dataclass(frozen=True, slots=True)
class LiquidationDistance:
    """How far one group of factors may move before the account is liquidated.

    Attributes:
        move: The smallest move, in either direction, that was found to bring utilization to the liquidation line; None when none does
            within the range searched. Zero for an account that is at the line or past it.
    """

    group_id: OffsetGroupId
    kind: FactorKind
    move: MarketMove | None


@dataclass(frozen=True, slots=True)
class WorstDirection:
    """The way the market goes in the account's own tail, and how far it must go for the account to be liquidated.

    Attributes:
        multiple: How many times the average tail move; None when ten times it does not liquidate.
        moves: The move of the large factors at that multiple, at once for a multiple of None.
        pnl: Profit (+) or loss (-) of the account at those moves, base currency.
    """

    multiple: Decimal | None
    moves: tuple[MarketMove, ...]
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class Diversification:
    """How much the parts of a book offset one another. Fractions; zeros for a book without risk.

    Attributes:
        ratio: 1 - market requirement / sum of the groups' own requirements.
        largest_group: The group with the largest requirement of its own, None without risk, and its share of the sum.
        effective_bets: 1 / sum p^2, p a group's share of the absolute Euler contributions of all groups; 1 when one group is all there is.
    """

    ratio: Decimal
    largest_group: OffsetGroupId | None
    largest_share: Decimal
    effective_bets: Decimal


@dataclass(frozen=True, slots=True)
class DirectionalConcentration:
    """How much of what an account has in one kind of factor of one asset class goes the same way.

    Attributes:
        is_long: True when the account gains as they rise.
        fraction: |sum x| / sum |x| over the offset groups of the class, x being what the account gains when the group's factors rise by
            their typical move (half the difference between rise and fall): 1 when all go one way, 0 when they cancel out.
        amount: |sum x|: what the account gains or loses when all of them move by their typical move at once. Base currency.
    """

    asset_class: str
    kind: FactorKind
    is_long: bool
    fraction: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class IsolationAdvice:
    """A contract that gains little from being margined with the rest: isolated it would cap the client's loss at little cost.

    Attributes:
        alone: Market requirement of the contract in an account of its own.
        added: What the account's market requirement falls by without it.
        benefit_fraction: 1 - added / alone.
    """

    instrument_id: InstrumentId
    alone: Decimal
    added: Decimal
    benefit_fraction: Decimal


@dataclass(frozen=True, slots=True)
class RequirementInterval:
    """Where the market requirement would lie had history been drawn again: percentiles of a block bootstrap.

    Attributes:
        confidence: Share of the replicates between `low` and `high`.
        block_days: Length of the blocks of start days, calendar days: the longest margin period of the groups held.
    """

    low: Decimal
    high: Decimal
    confidence: Decimal
    replicate_count: int
    block_days: int


@dataclass(frozen=True, slots=True)
class TailReport:
    """What the account's tail is made of.

    Attributes:
        scenario_count: Scenarios that carry weight in the account's tail.
        effective_count: (sum w)^2 / sum w^2 over their weights in the tail: how many equal ones carry as much information.
        stress_weight_fraction: Share of the tail's weight that is stress.
        stress_share_of_worst: Share of the ten worst scenarios that are stress.
        oldest_days: The ordinary scenarios that leave the window next, counted in days.
        oldest_contribution: What the market requirement would fall by (or rise, below zero) if they left now and nothing came.
    """

    scenario_count: int
    effective_count: Decimal
    stress_weight_fraction: Decimal
    stress_share_of_worst: Decimal
    oldest_days: int
    oldest_contribution: Decimal


@dataclass(frozen=True, slots=True)
class ScenarioReport:
    """What the scenario set is made of.

    Attributes:
        ordinary_count: Overlapping joint moves of history.
        independent_count: How many windows of `block_days` fit beside one another into them.
        event_count: Stress scenarios that are named events. window_counts: Those of each crisis window, 0 outside the history.
        stand_ins: Held factors without history in a crisis window, with what moved them there instead.
        proxies: Held factors without a history of their own in the ordinary window, with what moved them instead.
    """

    ordinary_count: int
    independent_count: int
    event_count: int
    window_counts: Mapping[str, int]
    stand_ins: Mapping[FactorId, Mapping[str, str]]
    proxies: Mapping[FactorId, FactorProxy]


@dataclass(frozen=True, slots=True)
class MarginExplanation:
    """A margin result with all that is computed only when somebody asks.

    Attributes:
        directions: The largest amount first.
        isolation_advice, interval, tail, scenarios: Of the expected shortfall; empty or None by another methodology.
    """

    margin: MarginResult
    distances: tuple[LiquidationDistance, ...]
    worst_direction: WorstDirection | None
    diversification: Diversification
    directions: tuple[DirectionalConcentration, ...]
    isolation_advice: tuple[IsolationAdvice, ...]
    interval: RequirementInterval | None
    tail: TailReport | None
    scenarios: ScenarioReport | None
