"""Stress scenarios: named crises and hypothetical events, spelled out for every factor."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crossmargin.domain.market import LOG_KINDS, FactorId, FactorKind
from crossmargin.domain.risk_parameters import RiskParameters, StressEvent
from crossmargin.engine.axes import ByFactor, ByScenarioFactor


def stress_moves(factors: Sequence[FactorId], parameters: RiskParameters) -> tuple[tuple[str, ...], ByScenarioFactor]:
    """Return the names [S] of the stress scenarios and their shocks [S, F], in the order of the parameters.

    An event of both directions is followed by its opposite: log-returns and differences negated. A factor moves by the first of
    these that applies:

    1. the event's own nodes of its curve, linear in tenor between them and flat beyond;
    2. beta times the event's nodes of its proxy's curve;
    3. a volatility: `stress_vol_response` times the absolute log move of its spot or currency, so that it rises in a reversed event
       too; that of a pair of currencies answers to the difference of their moves;
    4. a spot price: the event's move for its asset class;
    5. not at all.
    """
    events = [
        (f"{event.name}{suffix}", _spell_out(event, direction))
        for event in parameters.stress_events
        for suffix, direction in _directions(event)
    ]
    shocks = [[_move(factor, event, parameters) for factor in factors] for _, event in events]
    return tuple(name for name, _ in events), np.array(shocks, dtype=np.float64).reshape(len(events), len(factors))


def issuer_moves(factors: Sequence[FactorId], parameters: RiskParameters) -> ByScenarioFactor:
    """Return [J, F] the joint shock of each issuer group as log-returns and differences; a factor moves by the rules above."""
    events = [
        StressEvent(issuer.issuer_id, "", both_directions=False, moves=issuer.moves, default_class_moves={})
        for issuer in parameters.charges.issuers
    ]
    shocks = [[_move(factor, spelled, parameters) for factor in factors] for spelled in (_spell_out(event, 1.0) for event in events)]
    return np.array(shocks, dtype=np.float64).reshape(len(events), len(factors))


def event_moves(event: StressEvent, factors: Sequence[FactorId], parameters: RiskParameters, *, direction: float = 1.0) -> ByFactor:
    """Return [F] log-returns and differences of the factors in one event, by the rules above; a `direction` of -1 is its opposite."""
    spelled = _spell_out(event, direction)
    return np.array([_move(factor, spelled, parameters) for factor in factors], dtype=np.float64)


def published_move(factor: FactorId, event: StressEvent, parameters: RiskParameters) -> float | None:
    """Return the log-return or difference that an event gives a factor by the first, second or fourth of these rules; None for none."""
    moves = _spell_out(event, 1.0)
    figure = _named_move(factor, moves, parameters)
    if figure is None and factor.kind is FactorKind.SPOT:
        group = parameters.group_of_curve.get(factor.curve)
        return None if group is None else moves.classes.get(group.asset_class)
    return figure


@dataclass(frozen=True, eq=False)
class _EventMoves:
    """An event as log-returns and differences: nodes (years, moves) of each curve it names, and moves of asset classes."""

    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    classes: Mapping[str, float]


def _directions(event: StressEvent) -> tuple[tuple[str, float], ...]:
    return (("", 1.0), (" reversed", -1.0)) if event.both_directions else (("", 1.0),)


def _spell_out(event: StressEvent, direction: float) -> _EventMoves:
    nodes: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    for factor, move in event.moves.items():
        natural = np.log1p(float(move)) if factor.kind in LOG_KINDS else float(move)
        nodes[factor.curve].append((factor.tenor_years, direction * natural))
    curves = {curve: np.array(sorted(points)).T for curve, points in nodes.items()}
    classes = {name: direction * float(np.log1p(float(move))) for name, move in event.default_class_moves.items()}
    return _EventMoves({curve: (years, moves) for curve, (years, moves) in curves.items()}, classes)


def _move(factor: FactorId, event: _EventMoves, parameters: RiskParameters) -> float:
    figure = _named_move(factor, event, parameters)
    if figure is not None:
        return figure
    if factor.kind is FactorKind.VOL:
        return float(parameters.stress_vol_response) * abs(_underlying_move(factor.name, event, parameters))
    if factor.kind is FactorKind.SPOT:
        return _class_move(factor, event, parameters)
    return 0.0


def _named_move(factor: FactorId, event: _EventMoves, parameters: RiskParameters) -> float | None:
    proxy = parameters.proxy_of_curve.get(factor.curve)
    if factor.curve in event.curves:
        return _along_curve(event, factor.curve, factor.tenor_years)
    if proxy is not None and proxy.proxy_curve in event.curves:
        return float(proxy.beta) * _along_curve(event, proxy.proxy_curve, factor.tenor_years)
    return None


def _underlying_move(name: str, event: _EventMoves, parameters: RiskParameters) -> float:
    """Return the log move of what a volatility is of: a currency, a pair of two, such as EURJPY, or a spot price."""
    for codes in ((name,), (name[:3], name[3:])):
        currencies = [FactorId(FactorKind.FX.value, code) for code in codes]
        if all(currency.curve in parameters.group_of_curve for currency in currencies):
            moves = [_move(currency, event, parameters) for currency in currencies]
            return moves[0] - sum(moves[1:])
    return _move(FactorId(FactorKind.SPOT.value, name), event, parameters)


def _along_curve(event: _EventMoves, curve: str, years: float) -> float:
    return float(np.interp(years, *event.curves[curve]))


def _class_move(factor: FactorId, event: _EventMoves, parameters: RiskParameters) -> float:
    group = parameters.group_of_curve.get(factor.curve)
    return 0.0 if group is None else event.classes.get(group.asset_class, 0.0)
