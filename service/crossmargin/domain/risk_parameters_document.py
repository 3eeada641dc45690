"""How a parameter set is spelt: a JSON document that says every value once, and is refused for what it lacks, repeats or misspells."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

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
from crossmargin.domain.market import FactorId
from crossmargin.domain.market_clock import HorizonClock, WeeklyClose
from crossmargin.domain.market_quality_parameters import BreakerLimits, MarketQualityParameters, QuoteKind, QuoteRule
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
from crossmargin.domain.monitor_parameters import FIRST_MONITOR, MonitorParameters
from crossmargin.domain.risk_parameters import (
    BandLines,
    CrisisWindow,
    FactorProxy,
    OffsetGroup,
    RiskParameters,
    StressEvent,
)

KindOfRange = TypeVar("KindOfRange", ScanRange, ValuationRange)


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
    monitor = _monitor(document["monitor"]) if "monitor" in document else FIRST_MONITOR
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
