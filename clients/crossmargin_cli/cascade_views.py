"""Cascades as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.table import Table

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.plots import new_figure
from crossmargin_cli.render import add_number_column, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRAWN: Final = 6


def round_table(rounds: Sequence[pb.CascadeRound]) -> Table:
    """Return one line for each round, the shock first."""
    table = plain_table("Rounds")
    for heading in ("Round", "Fallen", "Liquidation", "Clients", "To the street", "Broker loss"):
        add_number_column(table, heading)
    table.add_column("Prices", overflow="fold")
    for one in rounds:
        prices = ", ".join(f"{flow.group_id} {percent(decimal_of(flow.price), signed=True)}" for flow in _largest(one))
        table.add_row(
            str(one.number),
            str(one.fallen_count),
            str(one.bands.liquidation),
            money(decimal_of(one.clients_after)),
            money(decimal_of(one.paid_to_street)),
            money(decimal_of(one.broker_loss)),
            prices if one.number else "the shock",
        )
    return table


def summary_lines(summary: pb.CascadeSummary) -> Iterator[str]:
    """Yield what it came to, and who took no part."""
    end = "" if summary.is_over else " It was cut short there."
    loss, first = money(decimal_of(summary.broker_loss)), money(decimal_of(summary.first_broker_loss))
    yield (
        f"{counted(summary.fallen_count, 'account')} of {summary.account_count} fell in {counted(summary.round_count, 'round')}; "
        f"{counted(summary.ruined_count, 'account')} ended without equity. The broker loses {loss}; the shock alone would have cost "
        f"{first}.{end}"
    )
    for failure in summary.failures:
        yield f"{short_account(failure.account)} takes no part: {failure.message}"


def cascade_figure(rounds: Sequence[pb.CascadeRound]) -> Figure:
    """Return the price path in what liquidations did, and the accounts that fell, by round."""
    figure = new_figure(8.0, 5.0)
    prices, falls = figure.subplots(2, 1, sharex=True)
    numbers = [one.number for one in rounds]
    last: dict[str, float] = {}
    paths: dict[str, list[float]] = {flow.group_id: [] for one in rounds for flow in one.flows}
    for one in rounds:
        last |= {flow.group_id: float(flow.price) for flow in one.flows}
        for group, path in paths.items():
            path.append(100.0 * last.get(group, 0.0))
    for group in sorted(paths, key=lambda name: -abs(paths[name][-1]))[:_DRAWN]:
        prices.plot(numbers, paths[group], marker="o", markersize=3, linewidth=1.0, label=group)
    prices.axhline(0.0, color="0.3", linewidth=0.6)
    prices.set_ylabel("price, % beyond the shock", fontsize=8)
    if paths:
        prices.legend(fontsize=7, frameon=False)
    falls.bar(numbers, [one.fallen_count for one in rounds], color="tab:red")
    falls.set_ylabel("accounts falling", fontsize=8)
    falls.set_xlabel("round", fontsize=8)
    falls.set_xticks(numbers)
    return figure


def _largest(one: pb.CascadeRound) -> list[pb.GroupFlow]:
    return sorted(one.flows, key=lambda flow: -abs(decimal_of(flow.price)))[:3]
