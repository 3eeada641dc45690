"""Every calendar day has a level, its own or one carried, up to a limit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorHistory, FactorId
from crossmargin.engine.scenarios.history_arrays import every_day, history_arrays
from tests.unit.engine.scenarios.histories import a_history, factor

EUR, BTC, USD_1Y = factor("fx:EUR"), factor("spot:BTC"), factor("zero:USD:1Y")


def test_a_closed_day_carries_the_last_level_and_is_not_an_observation():
    arrays = history_arrays(a_history({"fx:EUR": [1, None, None, 4]}), [EUR], maximum_carry_days=7)
    assert arrays.levels[:, 0].tolist() == [1, 1, 1, 4]
    assert arrays.observed[:, 0].tolist() == [True, False, False, True]


def test_dates_the_history_leaves_out_are_days_all_the_same():
    history = FactorHistory((date(2024, 1, 5), date(2024, 1, 8)), {EUR: (Decimal(1), Decimal(2))})
    arrays = history_arrays(history, [EUR], maximum_carry_days=7)
    assert [str(day) for day in arrays.days] == ["2024-01-05", "2024-01-06", "2024-01-07", "2024-01-08"]
    assert arrays.levels[:, 0].tolist() == [1, 1, 1, 2]


@pytest.mark.parametrize(("limit", "expected"), [(0, [1, np.nan, np.nan, np.nan, 5]), (2, [1, 1, 1, np.nan, 5]), (3, [1, 1, 1, 1, 5])])
def test_a_level_is_carried_so_many_days_and_no_longer(limit, expected):
    arrays = history_arrays(a_history({"fx:EUR": [1, None, None, None, 5]}), [EUR], maximum_carry_days=limit)
    np.testing.assert_array_equal(arrays.levels[:, 0], expected)


def test_nothing_is_known_before_the_first_level():
    arrays = history_arrays(a_history({"spot:BTC": [1, 1, 1], "fx:EUR": [None, 2, 3]}), [BTC, EUR], maximum_carry_days=7)
    assert np.isnan(arrays.levels[0, 1])
    assert arrays.levels[1:, 1].tolist() == [2, 3]


def test_a_factor_the_history_lacks_is_missing_on_every_day():
    arrays = history_arrays(a_history({"spot:BTC": [1, 2]}), [EUR], maximum_carry_days=7)
    assert np.isnan(arrays.levels).all()
    assert not arrays.observed.any()


def test_prices_move_by_logarithm_and_rates_by_difference():
    arrays = history_arrays(a_history({"spot:BTC": [1, 2], "zero:USD:1Y": ["-0.01", "0.02"]}), [BTC, USD_1Y], maximum_carry_days=7)
    np.testing.assert_array_equal(np.diff(arrays.coordinates, axis=0), [[np.log(2), 0.03]])


def test_an_empty_history_has_no_days():
    assert len(every_day(FactorHistory((), {}))) == 0


@pytest.mark.parametrize(("name", "level"), [("spot:BTC", "0"), ("fx:EUR", "-1"), ("vol:BTC:1M", "NaN"), ("zero:USD:1Y", "Infinity")])
def test_a_history_refuses_a_level_that_cannot_be(name, level):
    with pytest.raises(DomainError, match=f"{name} has .* on 2024-01-02") as refused:
        FactorHistory((date(2024, 1, 1), date(2024, 1, 2)), {FactorId.parse(name): (Decimal(1), Decimal(level))})
    assert refused.value.reason is Reason.INVALID_HISTORY


def test_a_history_takes_negative_rates():
    assert a_history({"zero:USD:1Y": ["-0.01"], "basis:BTC:1M": ["-0.2"]}).dates == (date(2024, 1, 1),)


def test_what_was_known_on_a_day_is_what_a_history_that_ends_there_says():
    columns = {"spot:BTC": [1, 2, 3, 4, 5], "fx:EUR": [None, 2, None, None, 3]}
    whole = history_arrays(a_history(columns), [BTC, EUR], maximum_carry_days=2)
    short = history_arrays(a_history({name: column[:4] for name, column in columns.items()}), [BTC, EUR], maximum_carry_days=2)
    known = whole.until(np.datetime64("2024-01-04"))
    for one, other in ((known.days, short.days), (known.levels, short.levels), (known.observed, short.observed)):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(known.coordinates, short.coordinates)


def test_a_move_outside_the_history_or_from_no_level_is_not_a_number():
    arrays = history_arrays(a_history({"fx:EUR": [None, 2, 4]}), [EUR], maximum_carry_days=2)
    starts = np.array(["2023-12-31", "2024-01-01", "2024-01-02", "2024-01-03"], dtype="datetime64[D]")
    moves = arrays.moves(starts, starts + 1)[:, 0]
    np.testing.assert_allclose(moves, [np.nan, np.nan, np.log(2.0), np.nan])


def test_some_factors_of_a_history_are_in_the_order_asked_for():
    arrays = history_arrays(a_history({"spot:BTC": [1, 2], "fx:EUR": [3, 4]}), [BTC, EUR], maximum_carry_days=7)
    assert arrays.of([EUR, BTC]).levels.tolist() == [[3, 1], [4, 2]]
