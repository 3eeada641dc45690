"""Parameters of the charges: what is added to the market requirement, and the minimums that it may not fall below."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.expectation import require_parameter
from crossmargin.domain.identifiers import OffsetGroupId
from crossmargin.domain.market import LOG_KINDS, RATE_KINDS, FactorId


@unique
class ScheduleScope(Enum):
    """Kinds of contract that the floor by the standard schedule can be asked for."""

    EUROPEAN_OPTION = "EUROPEAN_OPTION"
    AMERICAN_OPTION = "AMERICAN_OPTION"
    FX_OPTION = "FX_OPTION"
    FX_FORWARD = "FX_FORWARD"
    NON_DELIVERABLE_FORWARD = "NON_DELIVERABLE_FORWARD"
    INTEREST_RATE_SWAP = "INTEREST_RATE_SWAP"
    CASH_FLOWS = "CASH_FLOWS"


@dataclass(frozen=True, slots=True)
class LiquidityParameters:
    """How long it takes, and what it costs, to close out a group.

    Attributes:
        spread_multiple: k, by how much spreads widen when a portfolio has to be sold.
        base_days: h0, days that even the smallest portfolio takes.
        participation_fraction: p, the share of the daily volume that a close-out may take.
    """

    spread_multiple: Decimal
    base_days: Decimal
    participation_fraction: Decimal

    def __post_init__(self) -> None:
        require_parameter(self.spread_multiple >= 0, "spread_multiple", self.spread_multiple, "zero or more")
        require_parameter(self.base_days >= 0, "base_days", self.base_days, "zero or more")
        require_parameter(0 < self.participation_fraction <= 1, "participation_fraction", self.participation_fraction, "in (0, 1]")


@dataclass(frozen=True, slots=True)
class ChargeTier:
    """A slice of matched notional, up to `up_to` in base currency (None: without end), and the charge on it as a fraction."""

    up_to: Decimal | None
    charge_fraction: Decimal


@dataclass(frozen=True, slots=True)
class BasisParameters:
    """What a hedge costs when no risk factor moves one side against the other. Fractions of the notional that is matched.

    Attributes:
        perpetual_fraction: A perpetual against spot, or against anything whose own carry has factors.
        dated_fraction: A future or option without carry factors against anything else; at least `perpetual_fraction`.
        stablecoin_tiers: A stablecoin, or a contract settled in one, against another one or against a contract settled in money.
    """

    perpetual_fraction: Decimal
    dated_fraction: Decimal
    stablecoin_tiers: tuple[ChargeTier, ...]

    def __post_init__(self) -> None:
        _require_fraction("perpetual_fraction", self.perpetual_fraction)
        require_parameter(
            self.perpetual_fraction <= self.dated_fraction <= 1, "dated_fraction", self.dated_fraction, "from perpetual_fraction to 1"
        )
        ends = [tier.up_to for tier in self.stablecoin_tiers]
        finite = [end for end in ends[:-1] if end is not None]
        require_parameter(
            ends[-1:] == [None] and len(finite) == len(ends) - 1 and finite == sorted(set(finite)) and all(end > 0 for end in finite),
            "stablecoin_tiers",
            ends,
            "ascending ends above zero, the last null",
        )
        fractions = [tier.charge_fraction for tier in self.stablecoin_tiers]
        # Rates that rise keep the charge convex, so that splitting a hedge never costs more.
        require_parameter(
            fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1,
            "stablecoin_tiers",
            fractions,
            "fractions in [0, 1] that do not fall",
        )


@dataclass(frozen=True, slots=True)
class ScheduleRate:
    """Rate on the notional of contracts whose residual maturity is at most `up_to_years`; None for any longer one."""

    up_to_years: Decimal | None
    rate_fraction: Decimal


@dataclass(frozen=True, eq=False)
class ScheduleFloorParameters:
    """A floor by the standard schedule for uncleared contracts.

    Attributes:
        floor_fraction: Share of the schedule's margin that is the floor; 0 switches it off.
        gross_fraction: Share of the schedule's gross margin that no netting reduces.
        in_scope: Kinds of contract the schedule is asked for.
        rates: Rates of each asset class by residual maturity, shortest first.
    """

    floor_fraction: Decimal
    gross_fraction: Decimal
    in_scope: frozenset[ScheduleScope]
    rates: Mapping[str, tuple[ScheduleRate, ...]]

    def __post_init__(self) -> None:
        _require_fraction("floor_fraction", self.floor_fraction)
        _require_fraction("gross_fraction", self.gross_fraction)
        for asset_class, rates in self.rates.items():
            finite = [rate.up_to_years for rate in rates[:-1] if rate.up_to_years is not None]
            require_parameter(
                bool(rates) and rates[-1].up_to_years is None and len(finite) == len(rates) - 1 and finite == sorted(set(finite)),
                f"schedule rates of {asset_class}",
                [rate.up_to_years for rate in rates],
                "ascending, the last null",
            )
            for rate in rates:
                _require_fraction(f"schedule rate of {asset_class}", rate.rate_fraction)


@dataclass(frozen=True, slots=True)
class GroupCharges:
    """What one offset group costs to close out, and the least it needs.

    Attributes:
        spread_fraction: Bid-offer spread of the group's main market, as a fraction of price.
        average_daily_volume: Traded value a day, base currency.
        minimum_rate_fraction: Least requirement of the group as a fraction of its net exposure.
    """

    group_id: OffsetGroupId
    spread_fraction: Decimal
    average_daily_volume: Decimal
    minimum_rate_fraction: Decimal

    def __post_init__(self) -> None:
        _require_fraction(f"spread_fraction of {self.group_id}", self.spread_fraction)
        require_parameter(
            self.average_daily_volume > 0, f"average_daily_volume of {self.group_id}", self.average_daily_volume, "more than zero"
        )
        _require_fraction(f"minimum_rate_fraction of {self.group_id}", self.minimum_rate_fraction)


@dataclass(frozen=True, eq=False)
class IssuerGroup:
    """Everything that falls when one issuer does.

    Attributes:
        is_own_issue: True for the operator's own issue, which is no collateral at all.
        moves: The joint shock: simple return of each price, difference of each rate. The curves it names make up the group.
        collateral_limit: Largest value after haircuts that all assets of the issuer may add to equity together, base currency; None for
            no limit.
    """

    issuer_id: str
    is_own_issue: bool
    moves: Mapping[FactorId, Decimal]
    collateral_limit: Decimal | None = None

    def __post_init__(self) -> None:
        require_parameter(bool(self.moves), f"moves of issuer {self.issuer_id}", "empty", "at least one")
        for factor, move in self.moves.items():
            in_range = (factor.kind not in LOG_KINDS or move > -1) and (factor.kind not in RATE_KINDS or abs(move) <= 1)
            require_parameter(
                in_range, f"move of {factor} for issuer {self.issuer_id}", move, "a simple return above -1, or a difference within 1"
            )
        limit = self.collateral_limit
        require_parameter(limit is None or limit >= 0, f"collateral_limit of issuer {self.issuer_id}", limit, "zero or more, or null")

    @property
    def curves(self) -> frozenset[str]:
        """Curves whose instruments belong to the issuer."""
        return frozenset(factor.curve for factor in self.moves)


@dataclass(frozen=True, eq=False)
class ChargeParameters:
    """Parameters of every charge.

    Attributes:
        short_option_fraction: Least requirement of a short option as a fraction of its notional.
        groups: One row for each offset group.
    """

    liquidity: LiquidityParameters
    basis: BasisParameters
    short_option_fraction: Decimal
    depeg: DepegParameters
    schedule_floor: ScheduleFloorParameters
    groups: tuple[GroupCharges, ...]
    issuers: tuple[IssuerGroup, ...]

    def __post_init__(self) -> None:
        _require_fraction("short_option_fraction", self.short_option_fraction)

    def check_fits(self, class_of_group: Mapping[OffsetGroupId, str], curves: frozenset[str]) -> None:
        """Raise INVALID_RISK_PARAMETERS unless every offset group has its row and everything named here exists.

        `class_of_group` holds the asset class of each offset group, `curves` every curve that belongs to one.
        """
        charged, known = {group.group_id for group in self.groups}, set(class_of_group)
        require_parameter(
            charged == known, "groups of charges", sorted(charged ^ known), "one row for each offset group, no more and no fewer"
        )
        if self.schedule_floor.floor_fraction:
            without = sorted(set(class_of_group.values()) - set(self.schedule_floor.rates))
            require_parameter(not without, "schedule rates", f"none for {', '.join(without)}", "rates for every asset class")
        for issuer in self.issuers:
            strangers = sorted(issuer.curves - curves)
            require_parameter(not strangers, f"moves of issuer {issuer.issuer_id}", strangers, "curves of some offset group")
        limited = Counter(curve for issuer in self.issuers if issuer.collateral_limit is not None for curve in issuer.curves)
        twice = sorted(curve for curve, count in limited.items() if count > 1)
        require_parameter(not twice, "issuers with a collateral_limit", f"several for {', '.join(twice)}", "at most one for each curve")


def _require_fraction(name: str, value: Decimal) -> None:
    require_parameter(0 <= value <= 1, name, value, "in [0, 1]")
