"""Stress scenarios from history: margin periods that start inside a named crisis, as they were and unscaled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.domain.risk_parameters import CrisisWindow, RiskParameters, StressEvent
from crossmargin.engine.axes import ByScenario, ByScenarioFactor
from crossmargin.engine.scenarios.historical import nearest_node, unscaled_moves, whole_periods
from crossmargin.engine.scenarios.history_arrays import ByDay, HistoryArrays
from crossmargin.engine.scenarios.stress import published_move

STILL: Final = "not part of this crisis: no move"


@dataclass(frozen=True, eq=False)
class WindowMoves:
    """The days of all crisis windows, in the order of the parameters and then of the days.

    Attributes:
        names: [S] window and start day. shocks: [S, F] unscaled log-returns or differences; a factor of `unavailable` has zeros.
        counts: Days of each window; 0 for one outside the history.
        stand_ins: Factors without history in a window, with what moved them there instead.
        unavailable: Factors that a window asks for and nothing moves, with the error that says why.
    """

    names: tuple[str, ...]
    shocks: ByScenarioFactor
    counts: Mapping[str, int]
    stand_ins: Mapping[FactorId, Mapping[str, str]]
    unavailable: Mapping[FactorId, DomainError]


def window_moves(history: HistoryArrays, factors: Sequence[FactorId], parameters: RiskParameters) -> WindowMoves:
    """Return the moves of `factors` from the days of all crisis windows from which every margin period ends within the history.

    Those are the days that a window names, or all of its days if it names none.

    In each window a factor moves by the first of these that there is:

    1. its own history, if it has levels on every one of the days (a closed market's carried, as for ordinary scenarios);
    2. beta times the nearest node of its proxy's curve that has them;
    3. the published move of the window's event, the same on every day: the event's figure for its curve, its proxy's, or its class;
    4. a volatility: `stress_vol_response` times the absolute log move of its spot on the same day;
    5. none, if the event moves nothing of its asset class: the crisis was elsewhere.

    A factor that the crisis concerns and none of these moves is unavailable: a day of the past on which it stood still would be a guess.
    Everything but the first is recorded. What a factor gets never depends on which other factors are asked for.
    """
    whole = whole_periods(history.days, parameters)
    days_of = {window.name: _days(window, whole) for window in parameters.crisis_windows}
    blocks = [_one_window(window, days_of[window.name], history, factors, parameters) for window in parameters.crisis_windows]
    stand_ins: defaultdict[FactorId, dict[str, str]] = defaultdict(dict)
    unavailable: dict[FactorId, DomainError] = {}
    for window, block in zip(parameters.crisis_windows, blocks, strict=True):
        for factor, reason in block.stand_ins.items():
            stand_ins[factor][window.name] = reason
        unavailable = {factor: _nothing_moves(factor, window) for factor in block.unmoved} | unavailable
    return WindowMoves(
        names=tuple(f"{name}, {day}" for name, days in days_of.items() for day in days),
        shocks=np.concatenate([np.empty((0, len(factors))), *(block.shocks for block in blocks)]),
        counts={name: len(days) for name, days in days_of.items()},
        stand_ins={factor: dict(reasons) for factor, reasons in sorted(stand_ins.items())},
        unavailable=unavailable,
    )


@dataclass(frozen=True, eq=False)
class _Window:
    shocks: ByScenarioFactor
    stand_ins: Mapping[FactorId, str]
    unmoved: Sequence[FactorId]


def _days(window: CrisisWindow, whole: ByDay) -> ByDay:
    """Return those of the days with whole margin periods that the window counts: the ones it names, or all from its first to its last."""
    if window.days:
        named: ByDay = whole[np.isin(whole, np.array(window.days, dtype="datetime64[D]"))]
        return named
    inside: ByDay = whole[(whole >= np.datetime64(window.first_day)) & (whole <= np.datetime64(window.last_day))]
    return inside


def _one_window(
    window: CrisisWindow, days: ByDay, history: HistoryArrays, factors: Sequence[FactorId], parameters: RiskParameters
) -> _Window:
    if not len(days):
        return _Window(np.empty((0, len(factors))), {}, ())
    event = next((event for event in parameters.stress_events if event.name == window.event), None)
    observed = unscaled_moves(history, _with_spots(factors), days, parameters)
    moves = {factor: _move(factor, observed, event, len(days), parameters) for factor in factors}
    columns = [moves[factor][0] for factor in factors]
    return _Window(
        shocks=np.column_stack([np.zeros(len(days)) if column is None else column for column in columns])
        if columns
        else np.empty((len(days), 0)),
        stand_ins={factor: how for factor, (column, how) in moves.items() if how and column is not None},
        unmoved=[factor for factor, (column, _) in moves.items() if column is None],
    )


def _move(
    factor: FactorId, observed: Mapping[FactorId, ByScenario], event: StressEvent | None, day_count: int, parameters: RiskParameters
) -> tuple[ByScenario | None, str]:
    """Return the factor's moves on the days of one window, None for nothing to move it by, and what stood in for its own history."""
    if factor in observed:
        return observed[factor], ""
    proxy = parameters.proxy_of_curve.get(factor.curve)
    node = None if proxy is None else nearest_node(observed, proxy.proxy_curve, factor.tenor_years)
    if proxy is not None and node is not None:
        return float(proxy.beta) * observed[node], f"{proxy.beta} x {node}"
    figure = None if event is None else published_move(factor, event, parameters)
    if event is not None and figure is not None:
        return np.full(day_count, figure), f"published move of {event.name}"
    spot = FactorId(FactorKind.SPOT.value, factor.name)
    if factor.kind is FactorKind.VOL and spot.curve in parameters.group_of_curve:
        moves, _ = _move(spot, observed, event, day_count, parameters)
        if moves is not None:
            return float(parameters.stress_vol_response) * np.abs(moves), f"{parameters.stress_vol_response} x the move of {spot}"
    if event is None or _concerns(event, factor, parameters):
        return None, ""
    return np.zeros(day_count), STILL


def _with_spots(factors: Sequence[FactorId]) -> list[FactorId]:
    """Return the factors and the spots of their volatilities, so that a volatility never depends on its spot being asked for."""
    spots = {FactorId(FactorKind.SPOT.value, factor.name) for factor in factors if factor.kind is FactorKind.VOL}
    return sorted({*factors, *spots})


def _concerns(event: StressEvent, factor: FactorId, parameters: RiskParameters) -> bool:
    """Return whether the event moves anything of the factor's asset class."""
    groups = [parameters.group_of_curve.get(named.curve) for named in event.moves]
    classes = {group.asset_class for group in groups if group is not None} | set(event.default_class_moves)
    return parameters.group_of(factor).asset_class in classes


def _nothing_moves(factor: FactorId, window: CrisisWindow) -> DomainError:
    return DomainError(
        Reason.INSUFFICIENT_HISTORY,
        f"history of {factor} has no levels for every day of the crisis window {window.name} ({window.first_day} to {window.last_day}), "
        f"which the rest of the history covers, and nothing stands in for it: import them, give {factor.curve} a proxy that has them, or "
        f"give the event of the window a figure for it",
        factor=factor,
        crisis_window=window.name,
        needed_from=window.first_day,
        needed_to=window.last_day,
    )
