"""What a move of the market does to accounts: scenarios with names, scenarios somebody made up, and what comes of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.errors import Reason
from crossmargin.domain.expectation import require_argument
from crossmargin.domain.explanation import MarketMove
from crossmargin.domain.identifiers import AccountRef, InstrumentId, OffsetGroupId, RiskParameterSetId, SnapshotId
from crossmargin.domain.margin import Band
from crossmargin.domain.market import LOG_KINDS, FactorId, FactorKind
from crossmargin.domain.risk_parameters import StressEvent

REVERSED = " reversed"
"""What is added to the name of a scenario for its opposite direction."""


@unique
class StressKind(Enum):
    """Where a scenario comes from."""

    EVENT = "event"
    """A published crisis or a hypothetical one of the parameter set."""
    CRISIS_DAY = "day of a crisis"
    """A day of a crisis window of the parameter set, out of the imported history."""
    AD_HOC = "ad hoc"
    """Made up by the caller."""
    NO_DIVERSIFICATION = "no diversification"
    """The market stands still and nothing offsets anything across offset groups: rho1 = rho2 = 0."""
    ALL_AGAINST = "all against the account"
    """Every offset group moves against the account at once, each at the account's own tail in it."""


@dataclass(frozen=True, slots=True)
class StressShock:
    """One thing that a caller moves. Exactly one of the first four names what.

    Attributes:
        factor: One risk factor, such as zero:USD:2Y. curve: All nodes of a curve, such as zero:USD.
        group_id: All factors of `kind` in an offset group. asset_class: in an asset class.
        kind: For a group or a class. None: its prices, which are spot prices and exchange rates.
        size: Simple return for what moves by return (-0.25 is a fall by a quarter), otherwise a difference (0.01 is +100 bp).
    """

    size: Decimal
    factor: FactorId | None = None
    curve: str = ""
    group_id: OffsetGroupId | None = None
    asset_class: str = ""
    kind: FactorKind | None = None

    def __post_init__(self) -> None:
        named = [self.factor is not None, bool(self.curve), self.group_id is not None, bool(self.asset_class)]
        require_argument(sum(named) == 1, "shock", f"{sum(named)} of factor, curve, group and asset class", "exactly one of them")
        returns = self.kind in LOG_KINDS if self.kind is not None else self.factor is None or self.factor.kind in LOG_KINDS
        if self.curve:
            returns = FactorId(*self.curve.split(":", 1)).kind in LOG_KINDS
        require_argument(self.size.is_finite(), f"shock of {self}", self.size, "a finite number")
        require_argument(not returns or self.size > -1, f"shock of {self}", self.size, "a simple return above -1")

    def __str__(self) -> str:
        if self.factor is not None or self.curve:
            return str(self.factor or self.curve)
        suffix = "" if self.kind is None else f" {self.kind.value}"
        return f"{self.group_id or self.asset_class}{suffix}"


@dataclass(frozen=True, slots=True)
class AdHocScenario:
    """A scenario that a caller made up. Of several shocks that reach one factor the most particular one counts."""

    name: str
    shocks: tuple[StressShock, ...]
    both_directions: bool = False

    def __post_init__(self) -> None:
        require_argument(bool(self.shocks), f"shocks of scenario {self.name}", "none", "at least one")


@dataclass(frozen=True, slots=True)
class NamedScenario:
    """A scenario of the library.

    Attributes:
        event: Its row in the parameter set; for a day of a crisis the event that stands in for what the history does not have, None
            without one.
        source: Where its figures come from.
    """

    name: str
    kind: StressKind
    source: str
    event: StressEvent | None


@dataclass(frozen=True, slots=True)
class StressStanding:
    """How an account stands at one market, base currency; `utilization` is None (infinite) when equity does not stand behind it."""

    equity: Decimal
    maintenance_margin: Decimal
    utilization: Decimal | None
    band: Band


@dataclass(frozen=True, slots=True)
class GroupProfit:
    """What an account, or the house, gains (+) or loses (-) in one offset group. Base currency."""

    group_id: OffsetGroupId
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class PositionProfit:
    """What a position gains (+) or loses (-), all it is worth and no haircut. Base currency."""

    instrument_id: InstrumentId
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class AccountStress:
    """One account in one scenario. Money in base currency.

    Attributes:
        pnl: Change of the value of everything held, before haircuts. Groups and positions add up to it, each of them.
        positions: The largest gains and losses first.
    """

    account: AccountRef
    before: StressStanding
    after: StressStanding
    pnl: Decimal
    groups: tuple[GroupProfit, ...] = ()
    positions: tuple[PositionProfit, ...] = ()

    @property
    def broker_loss(self) -> Decimal:
        """What is owed beyond everything that is in the account: lost to the broker unless the client pays it."""
        return max(Decimal(0), -self.after.equity)


