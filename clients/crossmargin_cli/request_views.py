"""Reservations, halts and limits as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import account_service_pb2, margin_service_pb2
from crossmargin_cli.render import add_number_column, counted, money, plain_table
from crossmargin_client import decimal_of, moment_of

_STATUS_NAMES: Final = {
    margin_service_pb2.RESERVATION_STATUS_ACTIVE: ("active", "green"),
    margin_service_pb2.RESERVATION_STATUS_SUSPECT: ("suspect", "bold red"),
    margin_service_pb2.RESERVATION_STATUS_FILLED: ("filled", ""),
    margin_service_pb2.RESERVATION_STATUS_RELEASED: ("released", "dim"),
    margin_service_pb2.RESERVATION_STATUS_EXPIRED: ("expired", "dim"),
}
_OPEN: Final = frozenset({margin_service_pb2.RESERVATION_STATUS_ACTIVE, margin_service_pb2.RESERVATION_STATUS_SUSPECT})


def is_open(reservation: margin_service_pb2.Reservation) -> bool:
    """Return whether a reservation is counted in decisions."""
    return reservation.status in _OPEN


def reservation_table(reservations: Sequence[margin_service_pb2.Reservation]) -> Table:
    """Return a table with one line for each reservation."""
    table = plain_table()
    add_number_column(table, "No.")
    table.add_column("Instrument", overflow="fold")
    for heading in ("Quantity", "Price", "Filled"):
        add_number_column(table, heading)
    for heading in ("Status", "Until", "By"):
        table.add_column(heading, no_wrap=heading == "Status", overflow="fold")
    for one in reservations:
        name, style = _STATUS_NAMES.get(one.status, ("unknown", ""))
        table.add_row(
            str(one.reservation),
            one.order.instrument_id,
            f"{decimal_of(one.order.quantity):,f}",
            f"{decimal_of(one.order.price):,f}",
            f"{decimal_of(one.filled):,f}",
            Text(name, style=style),
            moment_of(one.expire_time).strftime("%Y-%m-%d %H:%M:%S"),
            one.reserved_by,
        )
    return table


def need_sentence(before: margin_service_pb2.MarginNeed, after: margin_service_pb2.MarginNeed) -> str:
    """Return what an approval did to what an account needs at worst."""
    was, now = decimal_of(before.excess), decimal_of(after.excess)
    return f"excess at worst {money(was)} before, {money(now)} after; initial margin at worst {money(decimal_of(after.initial_margin))}"


def halt_sentence(state: account_service_pb2.HaltState) -> str:
    """Return whether a client or the house is halted, why, by whom and since when."""
    what = f"client {state.client_id}" if state.client_id else "the house"
    verdict = f"{what} is {'HALTED' if state.halted else 'not halted'}"
    if not state.changed_by:
        return verdict
    since = moment_of(state.change_time).strftime("%Y-%m-%d %H:%M:%S")
    return f"{verdict} since {since} UTC, by {state.changed_by}: {state.reason}"


def limits_table(limits: account_service_pb2.ExposureLimits) -> Table:
    """Return a table with one line for each limit."""
    who = f", set by {limits.set_by}" if limits.set_by else ""
    table = plain_table(f"{limits.scope}{who}")
    table.add_column("Limit", no_wrap=True)
    add_number_column(table, "USD")
    named = [("gross", limits.gross), ("net", limits.net), ("one order", limits.order_notional)]
    named += [(f"group {name}", limits.groups[name]) for name in sorted(limits.groups)]
    for name, amount in named:
        table.add_row(name, money(decimal_of(amount)) if amount else "none")
    return table


def open_count_sentence(reservations: Sequence[margin_service_pb2.Reservation]) -> str:
    """Return how many reservations are open and how many of them are suspect."""
    open_ones = [one for one in reservations if is_open(one)]
    suspect = sum(one.status == margin_service_pb2.RESERVATION_STATUS_SUSPECT for one in open_ones)
    return f"{counted(len(open_ones), 'reservation')} open, {suspect} of them suspect"
