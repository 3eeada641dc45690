"""Positions as one text lose nothing on the way, and neither do the holdings that they net to."""

from __future__ import annotations

import pickle
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.holding_columns import names_of
from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.packed_positions import PackedPositions, packed
from crossmargin.domain.position import Position, net_holdings
from tests.unit.domain.strategies import ledger_decimals

positions = st.builds(
    Position,
    st.sampled_from(["main", "a-b", "z9"]).map(BookId),
    st.sampled_from(["USD", "BTC-USD-PERP", "UST-2.5-2031_05"]).map(InstrumentId),
    ledger_decimals,
    ledger_decimals,
)


@given(st.lists(positions, max_size=5))
@settings(max_examples=50)
def test_every_digit_and_every_name_come_back(held):
    found = packed(held).unpacked()
    assert [repr(one) for one in found] == [repr(one) for one in held]
    assert all((type(one.book_id), type(one.instrument_id)) == (BookId, InstrumentId) for one in found)


def test_the_smallest_unit_and_trailing_zeros_are_kept():
    held = (Position(BookId("main"), InstrumentId("BTC"), Decimal("1E-18"), Decimal("0.500000000000000000")),)
    assert [repr(one) for one in packed(held).unpacked()] == [repr(one) for one in held]


def test_nothing_is_an_empty_text():
    assert packed(()) == PackedPositions()
    assert PackedPositions().unpacked() == ()


def test_it_is_what_it_is_in_another_process():
    held = packed([Position(BookId("main"), InstrumentId("USD"), Decimal("5.00"))])
    assert pickle.loads(pickle.dumps(held)) == held  # noqa: S301 - our own


@given(st.lists(positions, max_size=6, unique_by=lambda one: (one.book_id, one.instrument_id)))
@settings(max_examples=100)
def test_netted_they_are_what_the_positions_net_to_to_the_last_digit(held):
    """With an instrument in several books as well as in one, with what is closed, and in any order."""
    assert [repr(one) for one in packed(held).netted()] == [repr(one) for one in net_holdings(held)]


@given(st.lists(positions, max_size=6, unique_by=lambda one: one.instrument_id))
@settings(max_examples=50)
def test_holdings_as_columns_are_the_holdings_themselves(held):
    columns, exact = packed(held).netted(), net_holdings(held)
    assert columns == exact
    assert exact == columns
    assert hash(columns) == hash(exact)
    assert list(names_of(columns)) == list(names_of(exact))
    assert [columns[place] for place in range(-len(exact), len(exact))] == [exact[place] for place in range(-len(exact), len(exact))]
    assert columns[1:] == exact[1:]
    assert pickle.loads(pickle.dumps(columns)) == exact  # noqa: S301 - our own


def test_other_holdings_are_other_columns():
    one, other = (packed([Position(BookId("main"), InstrumentId("USD"), Decimal(units))]).netted() for units in ("5", "6"))
    assert one != other
    assert one != "USD"


@pytest.mark.parametrize("nothing", ["0", "-0", "0.000000000000000000", "0E-18", "0E+3"])
def test_what_nets_to_nothing_is_not_held(nothing):
    assert list(PackedPositions(f"main BTC {nothing} {nothing}").netted()) == []
    assert len(PackedPositions(f"main BTC {nothing} -0.5").netted()) == len(PackedPositions(f"main BTC 1E-18 {nothing}").netted()) == 1
