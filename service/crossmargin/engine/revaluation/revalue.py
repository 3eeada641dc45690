"""Full revaluation: every instrument in the base state of the market and in every scenario, never by sensitivities."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import (
    AmericanOption,
    Bill,
    BondFuture,
    Cash,
    CashFlows,
    CryptoAsset,
    DatedFuture,
    EuropeanOption,
    FixedRateBond,
    FloatingRateNote,
    FxForward,
    FxOption,
    Instrument,
    InterestRateSwap,
    NonDeliverableForward,
    Perpetual,
    Stablecoin,
    check_trade_price,
)
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.risk_parameters import OffsetGroup, RiskParameters
from crossmargin.engine.axes import ByBase, ByInstrumentMove, ByMoveFactor, ByScenario
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation import (
    american_option,
    asset,
    bill,
    bond_future,
    cash_flows,
    dated_future,
    european_option,
    fixed_rate_bond,
    floating_rate_note,
    fx_forward,
    fx_option,
    interest_rate_swap,
    non_deliverable_forward,
    perpetual,
)
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import ShockedMarket, not_finite, price_factor
from crossmargin.engine.revaluation.valuation import CurvesOf, Outcome, Revaluer, Valuation
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.scenarios.stress import issuer_moves


class _Kind(NamedTuple):
    revalue: Revaluer
    curves: CurvesOf


_ASSET: Final = _Kind(asset.revalue, asset.curves)
KINDS: Final[Mapping[type, _Kind]] = {
    Cash: _ASSET,
    Stablecoin: _ASSET,
    CryptoAsset: _ASSET,
    Perpetual: _Kind(perpetual.revalue, perpetual.curves),
    DatedFuture: _Kind(dated_future.revalue, dated_future.curves),
    BondFuture: _Kind(bond_future.revalue, bond_future.curves),
    EuropeanOption: _Kind(european_option.revalue, european_option.curves),
    AmericanOption: _Kind(american_option.revalue, american_option.curves),
    FxOption: _Kind(fx_option.revalue, fx_option.curves),
    FxForward: _Kind(fx_forward.revalue, fx_forward.curves),
    NonDeliverableForward: _Kind(non_deliverable_forward.revalue, non_deliverable_forward.curves),
    Bill: _Kind(bill.revalue, bill.curves),
    FixedRateBond: _Kind(fixed_rate_bond.revalue, fixed_rate_bond.curves),
    FloatingRateNote: _Kind(floating_rate_note.revalue, floating_rate_note.curves),
    InterestRateSwap: _Kind(interest_rate_swap.revalue, interest_rate_swap.curves),
    CashFlows: _Kind(cash_flows.revalue, cash_flows.curves),
}


def revalue_market(
    instruments: Collection[Instrument],
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    parameters: RiskParameters,
    *,
    kernels: Kernels = Kernels.NUMPY,
) -> RevaluedMarket:
    """Return every instrument's value and profit in every scenario.

    A claim of V units of an asset at price X gains (V_s - V_0) X_s in the instrument's own offset group and V_0 (X_s - X_0) in
    the asset's; parts of one instrument in one group are one leg. USD has price 1 and no group.

    An instrument that cannot be valued is in `unavailable` and leaves the others as they are: UNKNOWN_INSTRUMENT when an asset it
    settles in is not among `instruments`, INSTRUMENT_EXPIRED, MISSING_RISK_FACTOR, UNMAPPED_RISK_FACTOR, INVALID_PRICE for a mark it
    cannot have, INVALID_SNAPSHOT when a value is not finite, or the scenario set's error for a factor that cannot be shocked. The
    same bits whatever the order of `instruments`.
    """
    ordered = sorted(instruments, key=lambda instrument: instrument.instrument_id)
    assets = {instrument.instrument_id: instrument for instrument in ordered if instrument.is_asset}
    shocked = _with_issuer_shocks(scenarios, parameters)
    market = ShockedMarket(assets=assets, snapshot=snapshot, scenarios=shocked, parameters=parameters, kernels=kernels)
    with np.errstate(all="ignore"):  # what is not finite is looked for once, below
        outcomes = _value_all(ordered, market)
    (laid_out,) = _laid_out(ordered, outcomes, market, [_States(0, 0, len(shocked.names))], snapshot=snapshot, scenarios=scenarios)
    return replace(laid_out, snapshot=snapshot)


def revalue_moved_market(
    instruments: Collection[Instrument],
    snapshot: MarketSnapshot,
    moves: ByMoveFactor,
    scenarios: ScenarioSet,
    parameters: RiskParameters,
    *,
    kernels: Kernels = Kernels.NUMPY,
) -> list[RevaluedMarket]:
    """Return the market after each of the `moves` [G, F], log-returns and differences of the scenario set's factors, one for each row.

    The same as `revalue_market` of a snapshot whose levels have moved and whose marks have moved as the instruments say: what a mark
    holds fixed (a volatility ratio, a carry, a spread) is what it was before the move. Every scenario starts from the moved state.
    The markets keep the id of the snapshot they were moved from.
    """
    ordered = sorted(instruments, key=lambda instrument: instrument.instrument_id)
    assets = {instrument.instrument_id: instrument for instrument in ordered if instrument.is_asset}
    shocked = _with_issuer_shocks(scenarios, parameters)
    count = len(shocked.names)
    states = [_States(place, 1 + place * (1 + count), count) for place in range(len(moves))]
    from_moved = _from_moved_states(moves, shocked)
    bases = [each.base for each in states]
    moved = ShockedMarket(assets=assets, snapshot=snapshot, scenarios=from_moved, parameters=parameters, bases=bases, kernels=kernels)
    with np.errstate(all="ignore"):
        outcomes = _value_all(ordered, moved)
    return _laid_out(ordered, outcomes, moved, states, snapshot=snapshot, scenarios=scenarios)


def moved_values(
    instruments: Collection[Instrument],
    snapshot: MarketSnapshot,
    moves: ByMoveFactor,
    scenarios: ScenarioSet,
    parameters: RiskParameters,
    *,
    kernels: Kernels = Kernels.NUMPY,
) -> tuple[ByInstrumentMove, ByInstrumentMove]:
    """Return [I, G] values of one unit and prices of the settlement asset after each of the `moves`, in the order of instrument ids.

    The values of `revalue_moved_market` without its scenarios; NaN where an instrument has none. `scenarios` name the factors.
    """
    ordered = sorted(instruments, key=lambda instrument: instrument.instrument_id)
    assets = {instrument.instrument_id: instrument for instrument in ordered if instrument.is_asset}
    count = len(moves)
    states = replace(scenarios, shocks=moves, weights=np.full(count, 1.0 / count), names=("",) * count, ordinary_count=count)
    market = ShockedMarket(
        assets=assets, snapshot=snapshot, scenarios=states, parameters=parameters, bases=range(1, 1 + count), kernels=kernels
    )
    with np.errstate(all="ignore"):
        outcomes = _value_all(ordered, market)
        found = [outcomes[instrument.instrument_id] for instrument in ordered]
        nothing = np.full(count, np.nan)
        units = [nothing if isinstance(outcome, DomainError) else _unit_values(outcome, market) for outcome in found]
    settlements = [market.price(instrument.settlement)[1:] for instrument in ordered]
    return np.array(units).reshape(len(ordered), count), np.array(settlements).reshape(len(ordered), count)


def required_factors(instruments: Collection[Instrument], snapshot: MarketSnapshot) -> frozenset[FactorId]:
    """Return the factors of the snapshot that the instruments are valued from: what a scenario set for them must shock."""
    curves = required_curves(instruments)
    return frozenset(factor for factor in snapshot.levels if factor.curve in curves)


def required_curves(instruments: Collection[Instrument]) -> frozenset[str]:
    """Return the curves that the instruments are valued from.

    An instrument whose settlement asset is not among `instruments` cannot be valued and needs nothing.
    """
    assets = {instrument.instrument_id: instrument for instrument in instruments if instrument.is_asset}
    curves: set[str] = set()
    for instrument in instruments:
        if instrument.references() <= assets.keys():
            curves |= KINDS[type(instrument.terms)].curves(instrument, assets)
            curves |= {factor.curve for factor in _price_factors(instrument, assets)}
    return frozenset(curves)


@dataclass(frozen=True, slots=True)
class _States:
    """Where one market's states are: its base state along axis B and along axis M, and the `count` shocked states that follow it."""

    place: int
    base: int
    count: int


