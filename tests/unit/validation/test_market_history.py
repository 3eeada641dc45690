"""The loaders of real history, on small made-up files."""

from __future__ import annotations

import gzip
from datetime import date
from decimal import Decimal

import pytest

from crossmargin.domain.market import FactorId
from tests.validation.market_history import HistoryError, MarketHistory, as_decimal, known_truths, load_market_history, read_columns
from tests.validation.treasury_curve import PAR_TENORS

MONDAY, TUESDAY = date(2020, 3, 9), date(2020, 3, 10)
EUR_AND_GBP = ["EUR_3M", "EUR_1Y", "EUR_2Y", "EUR_5Y", "EUR_10Y", "GBP_1Y", "GBP_2Y", "GBP_5Y", "GBP_7Y", "GBP_10Y"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fx_eur_daily.csv").write_text(
        "date,EURUSD,EURGBP,EURJPY,EURCHF\n2020-03-09,1.10,0.88,121,1.10\n2020-03-10,1.20,,120,1.08\n"
    )
    with gzip.open(tmp_path / "ust_par_yields_daily.csv.gz", "wt") as packed:
        packed.write(f"date,1M,{','.join(PAR_TENORS)}\n2020-03-09,,{','.join(['4.0'] * 10)}\n2020-03-10,1,{','.join(['4.0'] * 9)},\n")
    zeros = ",".join(["1.5"] * len(EUR_AND_GBP))
    (tmp_path / "gov_zero_curves_daily.csv").write_text(f"date,{','.join(EUR_AND_GBP)}\n2020-03-09,{zeros}\n")
    (tmp_path / "crypto_usd_daily.csv").write_text("date,BTC,ETH\n2020-03-08,8000,\n2020-03-09,7900.5,200\n")
    return tmp_path


def test_levels_come_in_the_units_of_the_engine(folder):
    history = load_market_history(folder)
    assert history.level("fx:EUR", MONDAY) == 1.10
    assert history.level("fx:GBP", MONDAY) == pytest.approx(1.25)
    assert history.level("fx:JPY", TUESDAY) == pytest.approx(0.01)
    assert history.level("zero:EUR:10Y", MONDAY) == pytest.approx(0.015)
    assert history.level("spot:BTC", MONDAY) == 7900.5
    assert history.largest_par_error < 1e-10


def test_a_day_with_a_missing_par_yield_has_no_curve(folder):
    assert list(load_market_history(folder).par_yields["2Y"]) == [MONDAY]


def test_an_empty_cell_is_no_level_and_the_last_one_is_at_most_a_week_old(folder):
    history = load_market_history(folder)
    assert history.level("fx:GBP", TUESDAY) == pytest.approx(1.25)
    assert history.level("fx:GBP", date(2020, 3, 16)) == pytest.approx(1.25)
    with pytest.raises(HistoryError, match="fx:GBP has no level in the week to 2020-03-17"):
        history.level("fx:GBP", date(2020, 3, 17))


def test_the_factor_history_has_every_calendar_day_and_fills_nothing(folder):
    history = load_market_history(folder).factor_history(date(2020, 3, 7), TUESDAY)
    assert history.dates == (date(2020, 3, 7), date(2020, 3, 8), MONDAY, TUESDAY)
    assert history.levels[FactorId.parse("spot:BTC")] == (None, Decimal(8000), Decimal("7900.5"), None)


def test_a_level_keeps_twelve_digits():
    assert as_decimal(1 / 3) == Decimal("0.333333333333")
    assert as_decimal(1.2e-9) == Decimal("0.0000000012")


def test_a_missing_file_is_named(folder):
    (folder / "crypto_usd_daily.csv").unlink()
    with pytest.raises(HistoryError, match=r"neither crypto_usd_daily\.csv\.gz nor crypto_usd_daily\.csv"):
        load_market_history(folder)


def test_a_missing_column_is_named(folder):
    with pytest.raises(HistoryError, match="lacks the columns SOL; it has date, BTC, ETH"):
        read_columns(folder / "crypto_usd_daily", ["BTC", "SOL"])


def test_known_truths_fail_on_another_history():
    """The check of the loaders can fail: a history without the fall of March 2020 is not the market's."""
    days = [date(2015, 1, 14), date(2015, 1, 15), date(2016, 6, 23), date(2016, 6, 24), date(2020, 3, 11), date(2020, 3, 12)]
    calm = dict.fromkeys(days, 1.0)
    yields = {"2Y": {date(2023, 3, 10): 0.04, date(2023, 3, 13): 0.04}}
    factors = ["spot:BTC", "fx:EUR", "fx:CHF", "fx:GBP"]
    truths = known_truths(MarketHistory({FactorId.parse(factor): calm for factor in factors}, yields, 0.0))
    assert [truth.holds for truth in truths] == [False] * 5
