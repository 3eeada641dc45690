"""A statement is added up before anybody sees it, and refused when it does not come out."""

from __future__ import annotations

from decimal import Decimal

import pytest

from crossmargin.api.v1 import book_service_pb2 as pb
from crossmargin_client import StatementError, add_up

ACCOUNT = "clients/alpha/accounts/core"
D = Decimal


def position(quantity, instrument="USD", cost="0", book="main"):
    return pb.Position(book_id=book, instrument_id=instrument, quantity=quantity, cost=cost)


def entry(sequence, quantity, instrument="USD", cost="0"):
    own = pb.Posting(ledger_account="core", book_id="main", instrument_id=instrument, quantity=quantity, cost=cost)
    street = pb.Posting(ledger_account="street", book_id="main", instrument_id=instrument, quantity=quantity, cost=cost)
    return pb.Entry(sequence=sequence, postings=[own, street])


def statement(opening, closing, first=4, last=6):
    return pb.GetStatementResponse(
        account=ACCOUNT, opening_seq=first, closing_seq=last, opening_positions=opening, closing_positions=closing
    )


ENTRIES = [entry(5, "0.01"), entry(6, "-2", "BTC-PERP", "-120000")]


def test_opening_and_entries_give_closing():
    opening = [position("10000000000000000000.000000000000000001"), position("2", "BTC-PERP", "120000")]
    lines = add_up(statement(opening, [position("10000000000000000000.010000000000000001")]), ENTRIES)
    assert [(line.instrument_id, line.opening, line.change, line.closing) for line in lines] == [
        ("BTC-PERP", 2, -2, 0),
        ("USD", D("10000000000000000000.000000000000000001"), D("0.01"), D("10000000000000000000.010000000000000001")),
    ]
    assert (lines[0].opening_cost, lines[0].closing_cost) == (120_000, 0)


@pytest.mark.parametrize(
    ("closing", "word"),
    [
        ([position("10.02")], "USD in book main"),
        ([position("10.01"), position("1", "ETH")], "ETH in book main"),
        ([position("10.01"), position("0", "BTC-PERP", "1")], "BTC-PERP in book main"),
        ([position("10.01", book="other")], "does not add up"),
        ([], "USD in book main"),
    ],
)
def test_a_statement_that_does_not_add_up_is_refused_with_what_does_not(closing, word):
    opening = [position("10"), position("2", "BTC-PERP", "120000")]
    with pytest.raises(StatementError, match=word):
        add_up(statement(opening, closing), ENTRIES)


@pytest.mark.parametrize("entries", [ENTRIES[:1], ENTRIES[::-1], [*ENTRIES, entry(7, "0")], [entry(5, "0.01"), entry(7, "0")], []])
def test_an_entry_that_is_missing_or_out_of_order_is_noticed(entries):
    with pytest.raises(StatementError, match="entries 5 to 6"):
        add_up(statement([position("10"), position("2", "BTC-PERP", "120000")], [position("10.01")]), entries)


def test_a_day_without_entries_adds_up():
    assert add_up(statement([], [], first=4, last=4), []) == []