def _from_moved_states(moves: ByMoveFactor, scenarios: ScenarioSet) -> ScenarioSet:
    """Return scenarios that are the moved states themselves, each followed by every shock on top of it; weights mean nothing here."""
    shocks = np.concatenate([np.concatenate([move[np.newaxis], move + scenarios.shocks]) for move in moves])
    count = len(shocks)
    return replace(scenarios, shocks=shocks, weights=np.full(count, 1.0 / count), names=("",) * count, ordinary_count=count)


@dataclass(frozen=True, eq=False)
class _Revalued:
    """One instrument, ready for its rows. `legs` are sorted by offset group, and so are their `exposures`, base currency."""

    instrument: Instrument
    valuation: Valuation
    unit_value: float
    legs: tuple[tuple[OffsetGroup, ByScenario], ...]
    exposures: tuple[float, ...]


def _with_issuer_shocks(scenarios: ScenarioSet, parameters: RiskParameters) -> ScenarioSet:
    """Return the scenarios and after them, without weight, the joint shock of each issuer group: all are revalued in one go."""
    issuers = parameters.charges.issuers
    return replace(
        scenarios,
        shocks=np.concatenate([scenarios.shocks, issuer_moves(scenarios.factors, parameters)]),
        weights=np.append(scenarios.weights, np.zeros(len(issuers))),
        names=scenarios.names + tuple(issuer.issuer_id for issuer in issuers),
    )


