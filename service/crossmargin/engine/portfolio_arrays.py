"""The border between exact decimals and float64: every crossing, in both directions, each with its rounding."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.account import AccountMode
from crossmargin.domain.charge_parameters import GroupCharges, ScheduleFloorParameters, ScheduleScope
from crossmargin.domain.collateral import CollateralPolicy, CollateralTerms
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.holding_columns import HoldingColumns, names_of
from crossmargin.domain.identifiers import AccountRef, InstrumentId, OffsetGroupId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.methodology_parameters import ByUnderlying, MethodologyParameters, Row
from crossmargin.domain.money import EXACT
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByHolding, Index
from crossmargin.engine.methodologies.standard_schedule import ScheduleBand, StandardScheduleParameters
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket

SLACK_FRACTION: Final = 1e-12
"""Float noise of a sum, as a fraction of the absolute amounts that went into it: some thousand times what float64 sums really lose."""
LARGEST_SLACK: Final = 0.001
"""Base currency: a tenth of a cent, so that slack never swallows money that shows."""

_FRACTION_UNIT: Final = Decimal("0.000001")
_NO_CENTS: Final = Decimal("0.00")
_RISKED_FRACTIONS: Final = {CollateralPolicy.RISKED: 1.0, CollateralPolicy.PLEDGED: 0.0, CollateralPolicy.AUTO: math.nan}


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioArrays:
    """One account's holdings along axis H, in the order of the portfolio.

    Attributes:
        holdings: What is held, exactly. instruments: Its terms.
        policies: How each would count as collateral if it is positive and an asset or bond.
        risked_fraction: [H] share of each that is risked when it is collateral; NaN where policy AUTO has yet to decide.
        may_leave_out: [H] True where policy RISKED may still leave out of the scenarios what costs more there than it adds.
        row: [H] row of the instrument along the market's axis I.
        quantity: [H] signed units. Of assets and bonds that are not owed as many as are worth at the price what is held counts for: fewer
            where a stablecoin's slow price is below its price. cost: [H] in units of the settlement asset.
        owned: [H] units that the owner's accounts of the same mode hold, and held_by_all: those of all clients, as far as is known,
            counted as `quantity` is; at least `quantity`.
        owned_before: [H] units that come before them in tiers and limits, counted likewise: of an isolated account those of the owner's
            cross accounts.
        owner_units: All that the owner's accounts of the same mode hold, and owner_units_before: all that comes before, by instrument.
        owner_liquidity: What the owner's liquidity charge adds to the account, by offset group, base currency. owner_basis: What the
            owner's tiers of the basis charge add to it.
    """

    holdings: Sequence[Holding]
    instruments: tuple[Instrument, ...]
    policies: tuple[CollateralPolicy, ...]
    risked_fraction: ByHolding
    may_leave_out: NDArray[np.bool_]
    row: Index
    quantity: ByHolding
    cost: ByHolding
    owned: ByHolding
    owned_before: ByHolding
    held_by_all: ByHolding
    owner_units: Mapping[InstrumentId, Decimal]
    owner_units_before: Mapping[InstrumentId, Decimal]
    owner_liquidity: Mapping[OffsetGroupId, float]
    owner_basis: float


@dataclass(frozen=True, slots=True)
class GroupChargeRates:
    """What one offset group costs to close out: fractions, days and base currency a day (see `GroupCharges`)."""

    mpor_days: float
    spread_fraction: float
    average_daily_volume: float
    minimum_rate_fraction: float


@dataclass(frozen=True, slots=True, eq=False)
class ChargeRates:
    """Parameters of the charges (see `ChargeParameters`). Fractions, days and base currency; inf where a tier has no end.

    Attributes:
        stablecoin_tiers: (upper end, charge fraction), lowest first.
        issuers: The offset groups of each issuer group, axis J.
        own_issue_curves: Prices of the operator's own issue.
    """

    spread_multiple: float
    base_days: float
    participation_fraction: float
    perpetual_basis_fraction: float
    dated_basis_fraction: float
    stablecoin_tiers: tuple[tuple[float, float], ...]
    short_option_fraction: float
    mild_depeg_price: float
    depeg_haircut_slope: float
    ineligible_price: float
    schedule_floor_fraction: float
    schedule_scope: frozenset[ScheduleScope]
    schedule: StandardScheduleParameters
    groups: Mapping[OffsetGroupId, GroupChargeRates]
    issuers: tuple[frozenset[OffsetGroupId], ...]
    own_issue_curves: frozenset[str]


@dataclass(frozen=True, slots=True)
class MarginRates:
    """Parameters of the requirement. `offset_within_class` is rho1, `offset_across_classes` rho2, `tail_fraction` alpha."""

    tail_fraction: float
    offset_within_class: float
    offset_across_classes: float
    initial_margin_multiple: float
    charges: ChargeRates


@dataclass(frozen=True, slots=True)
class ScanRates:
    """How far a grid moves one offset group; zero for factors that the group has not, or that stand still.

    Attributes:
        price_fall, price_rise: Largest moves of prices, simple returns.
        volatility: Largest move of volatilities, either way, a simple return. rate: Of zero rates and credit spreads, a difference.
        price_difference: Largest move of prices that may be below zero, either way, USD.
    """

    price_fall: float
    price_rise: float
    volatility: float
    rate: float
    price_difference: float


@dataclass(frozen=True, slots=True, eq=False)
class GridRates:
    """Parameters of a grid. `contract_minimum` is that of TIMS, `extreme_multiple` and `cover_fraction` are those of SPAN, else zero."""

    ranges: Mapping[OffsetGroupId, ScanRates]
    contract_minimum: float = 0.0
    extreme_multiple: float = 0.0
    cover_fraction: float = 0.0


@dataclass(frozen=True, slots=True)
class NotionalRate:
    """Initial and maintenance fraction of the notional of what ends within `up_to_years`; inf for the last."""

    up_to_years: float
    initial_fraction: float
    maintenance_fraction: float


@dataclass(frozen=True, slots=True)
class HaircutRates:
    """One row of the haircut schedule. Fractions, years and base currency; inf where there is no limit or end.

    Attributes:
        bands: Longest residual maturity in years, and tiers of (upper end, haircut fraction); shortest band first.
        fx_mismatch_fraction_per_root_day: Extra haircut on pledged value, to be multiplied by the square root of the translation days.
    """

    residual_haircut_fraction: float
    bands: tuple[tuple[float, tuple[tuple[float, float], ...]], ...]
    share_limit_fraction: float
    absolute_limit: float
    volume_limit_fraction: float
    supply_limit_fraction: float
    house_limit: float
    house_supply_fraction: float
    fx_mismatch_fraction_per_root_day: float


@dataclass(frozen=True, slots=True, eq=False)
class HaircutSchedule:
    """The haircut schedule, and what its limits are shares of.

    Attributes:
        rows: By collateral class.
        average_daily_volume: Of each offset group, base currency.
        circulating_supply: Units in circulation of the assets priced by each curve.
        issuer_limits: Curves of an issuer, and what its assets may add to equity together, base currency.
    """

    rows: Mapping[str, HaircutRates]
    average_daily_volume: Mapping[OffsetGroupId, float]
    circulating_supply: Mapping[str, float]
    issuer_limits: tuple[tuple[frozenset[str], float], ...]


def portfolio_arrays(
    portfolio: Portfolio, market: RevaluedMarket, default_policy: CollateralPolicy = CollateralPolicy.RISKED
) -> PortfolioArrays:
    """Return the holdings as arrays. Decimals become the nearest float64. `default_policy` is that of holdings without one.

    Raises:
        DomainError: For a holding that the market could not value, with the market's own reason; UNKNOWN_INSTRUMENT for one that the
            market has never heard of. The message names account and instrument.
    """
    row_of, names = market.row_of, names_of(portfolio.holdings)
    try:
        rows = [row_of[name] for name in names]
    except KeyError as missing:
        raise not_valued(portfolio.account, missing.args[0], market) from None
    row = np.array(rows, dtype=np.int64)
    policies = _policies(portfolio, names, default_policy)
    units, cost = units_and_costs(portfolio.holdings)
    used_fraction = _used_fractions(row, units, market)
    quantity = units * used_fraction
    owned, before = _owned(portfolio)
    added = portfolio.house.owner_liquidity.get(portfolio.account, {})
    return PortfolioArrays(
        holdings=portfolio.holdings,
        instruments=tuple([market.instruments[row] for row in rows]),
        policies=policies,
        risked_fraction=_risked_fractions(portfolio, names, policies),
        may_leave_out=_may_leave_out(portfolio, names, policies),
        row=row,
        quantity=quantity,
        cost=cost,
        owned=np.maximum(quantity, used_fraction * _units_of(owned, names)),
        owned_before=used_fraction * _units_of(before, names),
        held_by_all=np.maximum(quantity, used_fraction * _units_of(portfolio.house.held, names)),
        owner_units=owned,
        owner_units_before=before,
        owner_liquidity={group: float(amount) for group, amount in added.items()},
        owner_basis=float(portfolio.house.owner_basis.get(portfolio.account, 0)),
    )


def units_and_costs(holdings: Sequence[Holding]) -> tuple[ByHolding, ByHolding]:
    """Return [H] signed units and [H] costs: of each decimal the nearest float64, whether it is a number already or still a text.

    >>> [each.tolist() for each in units_and_costs([Holding(InstrumentId("BTC"), Decimal("0.1"), Decimal(0))])]
    [[0.1], [0.0]]
    """
    if isinstance(holdings, HoldingColumns):
        return np.array(list(map(float, holdings.quantities))), np.array(list(map(float, holdings.costs)))
    return np.array([float(holding.quantity) for holding in holdings]), np.array([float(holding.cost) for holding in holdings])


def _policies(portfolio: Portfolio, names: Sequence[InstrumentId], default_policy: CollateralPolicy) -> tuple[CollateralPolicy, ...]:
    chosen = portfolio.policies
    return tuple([chosen.get(name, default_policy) for name in names]) if chosen else (default_policy,) * len(names)


def _risked_fractions(portfolio: Portfolio, names: Sequence[InstrumentId], policies: Sequence[CollateralPolicy]) -> ByHolding:
    decided = portfolio.risked_fractions
    if not decided and not portfolio.policies and policies:
        return np.full(len(policies), _RISKED_FRACTIONS[policies[0]])
    return np.array([float(decided.get(name, _RISKED_FRACTIONS[policy])) for name, policy in zip(names, policies, strict=True)])


def _may_leave_out(portfolio: Portfolio, names: Sequence[InstrumentId], policies: Sequence[CollateralPolicy]) -> NDArray[np.bool_]:
    decided = portfolio.risked_fractions
    if not decided and not portfolio.policies and policies:
        return np.full(len(policies), policies[0] is CollateralPolicy.RISKED)
    may = [policy is CollateralPolicy.RISKED and name not in decided for name, policy in zip(names, policies, strict=True)]
    return np.array(may, dtype=np.bool_)


def _units_of(known: Mapping[InstrumentId, Decimal], names: Sequence[InstrumentId]) -> ByHolding:
    """Return [H] units of the instruments, none of those that nothing is known of."""
    return np.array([float(known.get(name, 0)) for name in names]) if known else np.zeros(len(names))


def _owned(portfolio: Portfolio) -> tuple[Mapping[InstrumentId, Decimal], Mapping[InstrumentId, Decimal]]:
    """Return what the owner's accounts of the account's mode hold together, and what comes before that."""
    client, house = portfolio.account.client_id, portfolio.house
    if portfolio.mode is AccountMode.ISOLATED:
        return house.owned_isolated.get(client, {}), house.owned.get(client, {})
    return house.owned.get(client, {}), {}


def _used_fractions(row: Index, units: ByHolding, market: RevaluedMarket) -> ByHolding:
    """Return [H] what assets and bonds that are not owed count at over their price; 1 for everything else.

    A debt is owed at the price, which is never below the slow price: that is what it costs to buy back.
    """
    if not market.is_slowed:
        return np.ones(len(row))
    is_held = (units >= 0) & market.is_asset_or_bond[row]
    fractions: ByHolding = np.where(is_held, market.used_fraction[market.settlement_row[row]], 1.0)
    return fractions


def position_arrays(positions: Iterable[Position], market: RevaluedMarket) -> tuple[Index, ByHolding]:
    """Return rows along the market's axis I and signed quantities, in the order given. Decimals become the nearest float64.

    Raises:
        DomainError: For an instrument that the market could not value, with the market's own reason; UNKNOWN_INSTRUMENT for one that it
            has never heard of.
    """
    rows, quantities = [], []
    for position in positions:
        row = market.row_of.get(position.instrument_id)
        if row is None:
            raise market.unavailable.get(position.instrument_id) or unknown_to_market(position.instrument_id)
        rows.append(row)
        quantities.append(float(position.quantity))
    return np.array(rows, dtype=np.int64), np.array(quantities, dtype=np.float64)


def unknown_to_market(instrument_id: InstrumentId) -> DomainError:
    """Return the error for an instrument that a market was revalued without."""
    return DomainError(
        Reason.UNKNOWN_INSTRUMENT, f"the market has never heard of {instrument_id}; create it, then read again", instrument=instrument_id
    )


def margin_rates(parameters: RiskParameters, mode: AccountMode) -> MarginRates:
    """Return the rates of an account of this mode. Inside an isolated account all diversification is recognised."""
    is_isolated = mode is AccountMode.ISOLATED
    return MarginRates(
        tail_fraction=float(parameters.tail_fraction),
        offset_within_class=1.0 if is_isolated else float(parameters.offset_within_class),
        offset_across_classes=1.0 if is_isolated else float(parameters.offset_across_classes),
        initial_margin_multiple=float(parameters.initial_margin_multiple),
        charges=charge_rates(parameters),
    )


@lru_cache(maxsize=8)
def charge_rates(parameters: RiskParameters) -> ChargeRates:
    """Return the parameters of the charges. They are the same for accounts of every mode."""
    charges = parameters.charges
    period = {group.group_id: float(group.mpor_days) for group in parameters.offset_groups}
    group_of = parameters.group_of_curve
    return ChargeRates(
        spread_multiple=float(charges.liquidity.spread_multiple),
        base_days=float(charges.liquidity.base_days),
        participation_fraction=float(charges.liquidity.participation_fraction),
        perpetual_basis_fraction=float(charges.basis.perpetual_fraction),
        dated_basis_fraction=float(charges.basis.dated_fraction),
        stablecoin_tiers=tuple((_or_infinite(tier.up_to), float(tier.charge_fraction)) for tier in charges.basis.stablecoin_tiers),
        short_option_fraction=float(charges.short_option_fraction),
        mild_depeg_price=float(charges.depeg.mild_price),
        depeg_haircut_slope=float(charges.depeg.haircut_slope),
        ineligible_price=float(charges.depeg.ineligible_price),
        schedule_floor_fraction=float(charges.schedule_floor.floor_fraction),
        schedule_scope=charges.schedule_floor.in_scope,
        schedule=_schedule(charges.schedule_floor),
        groups={row.group_id: _group_charges(row, period[row.group_id]) for row in charges.groups},
        issuers=tuple(frozenset(group_of[factor.curve].group_id for factor in issuer.moves) for issuer in charges.issuers),
        own_issue_curves=frozenset(factor.curve for issuer in charges.issuers if issuer.is_own_issue for factor in issuer.moves),
    )


@lru_cache(maxsize=8)
def haircut_rates(parameters: RiskParameters) -> HaircutSchedule:
    """Return the haircut schedule. Remembered, because every account of a house run asks for it."""
    per_root_day = float(parameters.fx_mismatch_haircut_fraction) / math.sqrt(parameters.fx_mismatch_days)
    issuers = parameters.charges.issuers
    return HaircutSchedule(
        rows={name: _haircut_row(terms, per_root_day) for name, terms in parameters.haircut_schedule.items()},
        average_daily_volume={group.group_id: float(group.average_daily_volume) for group in parameters.charges.groups},
        circulating_supply={curve: float(units) for curve, units in parameters.circulating_supply.items()},
        issuer_limits=tuple((issuer.curves, float(limit)) for issuer in issuers if (limit := issuer.collateral_limit) is not None),
    )


@lru_cache(maxsize=8)
def span_rates(parameters: RiskParameters) -> GridRates:
    """Return the ranges of the sixteen scenarios; METHODOLOGY_UNAVAILABLE for a set that has none."""
    span = _methodologies(parameters, Methodology.SPAN_GRID).span_grid
    rows = _rows_by_group(parameters, span.scan_ranges)
    return GridRates(
        ranges={
            name: ScanRates(
                price_fall=-_or_zero(row.price_fraction),
                price_rise=_or_zero(row.price_fraction),
                volatility=_or_zero(row.volatility_fraction),
                rate=_or_zero(row.rate_move),
                price_difference=_or_zero(row.price_move),
            )
            for name, row in rows.items()
        },
        extreme_multiple=float(span.extreme_multiple),
        cover_fraction=float(span.cover_fraction),
    )


@lru_cache(maxsize=8)
def tims_rates(parameters: RiskParameters) -> GridRates:
    """Return the ranges of the ten points; METHODOLOGY_UNAVAILABLE for a set that has none."""
    tims = _methodologies(parameters, Methodology.TIMS_GRID).tims_grid
    rows = _rows_by_group(parameters, tims.valuation_ranges)
    return GridRates(
        ranges={
            name: ScanRates(
                price_fall=_or_zero(row.lowest_fraction),
                price_rise=_or_zero(row.highest_fraction),
                volatility=0.0,
                rate=_or_zero(row.rate_move),
                price_difference=_or_zero(row.price_move),
            )
            for name, row in rows.items()
        },
        contract_minimum=float(tims.contract_minimum),
    )


@lru_cache(maxsize=8)
def notional_rates(parameters: RiskParameters) -> Mapping[OffsetGroupId, tuple[NotionalRate, ...]]:
    """Return the fixed rates of each offset group by maturity, shortest first; METHODOLOGY_UNAVAILABLE for a set that has none."""
    rows = _rows_by_group(parameters, _methodologies(parameters, Methodology.RATIO).ratio.rates)
    return {
        name: tuple(
            NotionalRate(_or_infinite(band.up_to_years), float(band.initial_fraction), float(band.maintenance_fraction))
            for band in row.bands
        )
        for name, row in rows.items()
    }


def requirement_to_cents(amount: float, *, scale: float) -> int:
    """Return a requirement in whole cents, rounded up.

    `scale` is the sum of the absolute amounts behind the figure. A figure within its float noise above a whole cent is that cent: 11.15
    that came out as 11.150000000000002 stays 11.15, and what is rounded away is always less than a tenth of a cent.

    >>> requirement_to_cents(11.150000000000002, scale=35.0), requirement_to_cents(11.1501, scale=35.0)
    (1115, 1116)
    """
    return math.ceil((amount - _slack(scale)) * 100)


def client_value_to_cents(amount: float, *, scale: float) -> int:
    """Return a value of the client's in whole cents, rounded down; within float noise below a whole cent it is that cent.

    >>> client_value_to_cents(0.29, scale=0.29), client_value_to_cents(-0.291, scale=0.291)
    (29, -30)
    """
    return math.floor((amount + _slack(scale)) * 100)


def requirements_in_cents(amounts: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `requirement_to_cents` of many amounts at once, as whole floats."""
    cents: NDArray[np.float64] = np.ceil((amounts - np.minimum(SLACK_FRACTION * scales, LARGEST_SLACK)) * 100)
    return cents


