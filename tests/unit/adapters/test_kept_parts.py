"""What runs share is sent to a process once, part by part, and files are closed with the last run that needs them."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise

import pytest

from crossmargin.adapters.runtime.block_link import ALIGNED_BYTES, places_of
from crossmargin.adapters.runtime.kept_parts import KeptParts
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.benchmarks.houses import a_market
from tests.unit.usecases.house_states import a_view


@pytest.fixture
def kept():
    parts = KeptParts()
    yield parts
    parts.keep_only(())


def test_what_is_the_same_object_is_the_same_part(kept):
    view = a_view()
    first, again = kept.known((view.market, view.parameters)), kept.known(view)
    assert {part.number for part in first.parts} < {part.number for part in again.parts} | {first.number}
    assert kept.known(view) is again


def test_another_market_of_the_same_instruments_sends_none_of_them_again(kept):
    market = a_market(40, 2_000)
    before = kept.known(market)
    after = kept.known(replace(market))
    assert (before.number != after.number, before.parts) == (True, after.parts)
    assert len(before.parts) >= len(market.instruments)
    # Large arrays are in the file, and nothing of an instrument is in the market's own pickle.
    assert sum(after.lengths) >= market.leg_pnl.nbytes > 20 * len(after.pickled)


def test_every_part_comes_after_what_it_is_made_of(kept):
    view = a_view()
    part = kept.known(replace(view, previous=a_view(average_daily_volume="500")))
    for one in part.parts:
        assert all(inside.number < one.number for inside in one.parts)
    assert sum(isinstance(one.whole, RevaluedMarket) for one in part.parts) == 2
    assert [one.number for one in part.parts] == sorted(one.number for one in part.parts)


def test_a_file_is_closed_with_the_last_run_that_needs_it(kept):
    first, second = kept.known(a_market(40, 2_000)), kept.known(a_market(40, 2_000))
    assert kept.keep_only([first, second]) >= {first.number, second.number}
    assert kept.keep_only([second]).isdisjoint({first.number})
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(first.file)
    assert os.fstat(second.file).st_size >= sum(second.lengths)


def test_buffers_lie_as_arrays_do_in_memory():
    places = places_of([1, 100, 64])
    assert [end - start for start, end in places] == [1, 100, 64]
    assert all(start % ALIGNED_BYTES == 0 for start, _ in places)
    assert all(end <= start for (_, end), (start, _) in pairwise(places))