def _price_factors(instrument: Instrument, assets: Mapping[InstrumentId, Instrument]) -> Iterator[FactorId]:
    for asset_id in {instrument.settlement, *instrument.references()}:
        factor = price_factor(assets[asset_id])
        if factor is not None:
            yield factor


def _value_all(instruments: Sequence[Instrument], market: ShockedMarket) -> dict[InstrumentId, Outcome]:
    """Return the outcome of each instrument, kind by kind."""
    outcomes: dict[InstrumentId, Outcome] = {}
    by_kind: defaultdict[type, list[Instrument]] = defaultdict(list)
    for instrument in instruments:
        error = _refusal(instrument, market)
        if error is None:
            by_kind[type(instrument.terms)].append(instrument)
        else:
            outcomes[instrument.instrument_id] = error
    for kind, members in by_kind.items():
        revalued = KINDS[kind].revalue(members, market)
        outcomes |= {member.instrument_id: outcome for member, outcome in zip(members, revalued, strict=True)}
    return outcomes


def _refusal(instrument: Instrument, market: ShockedMarket) -> DomainError | None:
    """Return why an instrument cannot be valued, before its kind is asked: assets it settles in, and its mark."""
    try:
        for asset_id in sorted({instrument.settlement, *instrument.references()}):
            if asset_id not in market.assets:
                raise _unknown_settlement(instrument, asset_id)
            market.price(asset_id)
        if not instrument.is_asset and instrument.instrument_id in market.marks:
            check_trade_price(instrument, market.marks[instrument.instrument_id])
    except DomainError as error:
        return error.with_traceback(None)
    return None


def _unknown_settlement(instrument: Instrument, asset_id: InstrumentId) -> DomainError:
    return DomainError(
        Reason.UNKNOWN_INSTRUMENT,
        f"{instrument.instrument_id} settles in {asset_id}, which is no known money or coin; create it",
        instrument=instrument.instrument_id,
        settlement=asset_id,
    )


