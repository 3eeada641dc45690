from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

from crossmargin.engine.tail_mean import tail_mean
from crossmargin.engine.tail_program import Start, TailProgram, solve_tail_program

ALPHA = 0.1
NONE = np.zeros(18, dtype=np.bool_)
MIDDLE = Start(np.full(18, 0.5), 10.0, NONE)


@pytest.mark.parametrize("plane_count", [1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_the_point_is_near_the_maximum_and_the_bound_above_it(seed, plane_count):
    program = _program(seed, plane_count=plane_count)
    solution, best = solve_tail_program(program, MIDDLE, tolerance=1e-4), _by_linear_program(program)
    assert best - 1e-4 <= _value(program, solution.x) <= best + 1e-6
    assert best - 1e-6 <= solution.bound <= best + 1e-4
    assert (solution.x > 0).all()
    assert (solution.x < 1).all()


@pytest.mark.parametrize("x", [np.zeros(18), np.ones(18), np.linspace(0, 1, 18)], ids=["none", "all", "between"])
@pytest.mark.parametrize("distance", [1e-6, 1.0, 1e6])
def test_the_start_may_be_anywhere(x, distance):
    program = _program(4, plane_count=2)
    solution = solve_tail_program(program, Start(x, distance, NONE), tolerance=1e-4)
    assert _value(program, solution.x) == pytest.approx(_by_linear_program(program), abs=1e-4)


@pytest.mark.parametrize("plane_count", [1, 3])
def test_without_rows_the_planes_alone_decide(plane_count):
    program = _program(3, plane_count=plane_count)
    none = np.zeros(0)
    program = replace(program, level=none, first=none.astype(np.int64), base=none, cap=none, profit=np.zeros((0, 18)))
    solution = solve_tail_program(program, MIDDLE, tolerance=1e-4)
    assert _value(program, solution.x) == pytest.approx(_by_linear_program(program), abs=1e-4)


@pytest.mark.parametrize("plane_count", [1, 3])
@pytest.mark.parametrize("seed", range(8))
def test_variables_settled_where_they_belong_give_nothing_away(seed, plane_count):
    """Nine of them gain or lose more than all rows together could make up for."""
    plain, sure = _program(seed, plane_count=plane_count), np.where(np.arange(18) % 2 == 0, np.where(np.arange(18) < 9, 1.0, -1.0), 0.0)
    program = replace(plain, linear=plain.linear - 100.0 * sure)
    solution = solve_tail_program(program, Start(0.5 + 0.5 * sure, 10.0, sure != 0.0), tolerance=1e-4)
    best = _by_linear_program(program)
    assert (solution.x[sure > 0.0] == 1.0).all()
    assert (solution.x[sure < 0.0] == 0.0).all()
    assert best - 1e-4 <= _value(program, solution.x) <= best + 1e-6
    assert best - 1e-6 <= solution.bound <= best + 1e-4
    assert solution.given_away == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("plane_count", [1, 3])
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_bound_holds_wherever_variables_are_settled_wrongly(seed, plane_count, end):
    program = _program(seed, plane_count=plane_count)
    is_settled = np.arange(18) % 2 == 0
    settled = solve_tail_program(program, Start(np.full(18, end), 10.0, is_settled), tolerance=1e-4)
    best = _by_linear_program(program)
    assert settled.bound >= best - 1e-6
    assert settled.given_away >= best - _value(program, settled.x) - 2e-4
    assert settled.given_away > 1e-3


def test_the_same_program_gives_the_same_bits():
    first, again = (solve_tail_program(_program(5, plane_count=2), MIDDLE, tolerance=1e-3) for _ in range(2))
    assert first.x.tobytes() == again.x.tobytes()
    assert first.bound == again.bound


def _program(seed, *, plane_count):
    """Nine sources in two parts each; rows of one, of three and of all of them: some are tail means, some the largest of four tangents."""
    random = np.random.default_rng(seed)
    moved_by = [[row] for row in range(6)] + [[6, 7, 8], list(range(9))]
    count = np.array([4, 40, 4, 40, 40, 4, 40, 40])
    width = np.tile(random.uniform(0.3, 0.7), 18)
    width[1::2] = 1 - width[1::2]
    by_source = np.zeros((count.sum(), 9))
    first = np.cumsum(count) - count
    for row, sources in enumerate(moved_by):
        by_source[first[row] : first[row] + count[row], sources] = random.standard_t(3, (count[row], len(sources)))
    return TailProgram(
        constant=random.uniform(0, 0.2, plane_count),
        slope=random.uniform(0, 2, (plane_count, 18)),
        linear=random.uniform(0, 0.2, 18),
        level=random.uniform(0.2, 1, 8),
        first=first,
        base=random.standard_t(3, count.sum()) * np.repeat(random.integers(0, 2, 8), count),
        cap=np.repeat(np.where(count == 4, 1.0, 1 / 40 / ALPHA), count),
        profit=np.repeat(by_source, 2, axis=1) * width,
    )


def _rows(program):
    """Yield level, base, cap and profit of each row."""
    ends = np.append(program.first, len(program.base))[1:]
    for level, first, end in zip(program.level, program.first, ends, strict=True):
        yield level, program.base[first:end], program.cap[first:end], program.profit[first:end]


def _value(program, x):
    needed = 0.0
    for level, base, cap, profit in _rows(program):
        pnl = base + profit @ x
        needed += level * (max(0.0, -pnl.min()) if cap[0] == 1.0 else tail_mean(pnl, np.full(40, 1 / 40), ALPHA))
    return (program.constant + program.slope @ x).min() - program.linear @ x - needed


def _by_linear_program(program):
    """Return the largest value; unknowns are x, the value of the planes, eta of each row and what lies beyond it in each column."""
    variables, columns, rows = len(program.linear), len(program.base), len(program.level)
    row = np.repeat(np.arange(rows), np.diff(program.first, append=columns))
    planes = np.hstack((-program.slope, np.ones((len(program.slope), 1)), np.zeros((len(program.slope), rows + columns))))
    beyond = np.hstack((-program.profit, np.zeros((columns, 1)), -np.eye(rows)[row].reshape(columns, rows), -np.eye(columns)))
    cost = np.concatenate((program.linear, [-1.0], program.level, program.level[row] * program.cap))
    bounds = [(0, 1)] * variables + [(None, None)] + [(0, None)] * (rows + columns)
    ends = np.concatenate((program.constant, program.base))
    solved = linprog(cost, A_ub=np.vstack((planes, beyond)), b_ub=ends, bounds=bounds)
    assert solved.status == 0, solved.message
    return -solved.fun
