"""Trades that are taken back: each once, and now and then a second time, which is refused."""

from __future__ import annotations

import random
from collections import defaultdict, deque
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crossmargin_client import AsyncClient
from tests.faults.history import Line, LineAnswer, Operation
from tests.faults.workload import Kind, draw_trades, send_trades

_AGAIN: Final = 0.1
"""Share of cancellations of what was cancelled already."""
_REMEMBERED: Final = 50


@dataclass(frozen=True, slots=True)
class Traded:
    """A trade as it was asked for, and the entry that callers were told of."""

    sequence: int
    line: Line


class TradeBook:
    """What callers were told of the trades of each account, of which some are cancelled again."""

    def __init__(self) -> None:
        self._booked: dict[str, deque[Traded]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._cancelled: dict[str, deque[Traded]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._told: set[str] = set()

    def kinds(self) -> tuple[Kind, ...]:
        """Return trades and their cancellations."""
        return (Kind("trades", 5, draw_trades, self._send_trades), Kind("cancel", 2, self._draw_cancel, send_cancel))

    async def _send_trades(self, client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
        answers = await send_trades(client, operation)
        if operation.request_id not in self._told and not operation.is_altered:
            self._told.add(operation.request_id)
            for line, answer in zip(operation.lines, answers, strict=True):
                if answer.sequence is not None:
                    self._booked[operation.account].append(Traded(answer.sequence, line))
        return answers

    def _draw_cancel(self, chance: random.Random, account: str, request_id: str) -> Operation:
        if self._cancelled[account] and chance.random() < _AGAIN:
            return cancel_of(request_id, account, chance.choice(self._cancelled[account]))
        if not self._booked[account]:
            return draw_trades(chance, account, request_id)
        chosen = chance.choice(self._booked[account])
        self._booked[account].remove(chosen)
        self._cancelled[account].append(chosen)
        return cancel_of(request_id, account, chosen)


def cancel_of(request_id: str, account: str, traded: Traded) -> Operation:
    """Return the operation that takes a trade back."""
    turned = Line(f"{request_id}/1", traded.line.instrument_id, Decimal(-traded.line.quantity), about=traded.sequence)
    return Operation(request_id, "cancel", account, (turned,))


async def send_cancel(client: AsyncClient, operation: Operation) -> tuple[LineAnswer, ...]:
    """Take back what the operation is about."""
    (line,) = operation.lines
    answer = await client.cancel_trade(operation.account, line.about, reason=line.reference, request_id=operation.request_id)
    return (LineAnswer(answer.sequence),)
