"""Blocks of history become one history."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from crossmargin.adapters.grpc_server.history_blocks import HistoryBlocks
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.market import FactorHistory, FactorId

BTC, EUR = FactorId("spot", "BTC"), FactorId("fx", "EUR")


def block(days: list[int], **columns: list[int | None]) -> FactorHistory:
    levels = {{"btc": BTC, "eur": EUR}[name]: tuple(None if n is None else Decimal(n) for n in column) for name, column in columns.items()}
    return FactorHistory(tuple(date(2026, 3, day) for day in days), levels)


def merged(*blocks: FactorHistory) -> tuple[list[int], dict[FactorId, list[int | None]]]:
    collected = HistoryBlocks()
    for one in blocks:
        collected.add(one)
    history = collected.history()
    return [day.day for day in history.dates], {
        name: [None if n is None else int(n) for n in column] for name, column in history.levels.items()
    }


def test_dates_are_united_and_ascend_whatever_the_order_of_the_blocks():
    days, levels = merged(block([3, 4], btc=[30, 40]), block([1, 3], eur=[1, 3]), block([2], btc=[20]))
    assert days == [1, 2, 3, 4]
    assert levels == {BTC: [None, 20, 30, 40], EUR: [1, None, 3, None]}


def test_a_later_level_replaces_an_earlier_one_and_a_gap_replaces_nothing():
    _, levels = merged(block([1, 2], btc=[10, 20]), block([1, 2], btc=[11, None]))
    assert levels == {BTC: [11, 20]}


def test_what_is_kept_in_memory_is_bounded_by_factors_times_dates():
    """Two factors on different dates fill a table of both, so the sum of what was sent is no bound."""
    collected = HistoryBlocks(most_cells=7)
    collected.add(block([1, 2, 3], btc=[1, 2, 3]))
    with pytest.raises(DomainError) as refused:
        collected.add(block([4], eur=[4]))
    assert refused.value.reason is Reason.INVALID_HISTORY
    assert refused.value.facts == {"value": "8", "expected": "7"}
