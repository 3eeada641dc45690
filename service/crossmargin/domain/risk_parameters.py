"""The versioned methodology: every number the engine uses that is not a position or a price."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, TypeVar

from crossmargin.domain.charge_parameters import (
    BasisParameters,
    ChargeParameters,
    ChargeTier,
    GroupCharges,
    IssuerGroup,
    LiquidityParameters,
    ScheduleFloorParameters,
    ScheduleRate,
    ScheduleScope,
)
from crossmargin.domain.collateral import CollateralPolicy, CollateralTerms, HaircutTier, MaturityBand
from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.expectation import require_parameter
from crossmargin.domain.identifiers import OffsetGroupId, RiskParameterSetId
from crossmargin.domain.liquidation_parameters import FIRST_LIQUIDATION, LiquidationParameters
from crossmargin.domain.market import LOG_KINDS, FactorId
from crossmargin.domain.market_clock import HorizonClock, WeeklyClose
from crossmargin.domain.market_quality_parameters import BreakerLimits, MarketQualityParameters, QuoteKind, QuoteRule
from crossmargin.domain.methodology import Methodology, methodology_unavailable
from crossmargin.domain.methodology_parameters import (
    ByUnderlying,
    MethodologyParameters,
    RateBand,
    RatioParameters,
    RatioRates,
    Row,
    ScanRange,
    SpanParameters,
    TimsParameters,
    ValuationRange,
)
from crossmargin.domain.monitor_parameters import MonitorParameters

KindOfRange = TypeVar("KindOfRange", ScanRange, ValuationRange)


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


_FIRST_MONITOR: Final = MonitorParameters(Decimal("0.02"), Decimal("0.75"), Decimal("1.25"), Decimal("0.1"))


@dataclass(frozen=True, slots=True)
class BandLines:
    """Utilization at which each band begins."""

    watch: Decimal
    at_risk: Decimal
    margin_call: Decimal
    liquidation: Decimal


@dataclass(frozen=True, eq=False)
class RiskParameters:
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
    monitor: MonitorParameters = _FIRST_MONITOR
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


def risk_parameters_from_json(text: str) -> RiskParameters:
    """Return the parameter set that a JSON document spells. Numbers are decimal strings, fractions and not percents.

    The document is kept in canonical form (sorted keys, no spaces), so that equal content has an equal hash.

    Raises:
        DomainError: INVALID_RISK_PARAMETERS naming the key that is missing, unknown or out of range.
    """
    try:
        document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise DomainError(Reason.INVALID_RISK_PARAMETERS, f"risk parameters are not JSON: {error}") from None
    try:
        return _from_document(document)
    except KeyError as error:
        raise DomainError(Reason.INVALID_RISK_PARAMETERS, f"risk parameters lack the key {error}", key=error.args[0]) from None
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise DomainError(Reason.INVALID_RISK_PARAMETERS, f"risk parameters have a value of the wrong form: {error!r}") from None


def _from_document(document: dict[str, Any]) -> RiskParameters:
    _refuse_unknown_keys(document, RiskParameters)
    _refuse_duplicates("offset group", [item["group_id"] for item in document["offset_groups"]])
    _refuse_duplicates("proxy of curve", [item["curve"] for item in document["proxies"]])
    _refuse_duplicates("stress event", [item["name"] for item in document["stress_events"]])
    _refuse_duplicates("crisis window", [item["name"] for item in document["crisis_windows"]])
    _refuse_duplicates("haircut schedule row", [item["collateral_class"] for item in document["haircut_schedule"]])
    supplies = document.get("circulating_supply", [])
    monitor = _monitor(document["monitor"]) if "monitor" in document else _FIRST_MONITOR
    _refuse_duplicates("circulating supply of curve", [item["curve"] for item in supplies])
    return RiskParameters(
        set_id=RiskParameterSetId(document["set_id"]),
        tail_fraction=_decimal(document["tail_fraction"]),
        ordinary_weight=_decimal(document["ordinary_weight"]),
        observation_count=_whole(document["observation_count"]),
        minimum_observation_count=_whole(document["minimum_observation_count"]),
        volatility_decay=_decimal(document["volatility_decay"]),
        scaling_floor=_decimal(document["scaling_floor"]),
        scaling_cap=_decimal(document["scaling_cap"]),
        maximum_carry_days=_whole(document["maximum_carry_days"]),
        offset_within_class=_decimal(document["offset_within_class"]),
        offset_across_classes=_decimal(document["offset_across_classes"]),
        initial_margin_multiple=_decimal(document["initial_margin_multiple"]),
        bands=BandLines(**{name: _decimal(line) for name, line in document["bands"].items()}),
        stress_vol_response=_decimal(document["stress_vol_response"]),
        fx_mismatch_haircut_fraction=_decimal(document["fx_mismatch_haircut_fraction"]),
        fx_mismatch_days=_whole(document["fx_mismatch_days"]),
        offset_groups=tuple(_offset_group(item) for item in document["offset_groups"]),
        proxies=tuple(_factor_proxy(item) for item in document["proxies"]),
        stress_events=tuple(_stress_event(item) for item in document["stress_events"]),
        crisis_windows=tuple(_crisis_window(item) for item in document["crisis_windows"]),
        isolation_benefit_fraction=_decimal(document["isolation_benefit_fraction"]),
        haircut_schedule={item["collateral_class"]: _collateral_terms(item) for item in document["haircut_schedule"]},
        # A set that was stored before there was a choice says what it always said.
        default_policy=CollateralPolicy(document.get("default_policy", CollateralPolicy.RISKED.value)),
        circulating_supply=dict(map(_supply, supplies)),
        charges=_charges(document["charges"]),
        market_quality=_market_quality(document["market_quality"]),
        document=json.dumps(document, sort_keys=True, separators=(",", ":"), default=str),
        methodologies=_methodologies(document["methodologies"]) if "methodologies" in document else None,
        monitor=monitor,
        liquidation=_liquidation(document["liquidation"]) if "liquidation" in document else _first_liquidation(monitor),
    )


def _offset_group(item: dict[str, Any]) -> OffsetGroup:
    _refuse_unknown_keys(item, OffsetGroup)
    return OffsetGroup(
        group_id=OffsetGroupId(item["group_id"]),
        asset_class=item["asset_class"],
        mpor_days=_whole(item["mpor_days"]),
        mpor_clock=HorizonClock(item["mpor_clock"]),
        curves=tuple(item["curves"]),
    )


def _factor_proxy(item: dict[str, Any]) -> FactorProxy:
    _refuse_unknown_keys(item, FactorProxy)
    own_part = _decimal(item.get("idiosyncratic_fraction", "0"))
    return FactorProxy(item["curve"], item["proxy_curve"], _decimal(item["beta"]), own_part)


def _stress_event(item: dict[str, Any]) -> StressEvent:
    _refuse_unknown_keys(item, StressEvent)
    return StressEvent(
        name=item["name"],
        source=item["source"],
        both_directions=_flag(item["both_directions"]),
        moves={FactorId.parse(factor): _decimal(move) for factor, move in item["moves"].items()},
        default_class_moves={name: _decimal(move) for name, move in item.get("default_class_moves", {}).items()},
        last_day=_optional_day(item.get("last_day")),
    )


def _crisis_window(item: dict[str, Any]) -> CrisisWindow:
    _refuse_unknown_keys(item, CrisisWindow)
    first_day, last_day = date.fromisoformat(item["first_day"]), date.fromisoformat(item["last_day"])
    days = tuple(date.fromisoformat(day) for day in item.get("days", ()))
    return CrisisWindow(item["name"], item["source"], first_day, last_day, item.get("event"), days)


def _collateral_terms(item: dict[str, Any]) -> CollateralTerms:
    _refuse_unknown_keys(item, CollateralTerms)
    return CollateralTerms(
        collateral_class=item["collateral_class"],
        residual_haircut_fraction=_decimal(item["residual_haircut_fraction"]),
        bands=tuple(_maturity_band(band) for band in item["bands"]),
        share_limit_fraction=_optional_decimal(item.get("share_limit_fraction")),
        absolute_limit=_optional_decimal(item.get("absolute_limit")),
        has_fx_mismatch=_flag(item.get("has_fx_mismatch", False)),
        volume_limit_fraction=_optional_decimal(item.get("volume_limit_fraction")),
        supply_limit_fraction=_optional_decimal(item.get("supply_limit_fraction")),
        house_limit=_optional_decimal(item.get("house_limit")),
        house_supply_fraction=_optional_decimal(item.get("house_supply_fraction")),
    )


def _maturity_band(item: dict[str, Any]) -> MaturityBand:
    _refuse_unknown_keys(item, MaturityBand)
    return MaturityBand(_optional_decimal(item["up_to_years"]), tuple(_haircut_tier(tier) for tier in item["tiers"]))


def _haircut_tier(item: dict[str, Any]) -> HaircutTier:
    _refuse_unknown_keys(item, HaircutTier)
    return HaircutTier(_optional_decimal(item["up_to"]), _decimal(item["haircut_fraction"]))


def _supply(item: dict[str, Any]) -> tuple[str, Decimal]:
    require_parameter(set(item) == {"curve", "units"}, "keys of a circulating supply", sorted(item), "curve and units")
    return item["curve"], _decimal(item["units"])


def _charges(item: dict[str, Any]) -> ChargeParameters:
    _refuse_unknown_keys(item, ChargeParameters)
    _refuse_duplicates("charges of offset group", [group["group_id"] for group in item["groups"]])
    _refuse_duplicates("issuer", [issuer["issuer_id"] for issuer in item["issuers"]])
    return ChargeParameters(
        liquidity=_liquidity(item["liquidity"]),
        basis=_basis(item["basis"]),
        short_option_fraction=_decimal(item["short_option_fraction"]),
        depeg=_depeg(item["depeg"]),
        schedule_floor=_schedule_floor(item["schedule_floor"]),
        groups=tuple(_group_charges(group) for group in item["groups"]),
        issuers=tuple(_issuer_group(issuer) for issuer in item["issuers"]),
    )


def _liquidity(item: dict[str, Any]) -> LiquidityParameters:
    _refuse_unknown_keys(item, LiquidityParameters)
    return LiquidityParameters(**{field.name: _decimal(item[field.name]) for field in fields(LiquidityParameters)})


def _depeg(item: dict[str, Any]) -> DepegParameters:
    _refuse_unknown_keys(item, DepegParameters)
    return DepegParameters(
        mild_price=_decimal(item["mild_price"]),
        haircut_slope=_decimal(item["haircut_slope"]),
        ineligible_price=_decimal(item["ineligible_price"]),
        # A set that was stored before there was a slow price says what it always said: the market's own, and no clock.
        slow_rise_per_day=_optional_decimal(item.get("slow_rise_per_day")),
        longest_hours=_optional_decimal(item.get("longest_hours")),
        recovery_hours=_decimal(item.get("recovery_hours", "0")),
    )


def _basis(item: dict[str, Any]) -> BasisParameters:
    _refuse_unknown_keys(item, BasisParameters)
    return BasisParameters(
        perpetual_fraction=_decimal(item["perpetual_fraction"]),
        dated_fraction=_decimal(item["dated_fraction"]),
        stablecoin_tiers=tuple(_charge_tier(tier) for tier in item["stablecoin_tiers"]),
    )


def _charge_tier(item: dict[str, Any]) -> ChargeTier:
    _refuse_unknown_keys(item, ChargeTier)
    return ChargeTier(_optional_decimal(item["up_to"]), _decimal(item["charge_fraction"]))


def _schedule_floor(item: dict[str, Any]) -> ScheduleFloorParameters:
    _refuse_unknown_keys(item, ScheduleFloorParameters)
    return ScheduleFloorParameters(
        floor_fraction=_decimal(item["floor_fraction"]),
        gross_fraction=_decimal(item["gross_fraction"]),
        in_scope=frozenset(ScheduleScope(kind) for kind in item["in_scope"]),
        rates={asset_class: tuple(_schedule_rate(rate) for rate in rates) for asset_class, rates in item["rates"].items()},
    )


def _schedule_rate(item: dict[str, Any]) -> ScheduleRate:
    _refuse_unknown_keys(item, ScheduleRate)
    return ScheduleRate(_optional_decimal(item["up_to_years"]), _decimal(item["rate_fraction"]))


def _group_charges(item: dict[str, Any]) -> GroupCharges:
    _refuse_unknown_keys(item, GroupCharges)
    return GroupCharges(
        group_id=OffsetGroupId(item["group_id"]),
        spread_fraction=_decimal(item["spread_fraction"]),
        average_daily_volume=_decimal(item["average_daily_volume"]),
        minimum_rate_fraction=_decimal(item["minimum_rate_fraction"]),
    )


def _issuer_group(item: dict[str, Any]) -> IssuerGroup:
    _refuse_unknown_keys(item, IssuerGroup)
    moves = {FactorId.parse(factor): _decimal(move) for factor, move in item["moves"].items()}
    return IssuerGroup(item["issuer_id"], _flag(item["is_own_issue"]), moves, _optional_decimal(item.get("collateral_limit")))


def _market_quality(item: dict[str, Any]) -> MarketQualityParameters:
    _refuse_unknown_keys(item, MarketQualityParameters)
    close, breakers = item["weekly_close"], item["breakers"]
    _refuse_unknown_keys(close, WeeklyClose)
    _refuse_unknown_keys(breakers, BreakerLimits)
    return MarketQualityParameters(
        minimum_sources=_whole(item["minimum_sources"]),
        confirming_sources=_whole(item["confirming_sources"]),
        confirming_ticks=_whole(item["confirming_ticks"]),
        weekly_close=WeeklyClose(_whole(close["friday_hour"]), _whole(close["sunday_hour"])),
        rules=tuple(_quote_rule(rule) for rule in item["rules"]),
        breakers=BreakerLimits(
            calls_per_minute=_whole(breakers["calls_per_minute"]),
            liquidations_per_minute=_whole(breakers["liquidations_per_minute"]),
            concentration_fraction=_decimal(breakers["concentration_fraction"]),
            concentration_accounts=_whole(breakers["concentration_accounts"]),
        ),
    )


def _monitor(item: dict[str, Any]) -> MonitorParameters:
    _refuse_unknown_keys(item, MonitorParameters)
    return MonitorParameters(**{field.name: _decimal(item[field.name]) for field in fields(MonitorParameters)})


def _liquidation(item: dict[str, Any]) -> LiquidationParameters:
    _refuse_unknown_keys(item, LiquidationParameters)
    return LiquidationParameters(
        target_utilization=_decimal(item["target_utilization"]),
        impact_coefficient=_decimal(item["impact_coefficient"]),
        piece_volume_fraction=_decimal(item["piece_volume_fraction"]),
        most_pieces=_whole(item["most_pieces"]),
        smallest_sale=_decimal(item["smallest_sale"]),
        limit_tolerance_fraction=_decimal(item["limit_tolerance_fraction"]),
        end_tolerance=_decimal(item["end_tolerance"]),
        lifetime_minutes=_whole(item["lifetime_minutes"]),
        report_minutes=_whole(item["report_minutes"]),
    )


def _first_liquidation(monitor: MonitorParameters) -> LiquidationParameters:
    """Return what a set says that was stored before it said anything: the first figures, with a target that its monitor takes."""
    return replace(FIRST_LIQUIDATION, target_utilization=min(FIRST_LIQUIDATION.target_utilization, monitor.liquidation_end))


def _quote_rule(item: dict[str, Any]) -> QuoteRule:
    _refuse_unknown_keys(item, QuoteRule)
    limits = {field.name: _decimal(item[field.name]) for field in fields(QuoteRule) if field.name not in {"kind", "clock"}}
    return QuoteRule(kind=QuoteKind(item["kind"]), clock=HorizonClock(item["clock"]), **limits)


def _methodologies(item: dict[str, Any]) -> MethodologyParameters:
    _refuse_unknown_keys(item, MethodologyParameters)
    span, tims, ratio = item["span_grid"], item["tims_grid"], item["ratio"]
    _refuse_unknown_keys(span, SpanParameters)
    _refuse_unknown_keys(tims, TimsParameters)
    _refuse_unknown_keys(ratio, RatioParameters)
    return MethodologyParameters(
        span_grid=SpanParameters(
            extreme_multiple=_decimal(span["extreme_multiple"]),
            cover_fraction=_decimal(span["cover_fraction"]),
            scan_ranges=_by_underlying(span["scan_ranges"], lambda row: _optional_numbers(row, ScanRange)),
        ),
        tims_grid=TimsParameters(
            contract_minimum=_decimal(tims["contract_minimum"]),
            valuation_ranges=_by_underlying(tims["valuation_ranges"], lambda row: _optional_numbers(row, ValuationRange)),
        ),
        ratio=RatioParameters(_by_underlying(ratio["rates"], _ratio_rates)),
    )


def _by_underlying(item: dict[str, Any], row: Callable[[dict[str, Any]], Row]) -> ByUnderlying[Row]:
    _refuse_unknown_keys(item, ByUnderlying)
    return ByUnderlying(
        classes={name: row(part) for name, part in item["classes"].items()},
        groups={OffsetGroupId(name): row(part) for name, part in item["groups"].items()},
    )


def _ratio_rates(item: dict[str, Any]) -> RatioRates:
    _refuse_unknown_keys(item, RatioRates)
    return RatioRates(tuple(_rate_band(band) for band in item["bands"]))


def _rate_band(item: dict[str, Any]) -> RateBand:
    _refuse_unknown_keys(item, RateBand)
    up_to_years = _optional_decimal(item["up_to_years"])
    return RateBand(up_to_years, _decimal(item["initial_fraction"]), _decimal(item["maintenance_fraction"]))


def _optional_numbers(item: dict[str, Any], kind: type[KindOfRange]) -> KindOfRange:
    """Return a dataclass all of whose fields are decimals or None, which a key that is not there means."""
    _refuse_unknown_keys(item, kind)
    return kind(**{field.name: _optional_decimal(item.get(field.name)) for field in fields(kind)})


def _decimal(value: str | int | Decimal) -> Decimal:
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{value} is not a finite number")
    return number


def _optional_decimal(value: str | int | Decimal | None) -> Decimal | None:
    return None if value is None else _decimal(value)


def _optional_day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)


def _whole(value: str | int | Decimal) -> int:
    number = _decimal(value)
    if number != int(number):
        raise ValueError(f"{value} is not a whole number")
    return int(number)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _refuse_unknown_keys(item: dict[str, Any], kind: type[Any]) -> None:
    # A misspelt limit would otherwise be no limit.
    expected = {field.name for field in fields(kind) if field.name != "document"}
    if unknown := sorted(set(item) - expected):
        raise DomainError(
            Reason.INVALID_RISK_PARAMETERS,
            f"risk parameters have unknown keys {', '.join(unknown)} in {kind.__name__}; expected {', '.join(sorted(expected))}",
            keys=unknown,
            expected=sorted(expected),
        )


def _refuse_duplicates(noun: str, names: list[str]) -> None:
    for name, count in Counter(names).items():
        require_parameter(count == 1, f"{noun} {name}", f"there {count} times", "once")
