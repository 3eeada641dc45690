import json

import pytest

from tests.benchmarks.harness import Goal, Plan, Ratio, amount, compare, in_turn, median_of, quartiles, seconds, summary, table, write

PLAN = Plan(rounds=5, is_quick=True)


class Watch:
    """A clock that work moves by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def work(self, *durations):
        """Return work that takes these durations in turn, over and over."""
        taken = []

        def once():
            self.now += durations[len(taken) % len(durations)]
            taken.append(None)

        return once


def test_a_speed_is_their_time_over_ours_and_a_cost_the_other_way_round():
    for ratio, expected in ((Ratio.SPEED, 4.0), (Ratio.COST, 0.25)):
        watch = Watch()
        row = compare("p", "o", Goal(ratio, 1.0), ours=watch.work(1.0), theirs=watch.work(4.0), plan=PLAN, clock=watch)
        assert (row.measured, row.ours_ms, row.theirs_ms, row.rounds, row.met) == (expected, 1000.0, 4000.0, 5, True)


def test_the_first_round_does_not_count():
    watch = Watch()
    row = compare("p", "o", Goal(Ratio.COST, 9), ours=watch.work(50.0, *[2.0] * 5), theirs=watch.work(1.0), plan=PLAN, clock=watch)
    assert (row.low, row.measured, row.high) == (2.0, 2.0, 2.0)


def test_sides_take_turns_in_going_first():
    watch, order = Watch(), []

    def side(name):
        def once():
            order.append(name)
            watch.now += 1.0

        return once

    compare("p", "o", Goal(Ratio.SPEED, 1.0), ours=side("a"), theirs=side("b"), plan=Plan(3, is_quick=True), clock=watch)
    assert "".join(order) == "baabbaab"


def test_short_work_is_repeated_and_long_work_is_not():
    watch = Watch()
    short, long = watch.work(0.0125), watch.work(3.0)
    assert seconds(short, watch) == pytest.approx(0.0125)
    assert watch.now == pytest.approx(0.025)
    assert seconds(long, watch) == 3.0


def test_the_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_medians():
    row = summary(("p", "o"), Goal(Ratio.SPEED, 2.0), [1.0, 2.0, 30.0], [(1.0, 1.0), (2.0, 4.0), (3.0, 90.0)], "")
    assert row.measured == 2.0
    assert row.ours_ms == 2000.0
    assert row.theirs_ms == 4000.0


@pytest.mark.parametrize(
    ("ratio", "measured", "met"),
    [(Ratio.SPEED, 0.6, True), (Ratio.SPEED, 0.599, False), (Ratio.COST, 0.6, True), (Ratio.COST, 0.601, False), (Ratio.AMOUNT, 1, False)],
)
def test_a_speed_has_to_reach_its_goal_and_a_cost_to_stay_below(ratio, measured, met):
    assert Goal(ratio, 0.6).met_by(measured) is met


def test_quartiles_of_one_and_of_many():
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0]) == (1.75, 2.5, 3.25)


def test_the_table_and_the_file_say_what_was_missed(tmp_path):
    rows = [
        amount("slow", "the clock", Goal(Ratio.AMOUNT, 5), [7.0, 6.0, 9.0], "why"),
        summary(("fast", "C"), Goal(Ratio.SPEED, 0.5), [0.75], [(4, 3)], ""),
    ]
    slow, fast = table(rows).splitlines()[2:4]
    assert slow.split() == ["slow", "the", "clock", "<=", "5", "7", "6.5", "to", "8", "7", "-", "NO"]
    assert fast.split() == ["fast", "C", ">=", "0.5", "0.75", "0.75", "to", "0.75", "4e+03", "3e+03", "yes"]
    assert table(rows).endswith("slow: why")
    write(rows, "a machine", tmp_path / "out.json")
    stored = json.loads((tmp_path / "out.json").read_text())
    assert stored["machine"] == "a machine"
    assert [row["met"] for row in stored["rows"]] == [False, True]


def test_sides_that_measure_themselves_take_turns_and_are_compared_round_by_round():
    order, own, other = [], iter([9.0, 1.0, 2.0, 3.0]), iter([9.0, 4.0, 4.0, 3.0])

    def side(name, values):
        def measure():
            order.append(name)
            return next(values)

        return measure

    row = in_turn("p", "o", Goal(Ratio.COST, 0.5), ours=side("a", own), theirs=side("b", other), plan=Plan(3, is_quick=True))
    assert "".join(order) == "baabbaab"
    assert (row.low, row.measured, row.high, row.met) == (0.375, 0.5, 0.75, True)


def test_the_median_is_that_of_single_pieces_of_work():
    watch = Watch()
    assert median_of(watch.work(1.0, 9.0, 2.0), 3, watch) == 2.0
