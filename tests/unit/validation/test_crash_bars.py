"""Bars become ticks in an order that is written down, and a bar that cannot be is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.validation.crash_bars import Bar, Ohlc, load_bars, moves_of, ticks_of
from tests.validation.market_history import HistoryError

START = datetime(2020, 3, 12, tzinfo=UTC)
FALLING, RISING = Ohlc(100.0, 110.0, 60.0, 70.0), Ohlc(70.0, 95.0, 65.0, 90.0)
OTHER = Ohlc(10.0, 12.0, 8.0, 11.0)
HEADER = "date,BTC_open,BTC_high,BTC_low,BTC_close,ETH_open,ETH_high,ETH_low,ETH_close"


def bars():
    return [Bar(START, {"BTC": FALLING, "ETH": OTHER}), Bar(START + timedelta(hours=4), {"BTC": RISING, "ETH": OTHER})]


def written(folder, rows):
    (folder / "crypto_4h_ohlc.csv").write_text("\n".join((HEADER, *rows)), encoding="utf-8")
    return folder


def day(*, rows=6, **changed):
    of_bar = {"prices": "100,110,60,70,10,12,8,11"} | changed
    return [f"2020-03-12T{4 * number:02}:00Z,{of_bar['prices']}" for number in range(rows)]


def test_a_bar_that_fell_visits_its_high_first_and_one_that_rose_its_low():
    assert [tick.prices["BTC"] for tick in ticks_of(bars())] == [100.0, 110.0, 60.0, 70.0, 65.0, 95.0, 90.0]


def test_one_order_holds_for_all_coins():
    """ETH rose in both bars, but goes by BTC: its high first in the bar in which BTC fell."""
    assert [tick.prices["ETH"] for tick in ticks_of(bars())] == [10.0, 12.0, 8.0, 10.0, 8.0, 12.0, 11.0]


def test_ticks_are_a_third_of_a_bar_apart():
    times = [tick.at for tick in ticks_of(bars())]
    assert times == [START + timedelta(minutes=80) * number for number in range(7)]


def test_moves_are_multiples_of_the_first_price():
    assert [move["BTC"] for move in moves_of(ticks_of(bars()))][:3] == [1.0, 1.1, 0.6]
    assert ticks_of([]) == []


def test_bars_of_the_days_asked_for_are_read(tmp_path):
    outside = "2020-03-11T20:00Z,,,,,,,,"
    found = load_bars(written(tmp_path, [outside, *day()]), date(2020, 3, 12), date(2020, 3, 12))
    assert [bar.start.hour for bar in found] == [0, 4, 8, 12, 16, 20]
    assert found[0].coins == {"BTC": FALLING, "ETH": OTHER}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (day(rows=5), "has 5 bars from 2020-03-12 to 2020-03-12; expected 6"),
        (day(prices="100,110,60,70,,12,8,11"), "ETH_open at 2020-03-12T00:00Z in crypto_4h_ohlc was ''; expected USD"),
        (day(prices="100,90,60,70,10,12,8,11"), "bar of BTC at 2020-03-12T00:00Z"),
        (day(prices="100,110,0,70,10,12,8,11"), "expected 0 < low <= open, close <= high"),
    ],
)
def test_a_bar_that_is_missing_or_impossible_is_named(tmp_path, rows, said):
    with pytest.raises(HistoryError, match=said.replace("(", r"\(")):
        load_bars(written(tmp_path, rows), date(2020, 3, 12), date(2020, 3, 12))


def test_a_folder_without_bars_is_named(tmp_path):
    with pytest.raises(HistoryError, match=r"crypto_4h_ohlc\.csv"):
        load_bars(tmp_path, date(2020, 3, 12), date(2020, 3, 12))
