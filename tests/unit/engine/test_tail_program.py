from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from crossmargin.engine.tail_mean import tail_means
from crossmargin.engine.tail_program import TailProgram, solve_tail_program

ALPHA = 0.1


@pytest.mark.parametrize("plane_count", [1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_the_point_is_near_the_maximum_and_the_bound_above_it(seed, plane_count):
    program = _program(seed, plane_count=plane_count)
    solution, best = solve_tail_program(program, tolerance=1e-4), _by_linear_program(program)
    assert best - 1e-4 <= _value(program, solution.x) <= best + 1e-6
    assert best - 1e-6 <= solution.bound <= best + 1e-4
    assert (solution.x > 0).all()
    assert (solution.x < 1).all()


@pytest.mark.parametrize("plane_count", [1, 3])
def test_without_rows_the_planes_alone_decide(plane_count):
    program = _program(3, plane_count=plane_count)
    none = np.zeros(0, dtype=np.int64)
    scenarios = np.zeros((0, plane_count))
    program = replace(program, level=np.zeros(0), base=scenarios, cap=scenarios, entry_row=none, entry_source=none, entry_profit=scenarios)
    solution = solve_tail_program(program, tolerance=1e-4)
    assert _value(program, solution.x) == pytest.approx(_by_linear_program(program), abs=1e-4)


def test_the_same_program_gives_the_same_bits():
    first, again = (solve_tail_program(_program(5, plane_count=2), tolerance=1e-3) for _ in range(2))
    assert first.x.tobytes() == again.x.tobytes()
    assert first.bound == again.bound


def _program(seed, *, plane_count):
    """Nine sources in two parts each; rows of one, of three and of all of them, so that both ways of adding up are taken."""
    random = np.random.default_rng(seed)
    entries = [(row, row) for row in range(6)] + [(6, source) for source in (6, 7, 8)] + [(7, source) for source in range(9)]
    width = np.tile(random.uniform(0.3, 0.7), 18)
    width[1::2] = 1 - width[1::2]
    return TailProgram(
        constant=random.uniform(0, 0.2, plane_count),
        slope=random.uniform(0, 2, (plane_count, 18)),
        linear=random.uniform(0, 0.2, 18),
        source=np.repeat(np.arange(9), 2),
        width=width,
        level=random.uniform(0.2, 1, 8),
        base=random.standard_t(3, (8, 40)) * random.integers(0, 2, (8, 1)),
        cap=np.full((8, 40), 1 / 40 / ALPHA),
        entry_row=np.array([row for row, _ in entries]),
        entry_source=np.array([source for _, source in entries]),
        entry_profit=random.standard_t(3, (len(entries), 40)),
    )


def _profit(program, x):
    risked = np.bincount(program.source, program.width * x)
    profit = program.base.copy()
    np.add.at(profit, program.entry_row, program.entry_profit * risked[program.entry_source, np.newaxis])
    return profit


def _value(program, x):
    needed = program.level @ tail_means(_profit(program, x), np.full(40, 1 / 40), ALPHA) if len(program.level) else 0.0
    return (program.constant + program.slope @ x).min() - program.linear @ x - needed


def _by_linear_program(program):
    """Return the largest value; unknowns are x, the value of the planes, eta of each row and what lies beyond it in each scenario."""
    count, rows = len(program.width), len(program.level)
    width = count + 1 + rows + rows * 40
    constraints, ends = [], []
    for constant, slope in zip(program.constant, program.slope, strict=True):
        constraint = np.zeros(width)
        constraint[:count], constraint[count] = -slope, 1.0
        constraints.append(constraint)
        ends.append(constant)
    gains = np.array([_profit(program, unit) - program.base for unit in np.eye(count)])
    for row in range(rows):
        for scenario in range(40):
            constraint = np.zeros(width)
            constraint[:count] = -gains[:, row, scenario]
            constraint[count + 1 + row] = constraint[count + 1 + rows + row * 40 + scenario] = -1.0
            constraints.append(constraint)
            ends.append(program.base[row, scenario])
    cost = np.concatenate((program.linear, [-1.0], program.level, (program.level[:, np.newaxis] * program.cap).ravel()))
    bounds = [(0, 1)] * count + [(None, None)] + [(0, None)] * (rows + rows * 40)
    solved = linprog(cost, A_ub=np.array(constraints), b_ub=ends, bounds=bounds)
    assert solved.status == 0, solved.message
    return -solved.fun
