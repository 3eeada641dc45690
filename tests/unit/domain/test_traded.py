"""A trade read back from the ledger is the trade that was booked."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.domain.book import Trade, entry_from_trade
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId
from crossmargin.domain.traded import trade_of_entry, traded_amount
from tests.unit.domain import instruments as the

CORE = AccountRef(ClientId("alpha"), AccountId("core"))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_trade(instrument, quantity, price, **changes) -> Trade:
    settlement = the.EUR if instrument is the.CASH else the.USD
    paid_in = settlement if instrument.is_asset else instrument.settlement
    return Trade(CORE, BookId("basis"), instrument.instrument_id, Decimal(quantity), Decimal(price), NOON, paid_in, "T-1", **changes)


def read_back(trade, instrument):
    paid_in = the.EURO if instrument is the.CASH else the.CASH
    return trade_of_entry(entry_from_trade(trade, instrument, paid_in if instrument.is_asset else None), instrument)


@pytest.mark.parametrize("instrument", the.EVERY_KIND, ids=the.name_of)
@given(quantity=st.integers(1, 10**6), sign=st.sampled_from([1, -1]), price=st.decimals("0.01", 100_000, places=4))
def test_a_trade_in_any_kind_is_read_back_as_it_was(instrument, quantity, sign, price):
    trade = a_trade(instrument, sign * quantity, price)
    assert read_back(trade, instrument) == trade


def test_a_settle_date_is_read_back_and_an_option_for_nothing_costs_nothing():
    trade = a_trade(the.COIN, "0.5", 60_000, settle_date=date(2026, 3, 4))
    assert read_back(trade, the.COIN) == trade
    assert read_back(trade, the.COIN).settle_date == date(2026, 3, 4)
    free = a_trade(the.CASH_OPTION, 3, 0)
    assert read_back(free, the.CASH_OPTION) == free


def test_the_amount_is_what_was_paid_or_what_a_contract_cost():
    assert traded_amount(entry_from_trade(a_trade(the.COIN, -2, 60_000), the.COIN, the.CASH)) == -120_000
    assert traded_amount(entry_from_trade(a_trade(the.PERPETUAL, 2, 60_000), the.PERPETUAL, None)) == 1_200_000
    assert traded_amount(entry_from_trade(a_trade(the.BILL, 1000, 98), the.BILL, None)) == 980
