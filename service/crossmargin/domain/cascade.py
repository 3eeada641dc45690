"""A shock and what follows: accounts that are sold out move prices, and prices bring down the next ones."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.expectation import require_argument
from crossmargin.domain.identifiers import AccountRef, OffsetGroupId
from crossmargin.domain.liquidation import PlanWish
from crossmargin.domain.liquidation_parameters import LiquidationParameters
from crossmargin.domain.stress import StressFailure, StressStanding

MOST_ROUNDS: Final = 100


@unique
class DepthKind(Enum):
    """How far the price of a group moves when an amount Q of it is sold into a day's volume V, sigma being its volatility of a day."""

    SQUARE_ROOT = "square root"
    """Y sigma sqrt(Q / V)."""
    LINEAR = "linear"
    """Y sigma Q / V."""
    INFINITE = "infinite"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class CascadeTerms:
    """How a cascade runs; what is None is as the risk parameters say.

    Attributes:
        depth_multiple: Of the parameters' daily volumes: 0.1 is a market with a tenth of its usual depth.
        impact_coefficient: Y of the depth, and of what plans count with.
        isolated: True to leave buckets apart; False to count each with its core account, as if there were no isolation.
        seed: Of the order in which accounts are sold out inside a round.
        target_utilization: Where liquidations end.
    """

    depth: DepthKind = DepthKind.SQUARE_ROOT
    depth_multiple: Decimal = Decimal(1)
    impact_coefficient: Decimal | None = None
    isolated: bool = True
    seed: int = 0
    target_utilization: Decimal | None = None
    most_rounds: int = MOST_ROUNDS

    def __post_init__(self) -> None:
        require_argument(0 < self.depth_multiple <= 10_000, "depth_multiple", self.depth_multiple, "above 0 and at most 10000")
        require_argument(1 <= self.most_rounds <= MOST_ROUNDS, "most_rounds", self.most_rounds, f"1 to {MOST_ROUNDS}")
        require_argument(0 <= self.seed < 2**63, "seed", self.seed, "0 to 2^63 - 1")
        self._wish()  # says what of it cannot be

    def rules(self, rules: LiquidationParameters) -> LiquidationParameters:
        """Return how accounts are liquidated in it: the rules with what is asked for otherwise."""
        return self._wish().rules(rules)

    def _wish(self) -> PlanWish:
        return PlanWish(self.target_utilization, self.impact_coefficient)


@dataclass(frozen=True, slots=True)
class GroupFlow:
    """One offset group in a round. Base currency and fractions.

    Attributes:
        traded: Exposure bought (+) and sold (-) by accounts that were liquidated, net.
        price: Simple return of its prices since before the shock, in what liquidations did; the shock's own move is not in it.
    """

    group_id: OffsetGroupId
    traded: Decimal
    price: Decimal


@dataclass(frozen=True, slots=True)
class FallenAccount:
    """An account that was liquidated in a round.

    Attributes:
        before: As it was when it was past the line. after: at the round's end.
        is_closed: True when everything that can be traded was closed.
    """

    account: AccountRef
    before: StressStanding
    after: StressStanding
    is_closed: bool


@dataclass(frozen=True, slots=True)
class CascadeRound:
    """One round; round 0 is the shock alone. Money in base currency, exact: no cent is made or lost on the way.

    clients_after = clients_before - paid_to_street + revaluation, and what is paid to the street is what the street gains at the same
    marks: the other side of every trade is there.

    Attributes:
        clients_before, clients_after: What all accounts are worth, before haircuts.
        paid_to_street: What accounts lost by trading away from the marks at the round's start.
        revaluation: What the moved marks did to what accounts then held.
        bands: Accounts in each band at the round's end, in the order of the bands.
        broker_loss: Equity below zero over all accounts at the round's end.
    """

    number: int
    clients_before: Decimal
    paid_to_street: Decimal
    revaluation: Decimal
    clients_after: Decimal
    street_after: Decimal
    bands: tuple[int, ...]
    broker_loss: Decimal
    flows: tuple[GroupFlow, ...]
    fallen: tuple[FallenAccount, ...]


@dataclass(frozen=True, slots=True)
class CascadeSummary:
    """What a cascade came to.

    Attributes:
        fallen: Accounts that were liquidated at all. ruined: those whose equity is gone at the end.
        first_broker_loss: After the shock alone: what a plain stress says.
        is_over: False when it was cut short after its last round.
        failures: Accounts that take no part because they could not be margined.
    """

    rounds: int
    account_count: int
    fallen: int
    ruined: int
    first_broker_loss: Decimal
    broker_loss: Decimal
    is_over: bool
    failures: tuple[StressFailure, ...]
