"""Adds a day's statement up: opening positions and every entry must give the closing positions, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final, TypeAlias

from crossmargin.api.v1 import book_service_pb2
from crossmargin_client.values import decimal_of

Held: TypeAlias = Mapping[tuple[str, str], tuple[Decimal, Decimal]]
_EXACT: Final = Context(prec=60)
_NOTHING: Final = (Decimal(0), Decimal(0))


class StatementError(Exception):
    """A statement does not add up, or an entry of it is missing. It must not be used, and somebody must find out why."""


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One book's day in one instrument: opening + change = closing, in quantity and in cost."""

    book_id: str
    instrument_id: str
    opening: Decimal
    change: Decimal
    closing: Decimal
    opening_cost: Decimal
    closing_cost: Decimal


def add_up(statement: book_service_pb2.GetStatementResponse, entries: Iterable[book_service_pb2.Entry]) -> list[StatementLine]:
    """Return the day of every book and instrument that was held or moved, by book and instrument.

    `entries` are all of the day, in order.

    Raises:
        StatementError: Entries are missing or out of order, or opening positions and entries do not give the closing positions.
    """
    _, _, _, account_id = statement.account.split("/")
    expected = range(statement.opening_seq + 1, statement.closing_seq + 1)
    listed = list(entries)
    if [entry.sequence for entry in listed] != list(expected):
        raise StatementError(
            f"the statement of {statement.account} has the entries {statement.opening_seq + 1} to {statement.closing_seq}; "
            f"{len(listed)} of {len(expected)} came, or not in order"
        )
    opening, closing = _held(statement.opening_positions), _held(statement.closing_positions)
    moved = _moved(listed, account_id)
    lines = [_line(name, opening, moved, closing) for name in sorted(opening.keys() | moved.keys() | closing.keys())]
    for line, name in zip(lines, sorted(opening.keys() | moved.keys() | closing.keys()), strict=True):
        cost_change = moved.get(name, _NOTHING)[1]
        if _EXACT.add(line.opening, line.change) != line.closing or _EXACT.add(line.opening_cost, cost_change) != line.closing_cost:
            raise StatementError(
                f"{line.instrument_id} in book {line.book_id} of {statement.account} does not add up: opening {line.opening} (cost "
                f"{line.opening_cost}), entries {line.change} (cost {cost_change}), closing {line.closing} (cost {line.closing_cost})"
            )
    return lines


def _line(name: tuple[str, str], opening: Held, moved: Held, closing: Held) -> StatementLine:
    before, change, after = (held.get(name, _NOTHING) for held in (opening, moved, closing))
    return StatementLine(*name, before[0], change[0], after[0], before[1], after[1])


def _held(positions: Iterable[book_service_pb2.Position]) -> Held:
    return {(one.book_id, one.instrument_id): (decimal_of(one.quantity), decimal_of(one.cost)) for one in positions}


def _moved(entries: Iterable[book_service_pb2.Entry], account_id: str) -> Held:
    moved: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for entry in entries:
        for leg in entry.postings:
            if leg.ledger_account == account_id:
                quantity, cost = moved.get((leg.book_id, leg.instrument_id), _NOTHING)
                moved[leg.book_id, leg.instrument_id] = (
                    _EXACT.add(quantity, decimal_of(leg.quantity)),
                    _EXACT.add(cost, decimal_of(leg.cost)),
                )
    return moved
