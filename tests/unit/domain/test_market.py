"""Risk factors have one name each, and a snapshot is known by what is in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.market import FactorHistory, FactorId, FactorKind, MarketSnapshot, check_level, tenor_years

D = Decimal
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LOG_FACTORS = ("spot:BTC", "fx:EUR", "vol:BTC:1M")
DIFFERENCE_FACTORS = ("zero:USD:2Y", "basis:BTC:3M")


def refusal(build, reason):
    with pytest.raises(DomainError) as caught:
        build()
    assert caught.value.reason is reason
    return caught.value


def snapshot(levels=None, marks=None, *, as_of=NOON) -> MarketSnapshot:
    levels = {"spot:BTC": "60000", "fx:EUR": "1.1"} if levels is None else levels
    marks = {"BTC-PERP": "60010"} if marks is None else marks
    return MarketSnapshot(
        as_of,
        {FactorId.parse(name): D(level) for name, level in levels.items()},
        {InstrumentId(name): D(mark) for name, mark in marks.items()},
    )


@pytest.mark.parametrize("text", [*LOG_FACTORS, *DIFFERENCE_FACTORS, "spot:1INCH", "vol:BTC:999D", "zero:USD:1W", "spot:S-P.5_00"])
def test_a_factor_reads_back_from_its_name(text):
    assert str(FactorId.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "spot", "spot:", "spot::", "BTC", "SPOT:BTC", "rate:USD:2Y", " spot:BTC", "spot:BTC ", "spot: BTC"),
        *("spot:BTC:", "fx:EUR:", "spot:BTC:1M", "fx:EUR:2Y", "spot:btc", "spot:-BTC", "spot:" + "B" * 65, "spot:ВТС"),
        *("vol:BTC", "vol:BTC:", "zero:USD", "basis:BTC", "zero::2Y"),
        *("zero:USD:0Y", "zero:USD:02Y", "zero:USD:1000D", "zero:USD:Y", "zero:USD:2", "zero:USD:2y", "zero:USD:2Q"),
        *("zero:USD:٢Y", "zero:USD:2Y\n", "zero:USD:2Y:", "zero:USD:2Y:1M", "zero:USD:-2Y", "zero:USD:1.5Y"),
    ],
)
def test_any_other_name_of_a_factor_is_refused(text):
    assert refusal(lambda: FactorId.parse(text), Reason.INVALID_IDENTIFIER).facts["noun"] == "risk factor"


def test_a_factor_knows_its_kind_its_curve_and_its_tenor():
    node = FactorId.parse("zero:USD:6M")
    assert (node.kind, node.curve, node.tenor_years) == (FactorKind.ZERO, "zero:USD", 0.5)
    spot = FactorId.parse("spot:BTC")
    assert (spot.kind, spot.curve, spot.tenor_years) == (FactorKind.SPOT, "spot:BTC", 0.0)


@pytest.mark.parametrize(("tenor", "years"), [("1D", 1 / 365), ("1W", 7 / 365), ("12M", 1.0), ("10Y", 10.0), ("365D", 1.0)])
def test_a_year_has_365_days_and_twelve_equal_months(tenor, years):
    assert tenor_years(tenor) == pytest.approx(years, rel=1e-15)


@pytest.mark.parametrize("tenor", ["", "0D", "1Q", "-1Y", "1.5Y", "ON"])
def test_what_is_no_tenor_has_no_length(tenor):
    with pytest.raises(ValueError, match="expected a count and D, W, M or Y"):
        tenor_years(tenor)


@pytest.mark.parametrize("text", LOG_FACTORS)
@pytest.mark.parametrize(("level", "is_fine"), [("1e-18", True), ("1e19", True), ("0", False), ("-0.01", False)])
def test_what_moves_by_log_return_is_more_than_zero(text, level, is_fine):
    factor = FactorId.parse(text)
    if is_fine:
        assert check_level(factor, D(level)) == D(level)
    else:
        assert refusal(lambda: check_level(factor, D(level)), Reason.INVALID_SNAPSHOT).facts["factor"] == text


@pytest.mark.parametrize("text", DIFFERENCE_FACTORS)
@pytest.mark.parametrize(("level", "is_fine"), [("0", True), ("-10", True), ("10", True), ("10.01", False), ("-10.01", False)])
def test_a_rate_or_carry_is_a_fraction_within_ten_of_zero(text, level, is_fine):
    """So that 425 basis points are not taken for a rate of 425."""
    factor = FactorId.parse(text)
    if is_fine:
        assert check_level(factor, D(level)) == D(level)
    else:
        refusal(lambda: check_level(factor, D(level)), Reason.INVALID_SNAPSHOT)


@pytest.mark.parametrize("level", ["NaN", "Infinity", "1e20", "1e-19"])
def test_a_snapshot_holds_only_numbers_that_the_ledger_could(level):
    refusal(lambda: snapshot({"spot:BTC": level}), Reason.INVALID_DECIMAL)
    refusal(lambda: snapshot(marks={"BTC-PERP": level}), Reason.INVALID_DECIMAL)


def test_a_snapshot_checks_its_levels_and_its_time():
    refusal(lambda: snapshot({"spot:BTC": "0"}), Reason.INVALID_SNAPSHOT)
    refusal(lambda: snapshot(as_of=NOON.replace(tzinfo=None)), Reason.INVALID_TIMESTAMP)


@pytest.mark.parametrize(
    "other",
    [
        snapshot({"spot:BTC": "60000.000000000000000001", "fx:EUR": "1.1"}),
        snapshot({"spot:BTC": "60000"}),
        snapshot({"spot:BTC": "60000", "fx:GBP": "1.1"}),
        snapshot({"spot:BTC": "1.1", "fx:EUR": "60000"}),
        snapshot(marks={}),
        snapshot(marks={"BTC-PERP": "60011"}),
        snapshot(marks={"BTC-PERP-2": "60010"}),
        snapshot(marks={"BTC-PERP": "60010", "ETH-PERP": "1"}),
        snapshot(as_of=NOON + timedelta(microseconds=1)),
    ],
)
def test_any_other_level_mark_or_moment_is_another_snapshot(other):
    assert other.snapshot_id != snapshot().snapshot_id


def test_the_order_and_the_zeros_in_which_levels_and_marks_were_given_make_no_difference():
    one = snapshot({"spot:BTC": "60000", "fx:EUR": "1.1"}, {"BTC-PERP": "60010", "ETH-PERP": "3000"})
    other = snapshot({"fx:EUR": "1.10", "spot:BTC": "6.0E+4"}, {"ETH-PERP": "3.000E+3", "BTC-PERP": "60010.00"})
    assert other.content_hash == one.content_hash


@pytest.mark.parametrize("hours", [-11, 9, 14])
def test_a_moment_is_the_same_in_every_time_zone(hours):
    elsewhere = NOON.astimezone(timezone(timedelta(hours=hours)))
    assert snapshot(as_of=elsewhere).snapshot_id == snapshot().snapshot_id


def test_a_level_is_not_taken_for_a_mark_of_the_same_name():
    assert snapshot({"spot:BTC": "1"}, {}).snapshot_id != snapshot({}, {"BTC": "1"}).snapshot_id


def test_the_id_is_the_beginning_of_the_content_hash():
    assert snapshot().content_hash.hex().startswith(snapshot().snapshot_id)


@given(
    st.dictionaries(
        st.sampled_from([FactorId.parse(name) for name in (*LOG_FACTORS, *DIFFERENCE_FACTORS)]),
        st.integers(1, 10**19).map(lambda units: D(units).scaleb(-18)),
        min_size=1,
    ),
    st.data(),
)
def test_each_single_level_is_in_the_id(levels, data):
    factor = data.draw(st.sampled_from(sorted(levels)))
    bumped = levels | {factor: levels[factor] - D("1e-18") or D("2e-18")}
    assert MarketSnapshot(NOON, levels, {}).snapshot_id != MarketSnapshot(NOON, bumped, {}).snapshot_id
    reversed_order = dict(reversed(levels.items()))
    assert MarketSnapshot(NOON, reversed_order, {}).snapshot_id == MarketSnapshot(NOON, levels, {}).snapshot_id


DAYS = (date(2026, 2, 27), date(2026, 3, 1), date(2026, 3, 2))


def history(*column: str | None, factor: str = "spot:BTC", dates: tuple[date, ...] = DAYS) -> FactorHistory:
    return FactorHistory(dates, {FactorId.parse(factor): tuple(None if level is None else D(level) for level in column)})


def test_a_history_has_one_level_or_gap_for_each_date():
    assert history("1", None, "2").levels[FactorId.parse("spot:BTC")] == (D(1), None, D(2))
    error = refusal(lambda: history("1", "2"), Reason.INVALID_HISTORY)
    assert "2 levels for 3 dates" in error.message


@pytest.mark.parametrize("dates", [(DAYS[1], DAYS[0], DAYS[2]), (DAYS[0], DAYS[0], DAYS[1]), (DAYS[0], DAYS[2], DAYS[1])])
def test_dates_of_a_history_ascend_without_repeats(dates):
    refusal(lambda: history("1", "1", "1", dates=dates), Reason.INVALID_HISTORY)


def test_a_history_may_be_empty():
    assert FactorHistory((), {}).dates == ()
    assert history(dates=()).levels


@pytest.mark.parametrize("level", ["0", "-1", "NaN", "Infinity"])
def test_a_price_in_a_history_is_more_than_zero_and_the_day_is_named(level):
    error = refusal(lambda: history("1", level, "1"), Reason.INVALID_HISTORY)
    assert error.facts["day"] == "2026-03-01"


@pytest.mark.parametrize(("level", "is_fine"), [("0", True), ("-0.01", True), ("NaN", False), ("Infinity", False)])
def test_a_rate_in_a_history_may_have_either_sign(level, is_fine):
    if is_fine:
        assert history("0.04", level, "0.04", factor="zero:USD:2Y")
    else:
        refusal(lambda: history("0.04", level, "0.04", factor="zero:USD:2Y"), Reason.INVALID_HISTORY)
