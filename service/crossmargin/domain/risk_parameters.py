"""The versioned methodology: every number the engine uses that is not a position or a price."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import cached_property

from crossmargin.domain.charge_parameters import (
    ChargeParameters,
)
from crossmargin.domain.collateral import CollateralPolicy, CollateralTerms
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.expectation import require_parameter
from crossmargin.domain.identifiers import OffsetGroupId, RiskParameterSetId
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION, LiquidationParameters
from crossmargin.domain.market import LOG_KINDS, FactorId
from crossmargin.domain.market_clock import HorizonClock
from crossmargin.domain.market_quality_parameters import MarketQualityParameters
from crossmargin.domain.methodology import Methodology, methodology_unavailable
from crossmargin.domain.methodology_parameters import (
    MethodologyParameters,
)
from crossmargin.domain.monitor_parameters import FIRST_MONITOR, MonitorParameters
from crossmargin.domain.worked_out_once import WorkedOutOnce


@dataclass(frozen=True, slots=True)
class OffsetGroup:
    """An economic underlying: profits and losses inside it offset in full.

    Attributes:
        asset_class: CRYPTO, FX, EQUITY_INDEX, COMMODITY, FIXED_INCOME or CREDIT.
        mpor_days: Margin period of risk: how long it takes to close out; every shock of the group spans it.
        curves: Risk factors without tenor that belong to the group, such as `spot:BTC` and `vol:BTC`.
    """

    group_id: OffsetGroupId
    asset_class: str
    mpor_days: int
    mpor_clock: HorizonClock
    curves: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FactorProxy:
    """Stands in for a curve without history: beta x the proxy's shock at the same tenor, and a part of its own; recorded in the result.

    Attributes:
        idiosyncratic_fraction: Size of the part of the ordinary shocks that the proxy does not explain, as a fraction of the size of the
            proxy's shocks (root mean square). Without it a position would be hedged to the last dollar by one in the proxy.
    """

    curve: str
    proxy_curve: str
    beta: Decimal
    idiosyncratic_fraction: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        fraction = self.idiosyncratic_fraction
        require_parameter(0 <= fraction <= 10, f"idiosyncratic_fraction of proxy of {self.curve}", fraction, "0 to 10")


@dataclass(frozen=True, slots=True)
class StressEvent:
    """A published crisis or a hypothetical one.

    Attributes:
        moves: Move of each factor: simple return for prices, FX and volatilities (-0.25 is a fall by a quarter), difference for rates,
            carry and spreads (0.01 is +100 bp) and for prices that may be negative, in USD.
        default_class_moves: Simple return of every spot factor of an asset class that `moves` does not name.
        both_directions: True for hypothetical events, which also come with the opposite sign (log-returns negated).
        source: Where the figures come from, or "house" for the house's own choice.
        last_day: Day on which something that happened was over; None for a hypothetical event. A backtest uses it from that day on.
    """

    name: str
    source: str
    both_directions: bool
    moves: Mapping[FactorId, Decimal]
    default_class_moves: Mapping[str, Decimal]
    last_day: date | None = None

    def __post_init__(self) -> None:
        returns = {str(factor): move for factor, move in self.moves.items() if factor.kind in LOG_KINDS} | dict(self.default_class_moves)
        for name, move in returns.items():
            require_parameter(move > -1, f"move of {name} in stress event {self.name}", move, "a simple return above -1")


@dataclass(frozen=True, slots=True)
class CrisisWindow:
    """A named crisis whose days of history are stress scenarios, each day the start of one margin period.

    Attributes:
        last_day: Last day on which a margin period starts.
        days: The days that count, ascending; empty for all from the first to the last.
        event: Name of the stress event whose published moves stand in for factors without history in the window; None for none.
    """

    name: str
    source: str
    first_day: date
    last_day: date
    event: str | None = None
    days: tuple[date, ...] = ()

    def __post_init__(self) -> None:
        require_parameter(
            self.first_day <= self.last_day, f"last_day of crisis window {self.name}", self.last_day, f"{self.first_day} or later"
        )
        is_inside = all(self.first_day <= day <= self.last_day for day in self.days)
        require_parameter(
            is_inside and list(self.days) == sorted(set(self.days)),
            f"days of crisis window {self.name}",
            ", ".join(map(str, self.days[:4])),
            f"ascending days from {self.first_day} to {self.last_day}",
        )


@dataclass(frozen=True, slots=True)
class BandLines:
    """Utilization at which each band begins."""

    watch: Decimal
    at_risk: Decimal
    margin_call: Decimal
    liquidation: Decimal


@dataclass(frozen=True, eq=False)
class RiskParameters(WorkedOutOnce):
    """One parameter set.

    Attributes:
        tail_fraction: alpha, the share of probability in the tail.
        ordinary_weight: Total weight of the ordinary scenarios; the stress scenarios share the rest.
        observation_count: Ordinary scenarios wanted. minimum_observation_count: fewer are refused.
        volatility_decay: EWMA lambda per day; scaling_floor and scaling_cap clamp the ratio of today's volatility to that of the day.
        maximum_carry_days: How long a closed market may carry its last level before its history counts as ended.
        offset_within_class: rho1, recognised share of the diversification between groups of one asset class.
        offset_across_classes: rho2, the same across asset classes. In an isolated account both are 1.
        initial_margin_multiple: Initial over maintenance margin.
        stress_vol_response: Log move of implied volatilities per unit of absolute log move of their spot, in stress events that name no
            volatility.
        fx_mismatch_haircut_fraction: Haircut on pledged money of another currency over `fx_mismatch_days`; scales with the square root of
            the margin period.
        crisis_windows: Crises, some or all of whose days are stress scenarios, as far as the history goes.
        isolation_benefit_fraction: A contract whose margin falls by less than this share for being held with the rest is named as one
            that could as well be isolated; advice, which changes no requirement.
        default_policy: How a holding counts for which its account says nothing.
        circulating_supply: Units in circulation of the assets priced by each curve, such as `spot:RLUSD`, for limits by supply.
        charges: Parameters of what is added to the market requirement.
        market_quality: How quotes become a market, and how far its levels can be believed.
        methodologies: Parameters of the methodologies beside the expected shortfall; None in a set from before there were any.
        monitor: How the monitor remembers bands; a set from before it did has the shipped figures.
        liquidation: How accounts are liquidated; a set from before it said so has the shipped figures.
    """

    set_id: RiskParameterSetId
    tail_fraction: Decimal
    ordinary_weight: Decimal
    observation_count: int
    minimum_observation_count: int
    volatility_decay: Decimal
    scaling_floor: Decimal
    scaling_cap: Decimal
    maximum_carry_days: int
    offset_within_class: Decimal
    offset_across_classes: Decimal
    initial_margin_multiple: Decimal
    bands: BandLines
    stress_vol_response: Decimal
    fx_mismatch_haircut_fraction: Decimal
    fx_mismatch_days: int
    offset_groups: tuple[OffsetGroup, ...]
    proxies: tuple[FactorProxy, ...]
    stress_events: tuple[StressEvent, ...]
    crisis_windows: tuple[CrisisWindow, ...]
    isolation_benefit_fraction: Decimal
    haircut_schedule: Mapping[str, CollateralTerms]
    default_policy: CollateralPolicy
    circulating_supply: Mapping[str, Decimal]
    charges: ChargeParameters
    market_quality: MarketQualityParameters
    document: str
    methodologies: MethodologyParameters | None = None
    monitor: MonitorParameters = FIRST_MONITOR
    liquidation: LiquidationParameters = FIRST_LIQUIDATION

    def __post_init__(self) -> None:
        require_parameter(0 < self.tail_fraction < 1, "tail_fraction", self.tail_fraction, "between 0 and 1")
        require_parameter(0 < self.ordinary_weight <= 1, "ordinary_weight", self.ordinary_weight, "in (0, 1]")
        require_parameter(
            1 <= self.minimum_observation_count <= self.observation_count,
            "minimum_observation_count",
            self.minimum_observation_count,
            f"1 to observation_count {self.observation_count}",
        )
        require_parameter(0 < self.volatility_decay < 1, "volatility_decay", self.volatility_decay, "between 0 and 1")
        require_parameter(
            0 < self.scaling_floor <= 1 <= self.scaling_cap,
            "scaling_floor",
            self.scaling_floor,
            "at most 1, scaling_cap at least 1",
        )
        require_parameter(
            0 <= self.offset_across_classes <= self.offset_within_class <= 1,
            "offset_within_class",
            self.offset_within_class,
            "1 >= offset_within_class >= offset_across_classes >= 0",
        )
        require_parameter(self.initial_margin_multiple >= 1, "initial_margin_multiple", self.initial_margin_multiple, "at least 1")
        require_parameter(self.maximum_carry_days >= 0, "maximum_carry_days", self.maximum_carry_days, "zero or more")
        require_parameter(self.stress_vol_response >= 0, "stress_vol_response", self.stress_vol_response, "zero or more")
        require_parameter(
            0 <= self.fx_mismatch_haircut_fraction < 1, "fx_mismatch_haircut_fraction", self.fx_mismatch_haircut_fraction, "in [0, 1)"
        )
        require_parameter(self.fx_mismatch_days >= 1, "fx_mismatch_days", self.fx_mismatch_days, "at least 1")
        lines = (self.bands.watch, self.bands.at_risk, self.bands.margin_call, self.bands.liquidation)
        require_parameter(
            lines == tuple(sorted(set(lines))) and lines[0] > 0,
            "bands",
            lines,
            "four ascending utilizations above zero",
        )
        require_parameter(
            self.stress_events != () or self.ordinary_weight == 1,
            "stress_events",
            "empty",
            "at least one, or ordinary_weight 1",
        )
        # A plan that ends above it would be done, and leave its account in liquidation all the same.
        end = self.monitor.liquidation_end
        require_parameter(
            self.liquidation.target_utilization <= end,
            "target_utilization of liquidations",
            self.liquidation.target_utilization,
            f"at most liquidation_end {end} of the monitor",
        )
        require_parameter(
            0 <= self.isolation_benefit_fraction <= 1, "isolation_benefit_fraction", self.isolation_benefit_fraction, "in [0, 1]"
        )
        # The history may reach none of the windows: named events are what the stress weight can always rest on.
        require_parameter(self.crisis_windows == () or self.stress_events != (), "crisis_windows", "there without stress_events", "empty")
        events = {event.name for event in self.stress_events}
        for window in self.crisis_windows:
            known = window.event is None or window.event in events
            require_parameter(known, f"event of crisis window {window.name}", window.event, "the name of a stress event, or none")
        claimed: dict[str, OffsetGroupId] = {}
        for group in self.offset_groups:
            require_parameter(1 <= group.mpor_days <= 30, f"mpor_days of {group.group_id}", group.mpor_days, "1 to 30")
            for curve in group.curves:
                require_parameter(
                    curve not in claimed,
                    f"curve {curve}",
                    f"in {claimed.get(curve)} and {group.group_id}",
                    "one offset group only",
                )
                claimed[curve] = group.group_id
        for curve, units in self.circulating_supply.items():
            require_parameter(
                curve in claimed, f"curve of circulating supply {curve}", "in no offset group", "a curve of some offset group"
            )
            require_parameter(units > 0, f"circulating supply of {curve}", units, "more than zero")
        class_of_group = {group.group_id: group.asset_class for group in self.offset_groups}
        self.charges.check_fits(class_of_group, frozenset(claimed))
        if self.methodologies is not None:
            curves_of_group = {group.group_id: group.curves for group in self.offset_groups}
            self.methodologies.check_fits(class_of_group, curves_of_group)

    def check_methodology(self, methodology: Methodology) -> None:
        """Raise METHODOLOGY_UNAVAILABLE unless this set says all that a methodology needs for every offset group."""
        if methodology is Methodology.STANDARD_SCHEDULE:
            without = sorted({group.asset_class for group in self.offset_groups} - set(self.charges.schedule_floor.rates))
            if without:
                raise methodology_unavailable(methodology, self.set_id, f"rates of the standard schedule for {', '.join(without)}")
        elif methodology is not Methodology.EXPECTED_SHORTFALL and self.methodologies is None:
            raise methodology_unavailable(methodology, self.set_id, "methodologies")

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the document this set was read from, hexadecimal."""
        return hashlib.sha256(self.document.encode()).hexdigest()

    @cached_property
    def group_of_curve(self) -> Mapping[str, OffsetGroup]:
        """The offset group of each curve (a factor without its tenor)."""
        return {curve: group for group in self.offset_groups for curve in group.curves}

    @cached_property
    def proxy_of_curve(self) -> Mapping[str, FactorProxy]:
        """The proxy of each curve that has one."""
        return {proxy.curve: proxy for proxy in self.proxies}

    def group_of(self, factor: FactorId) -> OffsetGroup:
        """Return the offset group that a factor belongs to.

        Raises:
            DomainError: UNMAPPED_RISK_FACTOR when no group of this set claims its curve.
        """
        try:
            return self.group_of_curve[factor.curve]
        except KeyError:
            raise DomainError(
                Reason.UNMAPPED_RISK_FACTOR,
                f"risk factor {factor} belongs to no offset group of risk parameters {self.set_id}; add its curve {factor.curve} to one",
                factor=factor,
                parameter_set=self.set_id,
            ) from None


def known_on(parameters: RiskParameters, day: date) -> RiskParameters:
    """Return the parameters without the stress events that were still to come at the end of a day.

    A crisis window that names such an event goes with it: before its event a crisis had no name. Hypothetical events stay, because
    when the house thought of them is not recorded.
    """
    events = tuple(event for event in parameters.stress_events if event.last_day is None or event.last_day <= day)
    names = {event.name for event in events}
    windows = tuple(window for window in parameters.crisis_windows if window.event is None or window.event in names)
    return replace(parameters, stress_events=events, crisis_windows=windows)
