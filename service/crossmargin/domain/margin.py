"""What a margin result says: equity, requirement, how the one became the other, and how close the account is to the line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import (
    AccountRef,
    HouseViewId,
    InstrumentId,
    OffsetGroupId,
    RiskParameterSetId,
    SnapshotId,
)
from crossmargin.domain.market_quality import Quality
from crossmargin.domain.methodology import Methodology


@unique
class Band(Enum):
    """How close an account is to the line, by utilization: maintenance margin over equity. Worse bands come later."""

    HEALTHY = "healthy"
    WATCH = "watch"
    AT_RISK = "at risk"
    MARGIN_CALL = "margin call"
    LIQUIDATION = "liquidation"


@dataclass(frozen=True, slots=True)
class RampStamp:
    """The set that was in force before, while its successor comes into force by degrees: a result is part of each.

    Attributes:
        fraction: Share of the successor's result, from 0 to below 1; the rest is the earlier set's.
    """

    parameter_set_id: RiskParameterSetId
    parameters_hash: str
    scenario_set_hash: str
    fraction: Decimal


@dataclass(frozen=True, slots=True)
class MarginStamp:
    """Everything a result depends on: the same stamp means the same numbers, bit for bit.

    Attributes:
        sequence: Last ledger entry of the account that is in the result.
        parameters_hash: SHA-256 of the risk parameters, hexadecimal.
        scenario_set_hash: SHA-256 of the scenario shocks and weights, hexadecimal.
        ramp: The set before, while the one in force comes in by degrees; otherwise None.
        methodology: What the requirement is computed by: that of the account as of `sequence`.
        house_view_id: The totals over all accounts that limits and the owner's liquidity charge rest on; None when none was known yet.
    """

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    as_of: datetime
    parameter_set_id: RiskParameterSetId
    parameters_hash: str
    scenario_set_hash: str
    engine_version: str
    ramp: RampStamp | None = None
    methodology: Methodology = Methodology.EXPECTED_SHORTFALL
    house_view_id: HouseViewId | None = None


@dataclass(frozen=True, slots=True)
class HeldPeg:
    """How a stablecoin stands that is off its peg, or that counts at less than its price. Prices are USD for one unit.

    Attributes:
        price: What the snapshot says. counted_price: What a holding counts at: the lower of price and slow price. A debt is owed at the
            price.
        below_since: Since when it is depegged; None when it is not, and only its slow price has not come back yet.
        back_since: Since when it has been back at its line, while the depeg is not over yet; None otherwise.
        is_lost: True when it is no collateral at all: it counts at too little, or has been depegged for too long.
    """

    price: Decimal
    counted_price: Decimal
    below_since: datetime | None
    back_since: datetime | None
    is_lost: bool


@dataclass(frozen=True, slots=True)
class CollateralLine:
    """What one holding adds to equity. Base currency; value_in_equity = market_value - haircut - over_limit.

    Attributes:
        policy: None for a liability (a negative holding), which counts in full.
        risked: Market value that is in the scenarios as collateral; pledged: market value outside them, of policy RISKED what is over a
            limit and does not hedge; what AUTO leaves out of a slipped stablecoin is in it, and in over_limit. Together the market value of
            a holding that is eligible; both zero for one that is not, and for a liability.
        over_limit: Market value that counts zero because a limit is exceeded or the asset is not eligible.
        peg: Of a stablecoin that is off its peg or counts at less than its price; None for one that is well, and for anything else.
    """

    instrument_id: InstrumentId
    policy: CollateralPolicy | None
    quantity: Decimal
    market_value: Decimal
    haircut: Decimal
    over_limit: Decimal
    value_in_equity: Decimal
    risked: Decimal
    pledged: Decimal
    peg: HeldPeg | None = None


@dataclass(frozen=True, slots=True)
class EquityBridge:
    """From what is held to equity. Base currency; equity = collateral + liabilities + contract_value.

    Attributes:
        collateral: Sum of the values in equity of positive holdings of assets and bonds.
        liabilities: Sum of negative holdings, zero or below.
        contract_value: Mark less cost of contracts, present value of forwards, value of options; either sign.
    """

    collateral: Decimal
    liabilities: Decimal
    contract_value: Decimal
    equity: Decimal
    lines: tuple[CollateralLine, ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """One add-on to a requirement. Base currency, more than zero; a charge of nothing has no line."""

    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class RequirementBridge:
    """From the gross sum of standalone margins to the requirement. Base currency, every line zero or more.

    market_requirement = gross - netting_inside_groups - netting_inside_classes - netting_across_classes;
    maintenance_margin = market_requirement + charges; initial_margin = multiple x maintenance_margin + initial_only.

    Attributes:
        gross: Tail means of every position in every offset group alone, added up: what each would need by itself.
        charges: What each charge adds; a minimum adds what the rest of the requirement lacks.
        initial_only: What only new risk has to cover; no part of the maintenance margin.
    """

    gross: Decimal
    netting_inside_groups: Decimal
    netting_inside_classes: Decimal
    netting_across_classes: Decimal
    market_requirement: Decimal
    charges: tuple[Charge, ...]
    maintenance_margin: Decimal
    initial_margin: Decimal
    initial_only: tuple[Charge, ...] = ()

    @property
    def netting_benefit(self) -> Decimal:
        """What margining the book as a whole frees against margining each position alone."""
        return self.gross - self.market_requirement

    @property
    def netting_benefit_fraction(self) -> Decimal:
        """Netting benefit as a fraction of gross; 0 for a book without risk."""
        return self.netting_benefit / self.gross if self.gross else Decimal(0)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one holding adds to the maintenance margin (Euler); negative for a hedge. Contributions add up to it to the cent."""

    instrument_id: InstrumentId
    amount: Decimal


