"""The scenarios that accounts can be stressed with: those of the parameter set by name, and those that a caller makes up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorId, FactorKind
from crossmargin.domain.risk_parameters import RiskParameters, StressEvent
from crossmargin.domain.stress import REVERSED, AdHocScenario, NamedScenario, StressKind, StressShock
from crossmargin.engine.axes import ByFactor
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.engine.scenarios.stress import event_moves

NO_DIVERSIFICATION_NAME: Final = "No diversification"
ALL_AGAINST_NAME: Final = "All groups against the account"
_PRICES: Final = frozenset({FactorKind.SPOT, FactorKind.FX})


@dataclass(frozen=True, slots=True, eq=False)
class StressScenario:
    """One scenario as the engine runs it.

    Attributes:
        move: [F] log-returns and differences of the scenario set's factors; None where each account has a move of its own.
    """

    name: str
    kind: StressKind
    move: ByFactor | None

    @property
    def shared_move(self) -> ByFactor:
        """The move that all accounts share; ValueError for a scenario in which each has its own."""
        if self.move is None:
            raise ValueError(f"scenario {self.name} has no move that all accounts share")
        return self.move


def library(scenarios: ScenarioSet, parameters: RiskParameters) -> tuple[NamedScenario, ...]:
    """Return the named scenarios of a parameter set, in the order in which the scenario set holds them."""
    events = {event.name: event for event in parameters.stress_events}
    windows = {window.name: window for window in parameters.crisis_windows}
    found = []
    for name in scenarios.names[scenarios.ordinary_count :]:
        event = events.get(name.removesuffix(REVERSED))
        if event is not None:
            found.append(NamedScenario(name, StressKind.EVENT, event.source, event))
            continue
        window = windows[name.rpartition(", ")[0]]
        found.append(NamedScenario(name, StressKind.CRISIS_DAY, window.source, events.get(window.event or "")))
    return tuple(found)


def named_scenarios(names: Sequence[str], scenarios: ScenarioSet, parameters: RiskParameters) -> tuple[StressScenario, ...]:
    """Return scenarios of the library; all of it if no name is given. A move is the one that margins rest on.

    Raises:
        DomainError: UNKNOWN_STRESS_SCENARIO for a name that is not in the library.
    """
    known = library(scenarios, parameters)
    place = {one.name: scenarios.ordinary_count + row for row, one in enumerate(known)}
    kinds = {one.name: one.kind for one in known}
    for name in names:
        if name not in place:
            raise _unknown(name, parameters)
    wanted = list(dict.fromkeys(names)) or list(place)
    return tuple(StressScenario(name, kinds[name], scenarios.shocks[place[name]]) for name in wanted)


def ad_hoc_scenarios(asked: Sequence[AdHocScenario], scenarios: ScenarioSet, parameters: RiskParameters) -> Iterator[StressScenario]:
    """Yield what a caller made up; one of both directions is followed by its opposite, log-returns and differences negated.

    Of the shocks that reach a factor the most particular counts: its own, then its curve's, its group's, its class's. A curve of which
    any node is moved stands still at the others. What no shock reaches moves as in a stress event that does not name it: with its proxy,
    a volatility by the response to its price, and else not at all.

    Raises:
        DomainError: INVALID_ARGUMENT for a shock that reaches no factor of the market.
    """
    for one in asked:
        event = _event_of(one, scenarios, parameters)
        yield StressScenario(one.name, StressKind.AD_HOC, event_moves(event, scenarios.factors, parameters))
        if one.both_directions:
            yield StressScenario(
                f"{one.name}{REVERSED}", StressKind.AD_HOC, event_moves(event, scenarios.factors, parameters, direction=-1.0)
            )


def _event_of(one: AdHocScenario, scenarios: ScenarioSet, parameters: RiskParameters) -> StressEvent:
    moves: dict[FactorId, Decimal] = {}
    for shock in sorted(one.shocks, key=_particularity):
        reached = [factor for factor in scenarios.factors if _reaches(shock, factor, parameters)]
        if not reached:
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"shock of {shock} in scenario {one.name} reaches no risk factor; expected one that the market is valued from",
                field="shock",
                value=shock,
                scenario=one.name,
            )
        moves |= dict.fromkeys(reached, shock.size)
    curves = {factor.curve for factor in moves}
    still = {factor: Decimal(0) for factor in scenarios.factors if factor.curve in curves}
    return StressEvent(one.name, "ad hoc", both_directions=False, moves=still | moves, default_class_moves={})


def _particularity(shock: StressShock) -> int:
    if shock.asset_class:
        return 0
    if shock.group_id is not None:
        return 1
    return 2 if shock.curve else 3


def _reaches(shock: StressShock, factor: FactorId, parameters: RiskParameters) -> bool:
    if shock.factor is not None:
        return factor == shock.factor
    if shock.curve:
        return factor.curve == shock.curve
    group = parameters.group_of(factor)
    is_inside = group.group_id == shock.group_id if shock.group_id is not None else group.asset_class == shock.asset_class
    return is_inside and (factor.kind in _PRICES if shock.kind is None else factor.kind is shock.kind)


def _unknown(name: str, parameters: RiskParameters) -> DomainError:
    return DomainError(
        Reason.UNKNOWN_STRESS_SCENARIO,
        f"stress scenario {name!r} is not in the library of risk parameters {parameters.set_id}; list the library, or spell its shocks out",
        scenario=name,
        parameter_set=parameters.set_id,
    )
