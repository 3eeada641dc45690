"""Trades as words on a command line, and where their prices come from."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from crossmargin.api.v1 import market_service_pb2
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.trade_words import WantedTrade, market_price, parse_trade
from crossmargin_client import CALL, cash, crypto_asset, european_option, fx_forward, perpetual, stablecoin

SNAPSHOT = market_service_pb2.MarketSnapshot(
    levels={"spot:BTC": "91400", "spot:RLUSD": "0.9998", "fx:EUR": "1.085"}, marks={"BTC-PERP": "91436.6"}
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("BTC-USD-PERP 5 @ 65000", WantedTrade("BTC-USD-PERP", Decimal(5), Decimal(65000))),
        ("BTC-USD-PERP 5@65,000.5", WantedTrade("BTC-USD-PERP", Decimal(5), Decimal("65000.5"))),
        ("  BTC   0.25 ", WantedTrade("BTC", Decimal("0.25"), None)),
        ("BTC 1_000 @ mark", WantedTrade("BTC", Decimal(1000), None)),
        ("ETH 10 @ 3100 RLUSD", WantedTrade("ETH", Decimal(10), Decimal(3100), "RLUSD")),
        ("EUR-USD-19FEB27 25000000 @ -0.0005", WantedTrade("EUR-USD-19FEB27", Decimal(25_000_000), Decimal("-0.0005"))),
        ("UST-4.125-2036-11-15 1000000 @ 99.9", WantedTrade("UST-4.125-2036-11-15", Decimal(1_000_000), Decimal("99.9"))),
    ],
)
def test_words_that_name_a_trade(words, expected):
    assert parse_trade(words, is_sale=False) == expected


def test_a_sale_has_a_negative_quantity():
    assert parse_trade("BTC 2", is_sale=True).quantity == -2


@pytest.mark.parametrize(
    "words", ["", "BTC", "5 BTC-", "BTC five", "BTC 5 @", "BTC 5 @ cheap", "BTC 5 65000", "btc 5", "BTC -5", "BTC 1e5", "BTC 5 @ 1 2 3"]
)
def test_other_words_are_refused_with_the_form_that_is_meant(words):
    with pytest.raises(MisuseError, match="expected INSTRUMENT QUANTITY"):
        parse_trade(words, is_sale=False)


def test_a_trade_of_nothing_is_refused():
    with pytest.raises(MisuseError, match="more than zero"):
        parse_trade("BTC 0.00", is_sale=False)


@pytest.mark.parametrize(
    ("instrument", "price"),
    [
        (perpetual("BTC-PERP", underlying="BTC", settlement="USD"), "91436.6"),
        (perpetual("BTC-OTHER", underlying="BTC", settlement="USD"), "91400"),
        (crypto_asset("BTC"), "91400"),
        (stablecoin("RLUSD", pegged_to="USD", issuer="Ripple"), "0.9998"),
        (cash("EUR"), "1.085"),
    ],
    ids=lambda value: getattr(value, "instrument_id", value),
)
def test_a_price_left_open_is_the_mark_or_the_level_it_follows(instrument, price):
    assert market_price(instrument, SNAPSHOT) == Decimal(price)


@pytest.mark.parametrize(
    "instrument",
    [
        european_option("BTC-C", underlying="BTC", settlement="USD", right=CALL, strike=1, expires_at=datetime(2027, 1, 1, tzinfo=UTC)),
        fx_forward("EURUSD", bought="EUR", sold="USD", contract_rate="1.09", delivers_on=date(2027, 1, 1)),
        crypto_asset("DOGE"),
    ],
    ids=lambda value: value.instrument_id,
)
def test_a_price_that_the_market_does_not_say_must_be_given(instrument):
    with pytest.raises(CommandError, match=f"no mark for {instrument.instrument_id}") as caught:
        market_price(instrument, SNAPSHOT)
    assert "@ PRICE" in caught.value.next_step
