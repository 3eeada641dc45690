"""A stablecoin counts at a price that follows the market down at once and up slowly, and a lost peg has a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.depeg_parameters import DepegParameters
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.peg import Peg, PegSighting, PegStanding, next_peg, peg_price, used_price

D = Decimal
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
RULES = DepegParameters(D("0.99"), D(4), D("0.95"), slow_rise_per_day=D("0.05"), longest_hours=D(72), recovery_hours=D(24))


def followed(*sightings, rules=RULES, start=None):
    """The peg after prices at hours: (hour, price), doubted when there is a third; None for a snapshot without the coin."""
    peg, previous = start, None
    for hour, price, *doubted in sightings:
        now = NOON + hour * HOUR
        sighting = None if price is None else PegSighting(D(price), is_believed=not doubted)
        peg, previous = next_peg(peg, sighting, previous=previous, now=now, rules=rules), now
    return peg


def test_the_first_price_is_the_slow_price():
    assert followed((0, "0.997")) == Peg(D("0.997"))
    assert followed((0, "1.04")) == Peg(D("1.04"))
    assert followed((0, None)) is None


def test_it_follows_downwards_at_once():
    assert followed((0, "1"), (0.001, "0.88")).slow_price == D("0.88")


def test_it_follows_upwards_by_so_much_a_day_and_no_further_than_the_price():
    assert followed((0, "0.88"), (24, "1")).slow_price == D("0.93")
    assert followed((0, "0.88"), (12, "1")).slow_price == D("0.905")
    assert followed((0, "0.88"), (240, "0.9999")).slow_price == D("0.9999")


def test_a_price_above_a_dollar_is_followed_slowly_as_any_other():
    assert followed((0, "1"), (1, "1.2")).slow_price == D("1.002083333333333333")
    assert followed((0, "1.2"), (1, "1.01")).slow_price == D("1.01")


def test_a_snapshot_of_the_same_time_or_before_makes_nothing_good():
    before = Peg(D("0.9"), NOON)
    for passed in (timedelta(0), -5 * HOUR):
        peg = next_peg(before, PegSighting(D(1), is_believed=True), previous=NOON, now=NOON + passed, rules=RULES)
        assert peg.slow_price == D("0.9")


def test_without_a_limited_rate_the_slow_price_is_the_price():
    rules = DepegParameters(D("0.99"), D(4), D("0.95"))
    assert followed((0, "0.88"), (0.001, "1"), rules=rules) == Peg(D(1))


def test_a_stretch_that_ends_without_a_price_makes_nothing_good_and_a_depeg_goes_on():
    peg = followed((0, "0.9"), (24, None), (48, None))
    assert peg == Peg(D("0.9"), NOON)
    assert peg.depegged_for(NOON + 48 * HOUR) == 48 * HOUR
    assert followed((0, "0.9"), (47, None), (48, "1")).slow_price == D("0.902083333333333333")


def test_a_doubted_price_makes_nothing_good_and_takes_what_it_must():
    assert followed((0, "0.9"), (24, "1", "doubted")) == Peg(D("0.9"), NOON)
    assert followed((0, "1"), (24, "0.98", "doubted")) == Peg(D("0.98"), NOON + 24 * HOUR)
    # A recovery that had begun neither ends nor starts again while nobody can be believed.
    assert followed((0, "0.98"), (1, "1"), (30, "1", "doubted")) == Peg(D("0.982083333333333333"), NOON, NOON + HOUR)
    assert followed((0, "0.98"), (1, "1"), (30, "1", "doubted"), (31, "1")).below_since is None


def test_the_clock_starts_below_the_line_and_not_on_it():
    assert followed((0, "0.99")).below_since is None
    assert followed((0, "0.989999999999999999")).below_since == NOON
    assert followed((0, "1"), (3, "0.98"), (5, "0.97")).below_since == NOON + 3 * HOUR


def test_a_moment_above_the_line_stops_no_clock():
    peg = followed((0, "0.98"), (70, "0.9901"), (71, "0.98"))
    assert peg.below_since == NOON
    assert peg.back_since is None
    assert peg.has_run_out(NOON + 73 * HOUR, RULES)


def test_a_depeg_is_over_when_the_price_has_been_back_for_long_enough_without_a_break():
    back = (followed((0, "0.98"), (10, "1"), (34 - 1 / 3600, "1")), followed((0, "0.98"), (10, "1"), (34, "1")))
    assert [peg.below_since for peg in back] == [NOON, None]
    broken = followed((0, "0.98"), (10, "1"), (30, "0.98"), (31, "1"), (54, "1"))
    assert (broken.below_since, broken.back_since) == (NOON, NOON + 31 * HOUR)


def test_with_no_recovery_time_a_depeg_is_over_at_once():
    rules = DepegParameters(D("0.99"), D(4), D("0.95"), longest_hours=D(72))
    assert followed((0, "0.98"), (1, "0.99"), rules=rules) == Peg(D("0.99"))


def test_the_clock_runs_out_after_the_set_time_and_not_at_it():
    peg = followed((0, "0.98"))
    assert not peg.has_run_out(NOON + 72 * HOUR, RULES)
    assert peg.has_run_out(NOON + 72 * HOUR + SECOND / 1_000_000, RULES)
    assert not followed((0, "1")).has_run_out(NOON + 1000 * HOUR, RULES)


def test_the_clock_stands_still_while_the_price_is_back_so_nothing_runs_out_in_a_recovery():
    peg = followed((0, "0.98"), (71, "1"), (80, "1"))
    assert peg.depegged_for(NOON + 80 * HOUR) == 71 * HOUR
    assert not peg.has_run_out(NOON + 80 * HOUR, RULES)


def test_what_has_run_out_stays_so_until_the_depeg_is_over():
    assert followed((0, "0.98"), (73, "1"), (96, "1")).has_run_out(NOON + 96 * HOUR, RULES)
    assert not followed((0, "0.98"), (73, "1"), (97, "1")).has_run_out(NOON + 97 * HOUR, RULES)


def test_a_set_without_a_clock_never_runs_out():
    rules = DepegParameters(D("0.99"), D(4), D("0.95"), longest_hours=None)
    assert not Peg(D("0.98"), NOON).has_run_out(NOON + 10_000 * HOUR, rules)


def test_another_line_counts_from_the_snapshot_at_which_it_holds():
    """A parameter change in between: the depeg begins when the line was first above the price, and ends when it is below it."""
    wider = DepegParameters(D("0.999"), D(4), D("0.95"), longest_hours=D(72))
    before = followed((0, "0.995"))
    assert before.below_since is None
    below = next_peg(before, PegSighting(D("0.995"), is_believed=True), previous=NOON, now=NOON + HOUR, rules=wider)
    assert below.below_since == NOON + HOUR
    again = next_peg(below, PegSighting(D("0.995"), is_believed=True), previous=NOON + HOUR, now=NOON + 2 * HOUR, rules=RULES)
    assert (again.below_since, again.back_since) == (NOON + HOUR, NOON + 2 * HOUR)


@pytest.mark.parametrize(("price", "currency", "expected"), [("0.99", "1", "0.99"), ("1.09", "1.1", "0.990909090909090910")])
def test_a_peg_price_is_upwards_so_that_the_whole_price_comes_back(price, currency, expected):
    peg = peg_price(D(price), D(currency))
    assert peg == D(expected)
    assert used_price(D(price), D(currency), Peg(peg)) == D(price)


def test_a_holding_counts_at_the_lower_price_and_at_the_price_without_a_memory():
    assert used_price(D("0.99"), D(1), Peg(D("0.95"))) == D("0.95")
    assert used_price(D("0.9"), D(1), Peg(D("0.95"))) == D("0.9")
    assert used_price(D("1.1"), D("1.1"), Peg(D("0.95"))) == D("1.045")
    assert used_price(D("0.5"), D(1), None) == D("0.5")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Peg(D(0)),
        lambda: Peg(D(1), None, NOON),
        lambda: Peg(D(1), NOON, NOON - SECOND),
    ],
)
def test_a_peg_that_cannot_be_is_refused(build):
    with pytest.raises(DomainError) as refusal:
        build()
    assert refusal.value.reason is Reason.INVALID_SNAPSHOT
    with pytest.raises(DomainError):
        Peg(D(1), NOON.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("peg", "hours", "expected"),
    [
        (Peg(D(1)), 5, PegStanding(D(1), timedelta(0), is_lost=False)),
        (Peg(D("0.95"), NOON), 72, PegStanding(D("0.95"), 72 * HOUR, is_lost=False)),
        (Peg(D("0.95"), NOON), 73, PegStanding(D("0.95"), 73 * HOUR, is_lost=True)),
        (Peg(D("0.9499"), NOON), 1, PegStanding(D("0.9499"), HOUR, is_lost=True)),
        (Peg(D("0.94")), 1, PegStanding(D("0.94"), timedelta(0), is_lost=True)),
    ],
)
def test_a_peg_is_lost_when_the_coin_counts_at_too_little_or_for_too_long(peg, hours, expected):
    assert peg.standing(NOON + hours * HOUR, RULES) == expected
