"""Full revaluation: every instrument in the base state of the market and in every scenario, never by sensitivities."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.instrument import Instrument, check_trade_price
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByInstrument, ByInstrumentMove, ByMoveFactor, ByState
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.revaluation.bundle import Asked, Valued
from crossmargin.engine.revaluation.layout import States, laid_out, unit_values
from crossmargin.engine.revaluation.prepared_instruments import PreparedInstruments, prepared, required_curves
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.revaluation.shocked_market import ShockedMarket
from crossmargin.engine.revaluation.valuation import attempt
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.scenarios.stress import issuer_moves


def revalue_market(
    instruments: Collection[Instrument] | PreparedInstruments,
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
    same bits whatever the order of `instruments`, and whether or not they were prepared before.
    """
    ready = prepared(instruments)
    shocked = _with_issuer_shocks(scenarios, parameters)
    market = ShockedMarket(assets=ready.assets, snapshot=snapshot, scenarios=shocked, parameters=parameters, kernels=kernels)
    states = States(0, 0, len(shocked.names))
    found = laid_out(ready, _value_all(ready, market), market, states, snapshot=snapshot, scenarios=scenarios)
    return replace(found, snapshot=snapshot)


def revalue_moved_market(
    instruments: Collection[Instrument] | PreparedInstruments,
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
    ready = prepared(instruments)
    shocked = _with_issuer_shocks(scenarios, parameters)
    count = len(shocked.names)
    states = [States(place, 1 + place * (1 + count), count) for place in range(len(moves))]
    moved = ShockedMarket(
        assets=ready.assets,
        snapshot=snapshot,
        scenarios=_from_moved_states(moves, shocked),
        parameters=parameters,
        bases=[each.base for each in states],
        kernels=kernels,
    )
    valued = _value_all(ready, moved)
    return [laid_out(ready, valued, moved, each, snapshot=snapshot, scenarios=scenarios) for each in states]


def moved_values(
    instruments: Collection[Instrument] | PreparedInstruments,
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
    ready = prepared(instruments)
    count = len(moves)
    states = replace(scenarios, shocks=moves, weights=np.full(count, 1.0 / count), names=("",) * count, ordinary_count=count)
    market = ShockedMarket(
        assets=ready.assets, snapshot=snapshot, scenarios=states, parameters=parameters, bases=range(1, 1 + count), kernels=kernels
    )
    units = np.full((len(ready.instruments), count), np.nan)
    valued = _value_all(ready, market)
    with np.errstate(all="ignore"):
        for bundle in valued.bundles:
            units[bundle.rows] = unit_values(bundle, market)
    settlements = [market.price(instrument.settlement)[1:] for instrument in ready.instruments]
    return units, np.array(settlements).reshape(len(ready.instruments), count)


def required_factors(instruments: Collection[Instrument] | PreparedInstruments, snapshot: MarketSnapshot) -> frozenset[FactorId]:
    """Return the factors of the snapshot that the instruments are valued from: what a scenario set for them must shock."""
    curves = instruments.curves if isinstance(instruments, PreparedInstruments) else required_curves(instruments)
    return frozenset(factor for factor in snapshot.levels if factor.curve in curves)


def _from_moved_states(moves: ByMoveFactor, scenarios: ScenarioSet) -> ScenarioSet:
    """Return scenarios that are the moved states themselves, each followed by every shock on top of it; weights mean nothing here."""
    shocks = np.concatenate([np.concatenate([move[np.newaxis], move + scenarios.shocks]) for move in moves])
    count = len(shocks)
    return replace(scenarios, shocks=shocks, weights=np.full(count, 1.0 / count), names=("",) * count, ordinary_count=count)


def _with_issuer_shocks(scenarios: ScenarioSet, parameters: RiskParameters) -> ScenarioSet:
    """Return the scenarios and after them, without weight, the joint shock of each issuer group: all are revalued in one go."""
    issuers = parameters.charges.issuers
    return replace(
        scenarios,
        shocks=np.concatenate([scenarios.shocks, issuer_moves(scenarios.factors, parameters)]),
        weights=np.append(scenarios.weights, np.zeros(len(issuers))),
        names=scenarios.names + tuple(issuer.issuer_id for issuer in issuers),
    )


def _value_all(ready: PreparedInstruments, market: ShockedMarket) -> Valued:
    """Return what came of every instrument."""
    marks = market.marks
    mark = np.array([np.nan if each is None else float(each) for each in (marks.get(one.instrument_id) for one in ready.instruments)])
    valued = Valued()
    with np.errstate(all="ignore"):  # what is not finite is looked for once, when all is laid out
        for row in _doubtful(ready, market, mark):
            error = _refusal(ready.instruments[row], market)
            if error is not None:
                valued.errors[row] = error
        is_valued = np.ones(len(mark), dtype=np.bool_)
        is_valued[list(valued.errors)] = False
        for kind in ready.kinds:
            valued.add(kind.value(market, Asked(mark, is_valued)))
    return valued


def _doubtful(ready: PreparedInstruments, market: ShockedMarket, mark: ByInstrument) -> list[int]:
    """Return the rows that may be refused: assets that have no price, or a mark that is not above zero; a snapshot has checked the rest."""
    is_doubtful = (mark <= 0.0) & ~ready.is_asset
    for assets, rows in ready.needs:
        if any(asset not in market.assets or isinstance(attempt(_price_of, asset, market), DomainError) for asset in assets):
            is_doubtful[rows] = True
    return np.flatnonzero(is_doubtful).tolist()


def _price_of(asset: InstrumentId, market: ShockedMarket) -> ByState:
    return market.price(asset)


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
