"""Trades as words on a command line: "BTC-USD-PERP 5 @ 65000"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.api.v1 import book_service_pb2, market_service_pb2, reference_service_pb2
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_client import Client, trade

_WORDS: Final = re.compile(
    r"(?P<instrument>[A-Z0-9][A-Za-z0-9._-]*)\s+(?P<quantity>\d[\d,_]*(?:\.\d+)?)"
    r"(?:\s*@\s*(?P<price>mark|-?\d[\d,_]*(?:\.\d+)?)(?:\s+(?P<settlement>[A-Z0-9][A-Za-z0-9._-]*))?)?",
    re.ASCII,
)
_EXPECTED: Final = 'INSTRUMENT QUANTITY [@ PRICE [PAID-IN]], such as "BTC-USD-PERP 5 @ 65000", "BTC 2.5" or "ETH 10 @ 3100 RLUSD"'
_DEFAULT_SETTLEMENT: Final = "USD"
_ASSETS: Final = frozenset({"cash", "stablecoin", "crypto_asset"})


@dataclass(frozen=True, slots=True)
class WantedTrade:
    """A trade as it was asked for.

    Attributes:
        quantity: Signed; positive buys.
        price: As the instrument quotes; None to take the market's.
        settlement: What is paid for an asset; empty where nothing was said.
    """

    instrument_id: str
    quantity: Decimal
    price: Decimal | None
    settlement: str = ""


def parse_trade(words: str, *, is_sale: bool) -> WantedTrade:
    """Return the trade that words ask for.

    Raises:
        MisuseError: For words of another form, and for a quantity that is zero or has a sign.

    >>> parse_trade("BTC-USD-PERP 5 @ 65,000", is_sale=True)
    WantedTrade(instrument_id='BTC-USD-PERP', quantity=Decimal('-5'), price=Decimal('65000'), settlement='')
    """
    matched = _WORDS.fullmatch(words.strip())
    if matched is None:
        raise MisuseError(f"trade was {words!r}; expected {_EXPECTED}")
    quantity = _number(matched["quantity"])
    if not quantity:
        raise MisuseError(f"trade was {words!r}; a quantity is more than zero, and --buy or --sell says the direction")
    price = None if matched["price"] in (None, "mark") else _number(matched["price"])
    return WantedTrade(matched["instrument"], -quantity if is_sale else quantity, price, matched["settlement"] or "")


def priced_trades(client: Client, wanted: list[WantedTrade], *, executed_at: datetime) -> list[book_service_pb2.Trade]:
    """Return trades with a price each: the one asked for, or the market's at the latest snapshot.

    Raises:
        CommandError: When a price is left to the market and the market has none.
    """
    snapshot = client.get_snapshot().snapshot if any(item.price is None for item in wanted) else market_service_pb2.MarketSnapshot()
    instruments = {item.instrument_id: client.get_instrument(item.instrument_id) for item in wanted}
    return [_priced(item, instruments, snapshot, executed_at) for item in wanted]


def market_price(instrument: reference_service_pb2.Instrument, snapshot: market_service_pb2.MarketSnapshot) -> Decimal:
    """Return the price of an instrument at a snapshot, as it quotes: its mark, or the level that a spot price or a perpetual follows.

    Raises:
        CommandError: When the snapshot has neither; only the service can then value it.
    """
    if instrument.instrument_id in snapshot.marks:
        return Decimal(snapshot.marks[instrument.instrument_id])
    factor = _price_factor(instrument)
    if factor in snapshot.levels:
        return Decimal(snapshot.levels[factor])
    raise CommandError(
        f"the latest snapshot has no mark for {instrument.instrument_id}", next_step=f'give a price: "{instrument.instrument_id} 1 @ PRICE"'
    )


def _priced(
    wanted: WantedTrade,
    instruments: Mapping[str, reference_service_pb2.Instrument],
    snapshot: market_service_pb2.MarketSnapshot,
    executed_at: datetime,
) -> book_service_pb2.Trade:
    instrument = instruments[wanted.instrument_id]
    price = wanted.price if wanted.price is not None else market_price(instrument, snapshot)
    is_asset = instrument.WhichOneof("terms") in _ASSETS
    settlement = wanted.settlement or (_DEFAULT_SETTLEMENT if is_asset else "")
    return trade(wanted.instrument_id, wanted.quantity, price, executed_at=executed_at, settlement=settlement)


def _price_factor(instrument: reference_service_pb2.Instrument) -> str:
    match instrument.WhichOneof("terms"):
        case "cash":
            return f"fx:{instrument.cash.currency}"
        case "stablecoin" | "crypto_asset":
            return f"spot:{instrument.instrument_id}"
        case "perpetual":
            return f"spot:{instrument.perpetual.underlying}"
        case _:
            return ""


def _number(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("_", ""))
