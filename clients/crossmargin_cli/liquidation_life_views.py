"""Approved liquidations as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.liquidation_views import order_text
from crossmargin_cli.render import add_number_column, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of, moment_of

_FLAG_WORDS: Final = {
    pb.LIQUIDATION_FILL_FLAG_BEYOND_LIMIT: "worse than the limit",
    pb.LIQUIDATION_FILL_FLAG_OVERFILLED: "more than was planned",
    pb.LIQUIDATION_FILL_FLAG_LATE: "after the end",
    pb.LIQUIDATION_FILL_FLAG_TURNED_OVER: "more than was held, so that the rest opened a position",
}


def state_name(state: pb.LiquidationState.ValueType) -> str:
    """Return a state in words.

    >>> state_name(pb.LIQUIDATION_STATE_CURED)
    'cured'
    """
    return pb.LiquidationState.Name(state).removeprefix("LIQUIDATION_STATE_").lower()


def liquidation_table(found: Iterable[pb.Liquidation]) -> Table:
    """Return liquidations, one a line."""
    table = plain_table()
    for heading in ("Account", "Liquidation", "State"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Promised", "U now", "Expected", "Cost"):
        add_number_column(table, heading)
    for one in found:
        now = percent(decimal_of(one.standing.utilization)) if one.HasField("standing") else ""
        table.add_row(
            short_account(one.account),
            one.liquidation_id,
            state_name(one.state) + (", unreported" if one.unreported else ""),
            percent(decimal_of(one.promised.utilization)),
            now,
            money(decimal_of(one.estimated_cost)),
            money(decimal_of(one.cost)),
        )
    return table


def order_table(liquidation: pb.Liquidation) -> Table:
    """Return the orders of a liquidation, and how much of each is done."""
    table = plain_table(f"{short_account(liquidation.account)}: {state_name(liquidation.state)}")
    table.add_column("Order", no_wrap=True)
    for heading in ("Limit", "Done", "Left"):
        add_number_column(table, heading)
    for order in liquidation.orders:
        table.add_row(order_text(order.trade), order.trade.limit_price, order.filled, order.left)
    return table


def step_table(steps: Iterable[pb.LiquidationStep]) -> Table:
    """Return what happened, one step a line."""
    table = plain_table()
    for heading in ("When (UTC)", "What", "By"):
        table.add_column(heading, no_wrap=True)
    table.add_column("More", overflow="fold")
    for step in steps:
        table.add_row(_moment(step.time), step.kind, step.by, _fill_text(step.fill) if step.HasField("fill") else step.text)
    return table


def liquidation_lines(found: pb.GetLiquidationResponse) -> Iterator[str]:
    """Yield where a liquidation stands, and whether it may go on."""
    one = found.liquidation
    yield (
        f"Approved by {one.asked_by} and {one.confirmed_by}, good until {_moment(one.expire_time)} UTC; it has cost "
        f"{money(decimal_of(one.cost))} of {money(decimal_of(one.estimated_cost))} that were expected"
        + (f", for {money(decimal_of(one.traded_value))} that were traded." if one.traded_value not in {"", "0"} else ".")
    )
    if one.unreported:
        yield "Nothing has been reported of it for too long: ask whoever trades it, and report what was done."
    if found.refusal_reason:
        yield f"No more of it may be traded now ({found.refusal_reason}): {found.refusal_message}."
    else:
        yield "What is left of it may be traded; ask again before every piece."


def reported_lines(done: pb.ReportLiquidationResponse) -> Iterator[str]:
    """Yield what was booked, what is to be looked at about it, and where the liquidation then stands."""
    again = " before" if done.replayed else ""
    yield f"{counted(len(done.seqs), 'fill')} booked{again}, entries {', '.join(map(str, done.seqs))}."
    if done.flags:
        yield f"To be looked at: {', '.join(_FLAG_WORDS[flag] for flag in done.flags)}."
    one = done.liquidation
    utilization = percent(decimal_of(one.standing.utilization)) if one.HasField("standing") else "unknown"
    yield f"Liquidation {one.liquidation_id} is {state_name(one.state)}; utilization is {utilization}."


def _fill_text(fill: pb.LiquidationFill) -> str:
    order = order_text(pb.PlannedTrade(instrument_id=fill.instrument_id, quantity=fill.quantity))
    flags = "".join(f"; {_FLAG_WORDS[flag]}" for flag in fill.flags)
    opened = f" ({fill.opened} of it opened)" if fill.opened else ""
    return f"{order} at {fill.price}{opened}, entry {fill.seq}{flags}"


def _moment(stamp: Timestamp) -> str:
    return moment_of(stamp).strftime("%Y-%m-%d %H:%M:%S")
