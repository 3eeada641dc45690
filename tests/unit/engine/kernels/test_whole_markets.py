"""A whole market by either kernels: the same to 1e-12 on random books, and one set of bits whatever the blocks and the threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.domain.instrument import AssetTerms, DatedFuture, Perpetual
from crossmargin.engine.kernels import option_prices
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.engine.revaluation import RevaluedMarket, discounting, layout, prepared, revalue_market
from tests.builders import a_portfolio
from tests.unit.engine.kernels.test_choice import assert_same_market
from tests.unit.engine.revaluation.markets import parameters
from tests.unit.engine.revaluation.random_markets import a_book, a_market, some_scenarios

RULES = parameters()
WITHOUT_KERNELS = (*AssetTerms, Perpetual, DatedFuture)
"""Kinds that neither an option price nor a discount factor is in."""


def revalued(seed: int, kernels: Kernels) -> RevaluedMarket:
    random = np.random.default_rng(seed)
    book = a_book(random)
    snapshot = a_market(random, book)
    return revalue_market(book, snapshot, some_scenarios(random, snapshot), RULES, kernels=kernels)


def bits_of(market: RevaluedMarket) -> dict[str, bytes]:
    arrays = {field.name: getattr(market, field.name) for field in fields(RevaluedMarket)}
    return {name: array.tobytes() for name, array in arrays.items() if isinstance(array, np.ndarray)}


@pytest.mark.parametrize("seed", range(40, 46))
def test_random_books_agree_and_what_no_kernel_is_in_has_the_same_bits(seed):
    one, other = (revalued(seed, kernels) for kernels in (Kernels.NUMPY, Kernels.NUMBA))
    assert_same_market(one, other)
    assert (one.leg_pnl != other.leg_pnl).any(), "both by the same kernels"
    rows = [row for row, each in enumerate(one.instruments) if isinstance(each.terms, WITHOUT_KERNELS)]
    legs = np.isin(one.leg_instrument, rows)
    assert len(rows) > 5
    assert one.leg_pnl[legs].tobytes() == other.leg_pnl[legs].tobytes()
    assert one.unit_value[rows].tobytes() == other.unit_value[rows].tobytes()
    assert one.leg_exposure[legs].tobytes() == other.leg_exposure[legs].tobytes()
    for name in ("has_run_out", "used_fraction", "peg_price", "settlement_row", "instrument_group", "translation_days"):
        assert bits_of(one)[name] == bits_of(other)[name], name


@pytest.mark.parametrize("seed", range(40, 43))
def test_margins_of_random_books_agree(seed):
    one, other = (revalued(seed, kernels) for kernels in (Kernels.NUMPY, Kernels.NUMBA))
    random = np.random.default_rng(seed)
    for _ in range(4):
        rows = random.choice(len(one.instruments), 25, replace=False)
        # Some thousand dollars of each, whatever a unit of it is worth.
        units = random.normal(0, 5_000, 25) / np.maximum(one.notional_unit[rows], 1e-9)
        held = {one.instruments[row].instrument_id: f"{unit:.6f}" for row, unit in zip(rows, units, strict=True)} | {"USD": 1_000_000}
        mine, theirs = (compute_margin(a_portfolio(held), market, RULES) for market in (one, other))
        size = float(np.abs(units) @ one.notional_unit[rows]) + 1_000_000
        for part in ("maintenance_margin", "initial_margin"):
            difference = getattr(mine.requirement, part) - getattr(theirs.requirement, part)
            assert abs(difference) <= Decimal(1e-12 * size), part
        assert abs(mine.equity.equity - theirs.equity.equity) <= Decimal(1e-12 * size)


@pytest.mark.parametrize("kernels", Kernels)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_blocks_of_any_size_give_the_same_bits(monkeypatch, size, kernels):
    usual = revalued(47, kernels)
    monkeypatch.setattr(layout, "_INSTRUMENTS_IN_CACHE", size)
    monkeypatch.setattr(option_prices, "_OPTIONS_IN_CACHE", size)
    monkeypatch.setattr(discounting, "_STATES_IN_CACHE", dict.fromkeys(Kernels, size))
    assert bits_of(revalued(47, kernels)) == bits_of(usual)


@pytest.mark.parametrize("kernels", Kernels)
def test_ticks_on_several_threads_at_once_give_the_same_bits(kernels):
    """Instruments that were laid out once are shared, and nothing is written to them."""
    random = np.random.default_rng(48)
    book = a_book(random)
    ready, snapshots = prepared(book), [a_market(random, book, seconds=place) for place in range(8)]
    drawn = [some_scenarios(random, snapshot) for snapshot in snapshots]

    def tick(place: int) -> dict[str, bytes]:
        return bits_of(revalue_market(ready, snapshots[place], drawn[place], RULES, kernels=kernels))

    alone = [tick(place) for place in range(8)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(tick, range(8))) == alone
