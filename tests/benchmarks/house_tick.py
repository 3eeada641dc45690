"""A full tick of a house: every instrument revalued, every account margined, beside the same pipeline in C on one thread."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.methodologies.compute import Compute, compute, compute_brief
from crossmargin.engine.revaluation import PreparedInstruments, prepared, revalue_market
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.usecases.evaluate_margin import packed_portfolio
from crossmargin.usecases.ports.books import PackedState
from tests.benchmarks.harness import Goal, Measured, Plan, Ratio, in_turn
from tests.benchmarks.opponents.house_tick import HouseInC
from tests.benchmarks.tick_house import POSITIONS, instruments, parameters, scenario_set, snapshot, states

ACCOUNTS, QUICK_ACCOUNTS = 400, 100
TICKS: Final = 4
"""Snapshots that are gone through again and again: as ours remembers nothing from one to the next, it sees a new one each time."""
_CENTS_OF_A_LINE: Final = 0.01
"""Base currency: each line of a statement is in whole cents, rounded against the client, which C's figures are not."""
_RELATIVE: Final = 1e-9
_BANDS: Final = tuple(Band)
_NOTE: Final = (
    "both: marks of options and bonds, profits, groups, classes, account, every holding alone, charges, haircuts, bands, and figures agree "
    "to a cent a line. C leaves out: positions as text and exact decimals, whole cents line by line, stamps, policies and limits (none "
    "binds), issuers, schedules, isolated accounts. Ours leaves out the totals over all accounts, which a house run finds first"
)


def run(plan: Plan) -> list[Measured]:
    """Return the rows by either kernels, and that of results which are explained; their notes say what the stages took."""
    tick = _Tick.of(QUICK_ACCOUNTS if plan.is_quick else ACCOUNTS)
    tick.check()
    return [
        _row(tick, plan, Kernels.NUMBA, compute_brief, "brief"),
        _row(tick, plan, Kernels.NUMPY, compute_brief, "brief"),
        _row(tick, plan, Kernels.NUMBA, compute, "explained"),
    ]


@dataclass(frozen=True, slots=True)
class _Tick:
    """A house and its market, laid out for both sides."""

    known: PreparedInstruments
    scenarios: ScenarioSet
    parameters: RiskParameters
    snapshots: Sequence[MarketSnapshot]
    accounts: Sequence[PackedState]
    in_c: HouseInC

    @staticmethod
    def of(accounts: int) -> _Tick:
        known, scenarios, rules, snapshots = (
            prepared(instruments()),
            scenario_set(),
            parameters(),
            [snapshot(tick) for tick in range(TICKS)],
        )
        market = revalue_market(known, snapshots[0], scenarios, rules)
        held = states(accounts, market)
        in_c = HouseInC.of([packed_portfolio(each) for each in held], market, snapshots[0], scenarios, rules)
        return _Tick(known, scenarios, rules, snapshots, held, in_c)

    def ours(self, at: MarketSnapshot, kernels: Kernels, margin: Compute) -> tuple[list[MarginResult], Mapping[str, float]]:
        """Return the margins at a snapshot, and the seconds of each stage."""
        started = time.process_time()
        market = revalue_market(self.known, at, self.scenarios, self.parameters, kernels=kernels)
        revalued = time.process_time()
        portfolios = [packed_portfolio(state) for state in self.accounts]
        unpacked = time.process_time()
        results = [margin(portfolio, market, self.parameters) for portfolio in portfolios]
        ended = time.process_time()
        return results, {"revaluation": revalued - started, "positions taken apart": unpacked - revalued, "margins": ended - unpacked}

    def check(self) -> None:
        """See that both sides find the same, at every snapshot."""
        for at in self.snapshots:
            results, _ = self.ours(at, Kernels.NUMBA, compute_brief)
            self.in_c.at(at)
            self.in_c.tick()
            for name, found in _figures(results).items():
                lines = 2 + max(len(result.equity.lines) + len(result.requirement.charges) for result in results)
                np.testing.assert_allclose(self.in_c.house[name], found, rtol=_RELATIVE, atol=lines * _CENTS_OF_A_LINE, err_msg=name)
            np.testing.assert_array_equal(self.in_c.house["band"], [_BANDS.index(result.band) for result in results])


def _row(tick: _Tick, plan: Plan, kernels: Kernels, margin: Compute, what: str) -> Measured:
    took: dict[str, defaultdict[str, list[float]]] = {"ours": defaultdict(list), "C": defaultdict(list)}
    turn = dict.fromkeys(took, 0)

    def next_snapshot(side: str) -> MarketSnapshot:
        turn[side] += 1
        return tick.snapshots[turn[side] % TICKS]

    def kept(side: str, stages: Mapping[str, float]) -> float:
        for name, seconds in stages.items():
            took[side][name].append(seconds)
        return sum(stages.values())

    def ours() -> float:
        return kept("ours", tick.ours(next_snapshot("ours"), kernels, margin)[1])

    def theirs() -> float:
        tick.in_c.at(next_snapshot("C"))
        return kept("C", tick.in_c.tick())

    path = (
        f"full tick of a house, {len(tick.accounts):,} x {POSITIONS}, {len(tick.known.instruments):,} instruments, {kernels.value}, {what}"
    )
    measured = in_turn(path, "the same in C, one thread", Goal(Ratio.SPEED, 0.6), ours=ours, theirs=theirs, plan=plan, note="")
    stages = "; ".join(
        f"{side}: " + ", ".join(f"{name} {1e3 * statistics.median(seconds):.2f}" for name, seconds in of_side.items())
        for side, of_side in took.items()
    )
    return replace(measured, note=f"processor ms of each stage, {stages}. {_NOTE}")


def _figures(results: Sequence[MarginResult]) -> dict[str, list[float]]:
    return {
        "equity": [float(each.equity.equity) for each in results],
        "gross": [float(each.requirement.gross) for each in results],
        "market_requirement": [float(each.requirement.market_requirement) for each in results],
        "maintenance": [float(each.requirement.maintenance_margin) for each in results],
        "initial": [float(each.requirement.initial_margin) for each in results],
    }
