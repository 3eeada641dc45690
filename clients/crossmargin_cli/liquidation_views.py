"""Liquidation plans as people read them."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.render import add_number_column, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of


def plan_table(plan: pb.LiquidationPlan) -> Table:
    """Return the orders of a plan, piece by piece."""
    table = plain_table(f"Liquidation of {short_account(plan.account)}")
    add_number_column(table, "Piece")
    table.add_column("Order", no_wrap=True)
    for heading in ("Limit", "Expected", "Cost", "MM"):
        add_number_column(table, heading)
    table.add_column("U after", justify="right", no_wrap=True)
    for number, piece in enumerate(plan.pieces, start=1):
        for place, trade in enumerate(piece.trades):
            is_last = place == len(piece.trades) - 1
            table.add_row(
                str(number) if not place else "",
                order_text(trade),
                trade.limit_price,
                trade.expected_price,
                money(decimal_of(trade.cost)),
                money(decimal_of(trade.contribution), signed=True),
                percent(decimal_of(piece.after.utilization)) if is_last else "",
            )
    return table


def order_text(trade: pb.PlannedTrade) -> str:
    """Return an order in words.

    >>> order_text(pb.PlannedTrade(instrument_id="BTC", quantity="-2.5"))
    'sell 2.5 BTC'
    """
    verb = "sell" if trade.quantity.startswith("-") else "buy"
    return f"{verb} {trade.quantity.removeprefix('-')} {trade.instrument_id}"


def plan_lines(response: pb.PlanLiquidationResponse) -> Iterator[str]:
    """Yield what the plan does, what it costs, and whether it may be done."""
    plan = response.plan
    before, after = (percent(decimal_of(standing.utilization)) for standing in (plan.before, plan.after))
    if not plan.pieces:
        yield f"Utilization is {before}: nothing needs to be closed."
    else:
        yield (
            f"{counted(sum(len(piece.trades) for piece in plan.pieces), 'order')} in {counted(len(plan.pieces), 'piece')} take utilization "
            f"from {before} to {after} at a cost of {money(decimal_of(plan.cost))}; no choice of orders costs less than "
            f"{money(decimal_of(plan.least_cost))}."
        )
    if not plan.reaches_target:
        yield f"That is not enough: the target is {percent(decimal_of(plan.target_utilization))}."
    if plan.left_out:
        yield f"Not traded, because their price is in doubt: {', '.join(plan.left_out)}."
    if response.refusal_reason:
        yield f"Nothing of it may be done now ({response.refusal_reason}): {response.refusal_message}."


def reproduction_line(plan: pb.LiquidationPlan, answer: pb.ReproduceLiquidationResponse) -> str:
    """Return a sentence that says whether a plan came out the same, and where it first differs."""
    what = f"plan for {short_account(plan.account)} of snapshot {plan.snapshot_id} and entry {plan.as_of_seq}"
    if answer.reproduced:
        return f"{what}: reproduced, every order and figure the same"
    difference = answer.difference
    return f"{what}: NOT reproduced: {difference.field} was {difference.recorded}, came out as {difference.recomputed}"
