"""The compiled product is the product of scipy to the last bit, in blocks of any size and on any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from crossmargin.engine.kernels import sparse_product, sparse_product_numba


def a_house(seed: int, *, states: int, rows: int = 50, columns: int = 120, longest: int = 40):
    random = np.random.default_rng(seed)
    counts = random.integers(0, longest, rows)
    return {
        "starts": np.append(0, np.cumsum(counts)),
        "columns": random.integers(0, columns, counts.sum()),
        "values": random.standard_t(2, counts.sum()) * 1e4,
        "dense": random.standard_t(3, (columns, states)),
    }


def rows_of(house, first: int, last: int):
    entries = slice(house["starts"][first], house["starts"][last])
    starts = house["starts"][first : last + 1] - house["starts"][first]
    return {"starts": starts, "columns": house["columns"][entries], "values": house["values"][entries], "dense": house["dense"]}


@pytest.mark.parametrize("states", [1, 31, 32, 33, 64, 501])
def test_it_has_the_bits_of_scipy(states):
    house = a_house(states, states=states)
    assert sparse_product_numba.sparse_product(**house).tobytes() == sparse_product.sparse_product(**house).tobytes()


def test_what_is_not_finite_is_so_in_the_rows_that_have_it_and_in_no_other():
    house = a_house(1, states=40)
    house["dense"][7, 3] = np.nan
    with np.errstate(invalid="ignore"):
        reference = sparse_product.sparse_product(**house)
    np.testing.assert_array_equal(sparse_product_numba.sparse_product(**house), reference)


def test_the_size_of_blocks_their_order_and_threads_change_no_bit():
    house = a_house(2, states=97, rows=64)
    whole = sparse_product_numba.sparse_product(**house)
    for size in (1, 5, 64):
        blocks = [(first, min(first + size, 64)) for first in range(0, 64, size)][::-1]
        with ThreadPoolExecutor(4) as threads:
            parts = list(threads.map(lambda block: sparse_product_numba.sparse_product(**rows_of(house, *block)), blocks))
        assert np.concatenate(parts[::-1]).tobytes() == whole.tobytes()


def test_the_order_of_accounts_changes_the_order_of_rows_and_nothing_else():
    house = a_house(3, states=40)
    order = np.random.default_rng(3).permutation(len(house["starts"]) - 1)
    parts = [rows_of(house, row, row + 1) for row in order.tolist()]
    shuffled = {
        "starts": np.append(0, np.cumsum([len(part["values"]) for part in parts])),
        "columns": np.concatenate([part["columns"] for part in parts]),
        "values": np.concatenate([part["values"] for part in parts]),
        "dense": house["dense"],
    }
    whole = sparse_product_numba.sparse_product(**house)
    assert sparse_product_numba.sparse_product(**shuffled).tobytes() == whole[order].tobytes()