def client_values_in_cents(amounts: NDArray[np.float64], scales: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `client_value_to_cents` of many amounts at once, as whole floats."""
    cents: NDArray[np.float64] = np.floor((amounts + np.minimum(SLACK_FRACTION * scales, LARGEST_SLACK)) * 100)
    return cents


def cents_to_decimal(cents: int) -> Decimal:
    """Return whole cents as money.

    >>> cents_to_decimal(1115)
    Decimal('11.15')
    """
    return Decimal(cents).scaleb(-2, EXACT) if cents else _NO_CENTS


def fraction_to_decimal(fraction: float) -> Decimal:
    """Return a fraction, a count or a move with six places, the nearest.

    >>> fraction_to_decimal(0.1234567)
    Decimal('0.123457')
    """
    return EXACT.quantize(Decimal(fraction), _FRACTION_UNIT)


def _slack(scale: float) -> float:
    return min(SLACK_FRACTION * scale, LARGEST_SLACK)


def _haircut_row(terms: CollateralTerms, per_root_day: float) -> HaircutRates:
    return HaircutRates(
        residual_haircut_fraction=float(terms.residual_haircut_fraction),
        bands=tuple(
            (_or_infinite(band.up_to_years), tuple((_or_infinite(tier.up_to), float(tier.haircut_fraction)) for tier in band.tiers))
            for band in terms.bands
        ),
        share_limit_fraction=_or_infinite(terms.share_limit_fraction),
        absolute_limit=_or_infinite(terms.absolute_limit),
        volume_limit_fraction=_or_infinite(terms.volume_limit_fraction),
        supply_limit_fraction=_or_infinite(terms.supply_limit_fraction),
        house_limit=_or_infinite(terms.house_limit),
        house_supply_fraction=_or_infinite(terms.house_supply_fraction),
        fx_mismatch_fraction_per_root_day=per_root_day if terms.has_fx_mismatch else 0.0,
    )


def _schedule(floor: ScheduleFloorParameters) -> StandardScheduleParameters:
    return StandardScheduleParameters(
        bands={
            asset_class: tuple(ScheduleBand(_or_infinite(rate.up_to_years), float(rate.rate_fraction)) for rate in rates)
            for asset_class, rates in floor.rates.items()
        },
        gross_fraction=float(floor.gross_fraction),
    )


def _group_charges(row: GroupCharges, mpor_days: float) -> GroupChargeRates:
    return GroupChargeRates(mpor_days, float(row.spread_fraction), float(row.average_daily_volume), float(row.minimum_rate_fraction))


def _methodologies(parameters: RiskParameters, methodology: Methodology) -> MethodologyParameters:
    parameters.check_methodology(methodology)
    assert parameters.methodologies is not None  # noqa: S101 - what was checked above
    return parameters.methodologies


def _rows_by_group(parameters: RiskParameters, rows: ByUnderlying[Row]) -> Mapping[OffsetGroupId, Row]:
    found = {group.group_id: rows.row_of(group.group_id, group.asset_class) for group in parameters.offset_groups}
    return {name: row for name, row in found.items() if row is not None}


def _or_zero(range_end: Decimal | None) -> float:
    return 0.0 if range_end is None else float(range_end)


def _or_infinite(limit: Decimal | None) -> float:
    return math.inf if limit is None else float(limit)


def not_valued(account: AccountRef, name: InstrumentId, market: RevaluedMarket) -> DomainError:
    """Return why an account that holds an instrument cannot be margined: the market has no value of it."""
    if name in market.unavailable:
        cause = market.unavailable[name]
        facts = {**cause.facts, "account": account, "instrument": name}
        return DomainError(cause.reason, f"{account} holds {name}, which cannot be valued: {cause.message}", **facts)
    return DomainError(
        Reason.UNKNOWN_INSTRUMENT,
        f"{account} holds {name}, which is not in the market revalued from snapshot {market.snapshot_id}; "
        "create the instrument and revalue the market",
        account=account,
        instrument=name,
        snapshot=market.snapshot_id,
    )
