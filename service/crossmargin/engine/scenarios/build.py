"""The scenario set of a day: ordinary moves of the past, stress events and the days of past crises, weighted."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from crossmargin.domain.errors import DomainError
from crossmargin.domain.market import FactorHistory, FactorId
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.axes import ByScenario
from crossmargin.engine.scenarios.crisis_windows import window_moves
from crossmargin.engine.scenarios.historical import ordinary_moves
from crossmargin.engine.scenarios.history_arrays import HistoryArrays, known_history
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.scenarios.stress import stress_moves


def build_scenario_set(history: FactorHistory, factors: Collection[FactorId], parameters: RiskParameters) -> ScenarioSet:
    """Return the scenarios for `factors`: ordinary ones, oldest first, then stress events, then the days of crisis windows.

    Events and windows are in the order of the parameters. Ordinary scenarios share `ordinary_weight` equally, stress scenarios the rest.
    A factor that cannot be shocked is in `unavailable` (UNMAPPED_RISK_FACTOR, INSUFFICIENT_HISTORY) and leaves the others as they are.
    The same bits whatever the order of `factors`.

    Raises:
        DomainError: INSUFFICIENT_HISTORY when the whole history is shorter than the parameters allow.
    """
    return scenarios_known_from(known_history(history, parameters), factors, parameters)


def scenarios_known_from(history: HistoryArrays, factors: Collection[FactorId], parameters: RiskParameters) -> ScenarioSet:
    """Return the same from a history that is arrays already: of a part of its days, for instance, without reading all of it again."""
    unmapped: dict[FactorId, DomainError] = {}
    mapped: list[FactorId] = []
    for factor in sorted(set(factors)):
        try:
            parameters.group_of(factor)
        except DomainError as error:
            unmapped[factor] = error.with_traceback(None)  # kept for long: it must not hold on to this frame
        else:
            mapped.append(factor)
    ordinary = ordinary_moves(history, mapped, parameters)
    windows = window_moves(history, ordinary.factors, parameters)
    kept = [column for column, factor in enumerate(ordinary.factors) if factor not in windows.unavailable]
    factors = tuple(ordinary.factors[column] for column in kept)
    stress_names, stress_shocks = stress_moves(factors, parameters)
    return ScenarioSet(
        factors=factors,
        shocks=np.concatenate([ordinary.shocks[:, kept], stress_shocks, windows.shocks[:, kept]]),
        weights=_weights(len(ordinary.names), len(stress_names) + len(windows.names), float(parameters.ordinary_weight)),
        names=ordinary.names + stress_names + windows.names,
        ordinary_count=len(ordinary.names),
        proxied={factor: proxy for factor, proxy in ordinary.proxied.items() if factor not in windows.unavailable},
        unavailable=dict(sorted((unmapped | dict(ordinary.unavailable) | dict(windows.unavailable)).items())),
        window_counts=windows.counts,
        stand_ins={factor: reasons for factor, reasons in windows.stand_ins.items() if factor not in windows.unavailable},
    )


def _weights(ordinary_count: int, stress_count: int, ordinary_weight: float) -> ByScenario:
    """Return [S] weights that sum to 1; without stress scenarios the ordinary weight is 1 by the parameters' own check."""
    stress = np.full(stress_count, (1.0 - ordinary_weight) / max(stress_count, 1))
    return np.concatenate([np.full(ordinary_count, ordinary_weight / ordinary_count), stress])