def _named(instrument: Instrument, error: DomainError, scenarios: ScenarioSet) -> DomainError:
    """Return the error with the instrument in it; the scenario set's own errors stay as they are, shared by all who need the factor."""
    if "instrument" in error.facts or any(error is known for known in scenarios.unavailable.values()):
        return error
    facts: dict[str, object] = {**error.facts, "instrument": instrument.instrument_id}
    return DomainError(error.reason, f"{instrument.instrument_id} cannot be valued: {error.message}", **facts)


def _laid_out(
    ordered: Sequence[Instrument],
    outcomes: Mapping[InstrumentId, Outcome],
    market: ShockedMarket,
    states: Sequence[_States],
    *,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
) -> list[RevaluedMarket]:
    """Return the instruments along the axes of each market, with those that could not be valued beside them."""
    with np.errstate(all="ignore"):
        by_instrument = [_legs_or_errors(instrument, outcomes[instrument.instrument_id], market, len(states)) for instrument in ordered]
    markets = []
    for each in states:
        revalued = [results[each.place] for results in by_instrument]
        unavailable = {
            instrument.instrument_id: _named(instrument, result, scenarios)
            for instrument, result in zip(ordered, revalued, strict=True)
            if isinstance(result, DomainError)
        }
        found = [result for result in revalued if not isinstance(result, DomainError)]
        markets.append(_assemble(found, market, each, snapshot=snapshot, scenarios=scenarios, unavailable=unavailable))
    return markets


def _legs_or_errors(
    instrument: Instrument, outcome: Outcome, market: ShockedMarket, market_count: int
) -> Sequence[_Revalued | DomainError]:
    """Return one instrument in each of the markets: the states of a market follow one another along axis M, its base state first."""
    if isinstance(outcome, DomainError):
        return [outcome] * market_count
    legs: dict[OffsetGroup, NDArray[np.float64]] = {}
    for group, pnl in _profits(outcome, market, market_count):
        legs[group] = legs[group] + pnl if group in legs else pnl
    ordered = sorted(legs, key=lambda group: group.group_id)
    unit_values = _unit_values(outcome, market)
    exposures = _exposures(outcome, market)
    is_finite = np.isfinite(unit_values)
    for pnl in legs.values():
        is_finite &= np.isfinite(pnl).all(axis=1)
    return [
        _Revalued(
            instrument,
            outcome,
            float(unit_values[place]),
            tuple((group, legs[group][place]) for group in ordered),
            tuple(float(exposures[group][place]) for group in ordered),
        )
        if is_finite[place]
        else not_finite(instrument)
        for place in range(market_count)
    ]


def _profits(valuation: Valuation, market: ShockedMarket, market_count: int) -> Iterator[tuple[OffsetGroup, NDArray[np.float64]]]:
    """Yield the parts of the profit [B, S] of each market, with the group that each belongs to."""
    first = int(market.bases[0])
    for claim in valuation.claims:
        amount, price = (values[first:].reshape(market_count, -1) for values in (claim.amount, market.price(claim.asset)))
        price_group = market.price_group(claim.asset)
        if claim.group is not None:
            yield claim.group, (amount[:, 1:] - amount[:, :1]) * price[:, 1:]
        if price_group is not None:
            yield price_group, amount[:, :1] * (price[:, 1:] - price[:, :1])


def _unit_values(valuation: Valuation, market: ShockedMarket) -> ByBase:
    """Return [B] the value of one unit."""
    values: ByBase = np.zeros(len(market.bases))
    for claim in valuation.claims:
        values = values + claim.amount[market.bases] * market.price(claim.asset)[market.bases]
    return values


def _exposures(valuation: Valuation, market: ShockedMarket) -> Mapping[OffsetGroup, ByBase]:
    """Return [B] what one unit is long or short of each group's underlying, split as its profits are."""
    exposures: defaultdict[OffsetGroup, ByBase] = defaultdict(lambda: np.zeros(len(market.bases)))
    for claim in valuation.claims:
        amount, price = claim.amount[market.bases], market.price(claim.asset)[market.bases]
        price_group = market.price_group(claim.asset)
        if claim.group is not None:
            exposures[claim.group] = exposures[claim.group] + (amount if claim.exposure is None else claim.exposure) * price
        if price_group is not None:
            exposures[price_group] = exposures[price_group] + amount * price
    return exposures


