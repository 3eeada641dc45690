"""The option check, on a small made-up snapshot."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.instrument import OptionRight
from tests.validation.black76 import coin_price
from tests.validation.market_history import HistoryError
from tests.validation.option_surface import HALF_TICK, check_options, exact_nodes, load_option_snapshot

AS_OF = datetime(2024, 1, 8, 11, 19, tzinfo=UTC)
COLUMNS = "instrument_name,expire_date,strike_price,option_type,underlying_price,estimated_delivery_price,mark_price"
CHAINS = (("12JAN24", 4, 2230.0), ("29MAR24", 81, 2290.0))


def made_up_mark(letter: str, day_count: int, forward: float, strike: float) -> float:
    expiry = datetime(2024, 1, 8 + day_count, 8, tzinfo=UTC) if day_count < 20 else datetime(2024, 3, 29, 8, tzinfo=UTC)
    years = (expiry - AS_OF).total_seconds() / (365 * 86_400)
    right = OptionRight.CALL if letter == "C" else OptionRight.PUT
    smile = 0.55 + 0.3 * math.log(strike / forward) ** 2
    return coin_price(right, forward=forward, strike=strike, years=years, volatility=smile)


@pytest.fixture
def folder(tmp_path):
    rows = [
        f"ETH-{expiry}-{strike}-{letter},{expiry},{strike},{letter},{forward},2222,{made_up_mark(letter, days, forward, strike):.10f}"
        for expiry, days, forward in CHAINS
        for strike in (2100, 2250, 2400)
        for letter in "CP"
    ]
    rows.append("ETH-12JAN24-1500-C,12JAN24,1500,C,2230,2222,0.3")  # below 1 - 1500/2230
    (tmp_path / "deribit_eth_options_20240108T1119Z.csv").write_text("\n".join([COLUMNS, *rows]) + "\n")
    return tmp_path


def test_the_snapshot_has_its_time_from_its_name_and_one_forward_per_expiry(folder):
    snapshot = load_option_snapshot(folder)
    assert snapshot.as_of == AS_OF
    assert snapshot.index == 2222.0
    assert {(quote.expiry.date().isoformat(), quote.forward) for quote in snapshot.quotes} == {
        ("2024-01-12", 2230.0),
        ("2024-03-29", 2290.0),
    }
    assert len(snapshot.quotes) == 13


def test_every_explained_option_is_within_half_a_tick_in_every_stress_event(folder):
    report = check_options(load_option_snapshot(folder), standard_parameters())
    assert report.holds
    assert report.outside_bounds == ("ETH-12JAN24-1500-C",)
    assert (len(report.base_error), len(report.scenario_error), report.scenario_count) == (13, 12, 82)
    assert report.scenario_error.max() < 1e-9


def test_parity_compares_call_and_put_of_one_strike(folder):
    report = check_options(load_option_snapshot(folder), standard_parameters())
    assert len(report.parity_price_gap) == 6
    assert np.abs(report.parity_price_gap).max() < 1e-9  # the made-up marks obey parity to their tenth digit
    assert np.abs(report.parity_volatility_gap).max() < 1e-6


def test_an_error_above_half_a_tick_does_not_hold(folder):
    report = check_options(load_option_snapshot(folder), standard_parameters())
    assert not replace(report, scenario_error=report.scenario_error + 1.01 * HALF_TICK).holds


def test_no_snapshot_or_two_are_refused(folder, tmp_path):
    (folder / "deribit_eth_options_20240109T0000Z.csv").write_text(COLUMNS)
    with pytest.raises(HistoryError, match="holds 2 files"):
        load_option_snapshot(folder)


def test_carry_nodes_give_every_rate_at_its_own_time():
    years = [day / 365 for day in (0.86, 1.86, 2.86, 17.86, 45.86, 353.86)]
    rates = [0.19, 0.15, -0.02, 0.11, 0.16, 0.10]
    nodes = exact_nodes(years, rates)
    tenors = [int(tenor.removesuffix("D")) / 365 for tenor in nodes]
    assert np.interp(years, tenors, list(nodes.values())) == pytest.approx(rates, abs=1e-15)
