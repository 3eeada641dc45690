"""What is in the books of a benchmark's service: perpetuals on four coins, and accounts that hold as many of them as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np

from crossmargin_client import AsyncClient, account_name, cash, crypto_asset, perpetual, trade

COINS: Final = {"BTC": 60_000.0, "ETH": 2_500.0, "XRP": 2.0, "SOL": 150.0}
DAYS: Final = 1_300
EXECUTED: Final = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
CASH: Final = 10_000_000_000
CLIENT: Final = "bench"
_TRADES_A_CALL: Final = 250
_AT_A_TIME: Final = 16


@dataclass(frozen=True, slots=True)
class Furniture:
    """Perpetuals, and accounts of one client by id, each with a number of positions and with cash."""

    instrument_count: int = 200
    positions: Mapping[str, int] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Return the ids of the perpetuals."""
        return [f"P{place:05}" for place in range(self.instrument_count)]


def coin_of(name: str) -> str:
    """Return the coin that a perpetual is on."""
    return list(COINS)[int(name[1:]) % len(COINS)]


def account(account_id: str) -> str:
    """Return the full name of an account."""
    return account_name(CLIENT, account_id)


async def furnish(client: AsyncClient, furniture: Furniture) -> None:
    """Put everything into empty books, by calls as any other: instruments, history, a market, accounts, cash, trades."""
    await client.create_instrument(cash("USD", collateral_class="USD"))
    for coin in COINS:
        await client.create_instrument(crypto_asset(coin, collateral_class="BTC"))
    await _at_a_time(client.create_instrument(perpetual(name, underlying=coin_of(name), settlement="USD")) for name in furniture.names())
    dates, levels = history()
    await client.import_history(dates, levels)
    await client.publish_snapshot(datetime.now(UTC), {f"spot:{coin}": f"{price:.4f}" for coin, price in COINS.items()})
    await client.create_client(CLIENT, "The benchmark")
    await _at_a_time(_open(client, account_id, number, furniture.names()) for account_id, number in furniture.positions.items())


def history() -> tuple[list[date], dict[str, list[str]]]:
    """Return days, and a level of every coin on each: fat-tailed walks that move together."""
    random = np.random.default_rng(7)
    shared = random.standard_t(4, DAYS)
    first = date(2022, 6, 1)
    levels = {}
    for coin, price in COINS.items():
        steps = 0.02 * (0.8 * shared + 0.6 * random.standard_t(4, DAYS))
        walk = price * np.exp(np.cumsum(steps) - np.sum(steps))
        levels[f"spot:{coin}"] = [f"{level:.6f}" for level in walk]
    return [first + timedelta(days=place) for place in range(DAYS)], levels


async def _open(client: AsyncClient, account_id: str, number: int, names: list[str]) -> None:
    name = account(account_id)
    await client.create_account(name, account_id)
    await client.deposit(name, "USD", CASH, received_at=EXECUTED)
    trades = [
        trade(each, 1 + place % 7 if place % 2 else -1 - place % 5, f"{COINS[coin_of(each)]:.2f}", executed_at=EXECUTED)
        for place, each in enumerate(names[:number])
    ]
    for start in range(0, len(trades), _TRADES_A_CALL):
        await client.record_trades(name, trades[start : start + _TRADES_A_CALL])


async def _at_a_time(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    turns = asyncio.Semaphore(_AT_A_TIME)

    async def in_turn(work: Coroutine[Any, Any, object]) -> None:
        async with turns:
            await work

    await asyncio.gather(*map(in_turn, works))