def _assemble(
    revalued: Sequence[_Revalued],
    market: ShockedMarket,
    states: _States,
    *,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    unavailable: Mapping[InstrumentId, DomainError],
) -> RevaluedMarket:
    """Lay the instruments out along the axes."""
    instruments = tuple(item.instrument for item in revalued)
    settlements = [instrument.settlement for instrument in instruments]
    row_of = {instrument.instrument_id: row for row, instrument in enumerate(instruments)}
    groups = sorted({group for item in revalued for group, _ in item.legs}, key=lambda group: group.group_id)
    axis_of = {group.group_id: position for position, group in enumerate(groups)}
    classes = tuple(sorted({group.asset_class for group in groups}))
    legs = [(row, axis_of[group.group_id], pnl) for row, item in enumerate(revalued) for group, pnl in item.legs]
    pnl = np.array([pnl for _, _, pnl in legs], dtype=np.float64).reshape(len(legs), states.count)
    scenario_count = len(scenarios.names)
    instrument_groups = [_group_of(item, market) for item in revalued]
    settlement_price = np.array([market.price(settlement)[states.base] for settlement in settlements], dtype=np.float64)
    notional = [None if item.valuation.notional is None else float(item.valuation.notional[states.place]) for item in revalued]
    unit_value = np.array([item.unit_value for item in revalued], dtype=np.float64)
    return RevaluedMarket(
        snapshot_id=snapshot.snapshot_id,
        as_of=snapshot.as_of,
        scenarios=scenarios,
        instruments=instruments,
        unit_value=unit_value,
        settlement_price=settlement_price,
        settlement_row=np.array([row_of[settlement] for settlement in settlements], dtype=np.int64),
        leg_instrument=np.array([row for row, _, _ in legs], dtype=np.int64),
        leg_group=np.array([group for _, group, _ in legs], dtype=np.int64),
        leg_pnl=np.ascontiguousarray(pnl[:, :scenario_count]),
        groups=tuple(group.group_id for group in groups),
        classes=classes,
        group_class=np.array([classes.index(group.asset_class) for group in groups], dtype=np.int64),
        residual_years=np.array([item.valuation.residual_years for item in revalued], dtype=np.float64),
        translation_days=np.array([_translation_days(settlement, market) for settlement in settlements], dtype=np.float64),
        leg_exposure=np.array([exposure for item in revalued for exposure in item.exposures], dtype=np.float64),
        issuer_leg_pnl=np.ascontiguousarray(pnl[:, scenario_count:].T),
        instrument_group=np.array([axis_of.get(group.group_id, -1) if group else -1 for group in instrument_groups], dtype=np.int64),
        notional_unit=np.array(
            [
                abs(value) if units is None else units * price
                for value, units, price in zip(unit_value, notional, settlement_price, strict=True)
            ],
            dtype=np.float64,
        ),
        basis_kind=np.array([item.valuation.basis for item in revalued], dtype=np.int64),
        is_option=np.array([item.valuation.is_option for item in revalued], dtype=np.bool_),
        peg_price=np.array(
            [np.nan if item.valuation.peg_price is None else item.valuation.peg_price[states.place] for item in revalued],
            dtype=np.float64,
        ),
        used_fraction=np.array([item.valuation.used_fraction for item in revalued], dtype=np.float64),
        has_run_out=np.array([item.valuation.has_run_out for item in revalued], dtype=np.bool_),
        unavailable=unavailable,
        kernels=market.kernels,
    )


def _group_of(item: _Revalued, market: ShockedMarket) -> OffsetGroup | None:
    return item.valuation.group or item.valuation.claims[0].group or market.price_group(item.instrument.settlement)


def _translation_days(settlement: InstrumentId, market: ShockedMarket) -> float:
    group = market.price_group(settlement)
    return 0.0 if group is None else float(group.mpor_days)