@dataclass(frozen=True, slots=True)
class GroupRequirement:
    """Tail mean of one offset group alone. Base currency."""

    group_id: OffsetGroupId
    asset_class: str
    requirement: Decimal


@dataclass(frozen=True, slots=True)
class WorstScenario:
    """One of the scenarios in which the account loses most.

    Attributes:
        name: Start date of an ordinary move, or the name of a stress event.
        is_stress: True for a scenario of the stress set.
        weight: Its probability weight in the scenario set.
        pnl: Profit (+) or loss (-) of the account in base currency.
    """

    name: str
    is_stress: bool
    weight: Decimal
    pnl: Decimal


@dataclass(frozen=True, slots=True)
class GapLoss:
    """What the broker may lose in an isolated account, whose client loses at most what is in it. Base currency, zero or more.

    It is measured and never charged: not to the account, whose client owes no more, and not to the client's other accounts.

    Attributes:
        realized: Equity below zero, as it is now.
        expected: Mean over all scenarios of the loss that goes beyond equity: the put that the broker writes, over one margin period.
        worst: That loss in the worst scenario. worst_scenario: Its name; empty when none goes beyond equity.
    """

    realized: Decimal
    expected: Decimal
    worst: Decimal
    worst_scenario: str


@dataclass(frozen=True, slots=True)
class DoubtedInput:
    """A level or mark that the account is exposed to and that cannot be taken at its word.

    Attributes:
        subject: The risk factor, or the instrument whose mark it is.
    """

    subject: str
    quality: Quality


@dataclass(frozen=True, slots=True)
class DataQuality:
    """What the margin would be at the ends of what the market may really be.

    Nowhere inside the ranges of the doubted inputs is the account better or worse off than this. Fractions; money in base currency.

    Attributes:
        doubted: In the order of their names; at least one.
        utilization_low: At the most favourable end. utilization_high: at the least favourable one. None is infinite.
        excess_to_initial_low: Equity less initial margin at the least favourable end; None when it cannot be bounded.
        excess_to_initial_high: At the most favourable end; None when it cannot be bounded.
        best_band: By `utilization_low`. worst_band: by `utilization_high`.
        may_liquidate: False while a doubted input stands in the way: missing, or suspect and not confirmed.
        is_provisional: True when the account is in a band that stands on suspect inputs: a person should look before the client is called.
    """

    doubted: tuple[DoubtedInput, ...]
    utilization_low: Decimal | None
    utilization_high: Decimal | None
    excess_to_initial_low: Decimal | None
    excess_to_initial_high: Decimal | None
    best_band: Band
    worst_band: Band
    may_liquidate: bool
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class MarginResult:
    """Margin of one account. Money in base currency, rounded to the cent against the client.

    Attributes:
        quality: What doubted market data leaves open; None when the account is exposed to none, so that both ends are this result. With
            doubts the band is that of the most favourable end as far as calls and liquidations go (see `alert_band`).
        utilization: maintenance margin / equity; 0 without risk, None (infinite) when equity is gone and risk is not.
        worst_scenarios: Of a grid, the worst point of each offset group that loses; of rates on notional, none.
        gap: What the broker may lose beyond the account; None for a cross account.
    """

    stamp: MarginStamp
    equity: EquityBridge
    requirement: RequirementBridge
    utilization: Decimal | None
    band: Band
    groups: tuple[GroupRequirement, ...]
    contributions: tuple[Contribution, ...]
    worst_scenarios: tuple[WorstScenario, ...]
    gap: GapLoss | None = None
    quality: DataQuality | None = None

    @property
    def least_excess_to_initial(self) -> Decimal | None:
        """Equity above the initial margin at the least favourable end of the market; None when nobody can say."""
        return self.excess_to_initial if self.quality is None else self.quality.excess_to_initial_low

    @property
    def utilization_range(self) -> tuple[Decimal | None, Decimal | None]:
        """Utilization at the most and at the least favourable end; None is infinite."""
        if self.quality is None:
            return self.utilization, self.utilization
        return self.quality.utilization_low, self.quality.utilization_high

    @property
    def excess_to_initial(self) -> Decimal:
        """Equity above the initial margin: what new risk may use. Negative is a deficit."""
        return self.equity.equity - self.requirement.initial_margin

    @property
    def excess_to_maintenance(self) -> Decimal:
        """Equity above the maintenance margin: the distance to the line, in money."""
        return self.equity.equity - self.requirement.maintenance_margin