@dataclass(frozen=True, slots=True)
class StressFailure:
    """An account that could not be stressed, with the reason; it holds up no other."""

    account: AccountRef
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ScenarioOutcome:
    """One scenario over the accounts that were stressed, one of them or all of the house. Money in base currency.

    Attributes:
        bands_before, bands_after: Accounts in each band, in the order of the bands.
        fallen: Accounts in liquidation afterwards that were not before.
        broker_loss: What is owed beyond what is in accounts, account by account: nothing of one pays for another.
        groups, positions: Profits over all accounts; positions with the largest amounts first, as many as were asked for.
        accounts: Those with the least left afterwards first, as many as were asked for.
        failures: Accounts that could not be stressed. They are in none of the figures.
    """

    name: str
    kind: StressKind
    account_count: int
    equity_before: Decimal
    equity_after: Decimal
    pnl: Decimal
    broker_loss: Decimal
    bands_before: tuple[int, ...]
    bands_after: tuple[int, ...]
    fallen: int
    groups: tuple[GroupProfit, ...]
    positions: tuple[PositionProfit, ...]
    accounts: tuple[AccountStress, ...]
    failures: tuple[StressFailure, ...]


@dataclass(frozen=True, slots=True)
class StressPlan:
    """What is going to be stressed, and everything that the numbers depend on.

    Attributes:
        scenarios: Their names in the order of the outcomes. accounts: How many.
    """

    scenarios: tuple[str, ...]
    accounts: int
    snapshot_id: SnapshotId
    as_of: datetime
    parameter_set_id: RiskParameterSetId
    parameters_hash: str
    scenario_set_hash: str
    engine_version: str


@dataclass(frozen=True, slots=True)
class StressProgress:
    """How far a run is: accounts times scenarios, and the accounts at rest."""

    done: int
    total: int


@unique
class BreakLine(Enum):
    """When an account counts as broken."""

    LIQUIDATION = "maintenance margin"
    """Equity no longer covers the maintenance margin: the account is liquidated."""
    RUIN = "zero"
    """Equity is gone: whatever the market does next is the broker's loss."""


@dataclass(frozen=True, slots=True)
class Plausibility:
    """How likely it is that the market goes at least so far in this direction within one margin period. Three answers, none of them sure.

    Attributes:
        distance: Mahalanobis distance of the move: standard deviations along its own direction, by the ordinary scenarios.
        normal_probability: If moves were normal. They are not: tails are fatter, so this is the most that anybody should be comforted.
        greatest_probability: No distribution with the same standard deviation can have more (Cantelli 1929): 1 / (1 + distance^2).
        scenario_weight: Weight of those scenarios of the whole set, stress included, in which the account loses at least as much. Zero
            says that none does, not that nothing can.
    """

    distance: Decimal
    normal_probability: Decimal
    greatest_probability: Decimal
    scenario_weight: Decimal


@dataclass(frozen=True, slots=True)
class ReverseStress:
    """The most plausible move that was found to break an account.

    Attributes:
        moves: How each block of factors moves, the largest against its own typical move first; empty when nothing was found.
        outcome: The account before and after, by full revaluation; None when no move within the distance searched breaks it.
        plausibility: None for the same. An account broken at rest is at distance 0.
        searched_to: Distance up to which each direction was searched. start_count: Directions that the search set out in.
        evaluation_count: Markets at which the account was revalued.
        failure: Why the account could not be searched.
    """

    account: AccountRef
    line: BreakLine
    moves: tuple[MarketMove, ...]
    outcome: AccountStress | None
    plausibility: Plausibility | None
    searched_to: Decimal
    start_count: int
    evaluation_count: int
    failure: StressFailure | None = None

    @classmethod
    def not_searched(cls, failure: StressFailure, line: BreakLine) -> ReverseStress:
        """Return that an account could not be searched."""
        return cls(failure.account, line, (), None, None, Decimal(0), 0, 0, failure)
