"""Positions add up over books, exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.identifiers import BookId, InstrumentId
from crossmargin.domain.position import Holding, Position, net_holdings
from tests.unit.domain.strategies import assets, books, ledger_decimals


def position(book: str, instrument: str, quantity: str, cost: str = "0") -> Position:
    return Position(BookId(book), InstrumentId(instrument), Decimal(quantity), Decimal(cost))


def test_an_account_without_positions_holds_nothing():
    assert net_holdings([]) == ()


def test_books_of_an_account_net_and_holdings_come_sorted():
    held = net_holdings([position("macro", "USD", "100"), position("basis", "BTC", "2"), position("basis", "USD", "-30.5")])
    assert held == (
        Holding(InstrumentId("BTC"), Decimal(2), Decimal(0)),
        Holding(InstrumentId("USD"), Decimal("69.5"), Decimal(0)),
    )


def test_what_nets_to_nothing_is_left_out():
    assert net_holdings([position("macro", "BTC", "2"), position("basis", "BTC", "-2")]) == ()


def test_a_closed_contract_with_a_realised_profit_stays_until_it_is_settled():
    """Quantity nets to zero but cost does not: the difference is money that is owed."""
    held = net_holdings([position("macro", "BTC-PERP", "2", "100"), position("macro", "BTC-PERP", "-2", "-130")])
    assert held == (Holding(InstrumentId("BTC-PERP"), Decimal(0), Decimal(-30)),)


def test_a_holding_keeps_all_38_digits():
    held = net_holdings([position("macro", "USD", "12345678901234567890"), position("basis", "USD", "0.000000000000000001")])
    assert held[0].quantity == Decimal("12345678901234567890.000000000000000001")


@given(st.lists(st.builds(Position, books, assets, ledger_decimals, ledger_decimals), max_size=8))
def test_netting_is_exact_addition_per_instrument(positions):
    quantities: dict[InstrumentId, Fraction] = {}
    costs: dict[InstrumentId, Fraction] = {}
    for held in positions:
        quantities[held.instrument_id] = quantities.get(held.instrument_id, Fraction(0)) + Fraction(held.quantity)
        costs[held.instrument_id] = costs.get(held.instrument_id, Fraction(0)) + Fraction(held.cost)
    expected = [(name, quantities[name], costs[name]) for name in sorted(quantities) if quantities[name] or costs[name]]
    assert [(held.instrument_id, Fraction(held.quantity), Fraction(held.cost)) for held in net_holdings(positions)] == expected
