"""Margin as people read it: one line for each account, and the way from gross to requirement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import account_service_pb2, collateral_service_pb2, margin_service_pb2
from crossmargin_cli.methodology_views import METHODOLOGY_NAMES
from crossmargin_cli.render import (
    BAND_NAMES,
    add_number_column,
    band_text,
    bar,
    money,
    percent,
    plain_table,
    segment,
    short_account,
)
from crossmargin_client import decimal_of, moment_of

_BAR_CELLS: Final = 10
_WATERFALL_CELLS: Final = 32
_BRIDGE_DIGITS: Final = 13
"""Bridges of different accounts line up below one another."""
_MAIN_METHODOLOGY: Final = (account_service_pb2.METHODOLOGY_UNSPECIFIED, account_service_pb2.METHODOLOGY_EXPECTED_SHORTFALL)
_POLICY_NAMES: Final = {
    collateral_service_pb2.COLLATERAL_POLICY_RISKED: "risked",
    collateral_service_pb2.COLLATERAL_POLICY_PLEDGED: "pledged",
    collateral_service_pb2.COLLATERAL_POLICY_AUTO: "auto",
    collateral_service_pb2.COLLATERAL_POLICY_UNSPECIFIED: "liability",
}


def margin_table(console: Console, margins: Iterable[margin_service_pb2.Margin]) -> Table:
    """Return a table with one line for each account: equity, margins, utilization with a bar, band."""
    table = plain_table()
    table.add_column("Account", overflow="fold")
    for heading in ("Equity", "Initial", "Maintenance"):
        add_number_column(table, heading)
    table.add_column("Utilization", no_wrap=True)
    table.add_column("Band", no_wrap=True)
    for margin in margins:
        utilization = decimal_of(margin.utilization)
        table.add_row(
            short_account(margin.stamp.account),
            money(decimal_of(margin.equity.equity)),
            money(decimal_of(margin.requirement.initial_margin)),
            money(decimal_of(margin.requirement.maintenance_margin)),
            bar(console, utilization, width=_BAR_CELLS, style=_style_of(margin.band)) + Text(f"{percent(utilization):>10}"),
            band_text(margin.band),
        )
    return table


def in_reported_currency(standing: margin_service_pb2.GetMarginResponse) -> margin_service_pb2.Margin:
    """Return a margin with the amounts of the currency that was asked for, if one was."""
    shown = margin_service_pb2.Margin()
    shown.CopyFrom(standing.margin)
    if standing.HasField("reported"):
        shown.equity.CopyFrom(standing.reported.equity)
        shown.requirement.CopyFrom(standing.reported.requirement)
    return shown


def reported_line(reported: margin_service_pb2.ReportedMargin) -> str:
    """Return the currency of a table's amounts, and its price."""
    price = decimal_of(reported.price)
    return f"Amounts are {reported.currency}, at {price:f} dollars; risk, utilization and band are measured in dollars."


def stamp_line(stamp: margin_service_pb2.MarginStamp) -> str:
    """Return a sentence that says what a result depends on."""
    as_of = moment_of(stamp.as_of_time).strftime("%Y-%m-%d %H:%M:%S UTC")
    ramp = f" (from {stamp.ramp.parameter_set_id}, {percent(decimal_of(stamp.ramp.fraction))} there)" if stamp.HasField("ramp") else ""
    by = "" if stamp.methodology in _MAIN_METHODOLOGY else f", by {METHODOLOGY_NAMES[stamp.methodology]}"
    return f"ledger entry {stamp.as_of_seq}, market {as_of} ({stamp.snapshot_id[:8]}), parameters {stamp.parameter_set_id}{ramp}{by}"


def gap_sentence(gap: margin_service_pb2.GapLoss) -> str:
    """Return what the broker may lose in an isolated account, whose client loses at most what is in it."""
    realized, expected, worst = (decimal_of(text) for text in (gap.realized, gap.expected, gap.worst))
    gone = f"equity is ${money(realized)} below zero, which the broker bears; " if realized else ""
    if not worst:
        return "Gap loss: none in any scenario."
    return f"Gap loss: {gone}${money(expected, places=2)} expected, ${money(worst)} in the worst scenario ({gap.worst_scenario})."


def reproduction_line(stamp: margin_service_pb2.MarginStamp, answer: margin_service_pb2.ReproduceMarginResponse) -> str:
    """Return a sentence that says whether a margin came out the same, and where it first differs."""
    what = f"{short_account(stamp.account)}: {stamp_line(stamp)}"
    if answer.reproduced:
        return f"{what}: reproduced, every figure the same"
    difference = answer.difference
    return f"{what}: NOT reproduced: {difference.field} was {difference.recorded}, came out as {difference.recomputed}"


def bridge_table(console: Console, requirement: margin_service_pb2.RequirementBridge) -> Table:
    """Return the way from the gross sum to the requirement, step by step, with what each step takes off."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    add_number_column(table, "", min_width=_BRIDGE_DIGITS)
    table.add_column(no_wrap=True)
    gross = decimal_of(requirement.gross)
    table.add_row("gross: each position alone", money(gross), _step(console, Decimal(0), gross, gross))
    left = gross
    for name, text in (
        ("offsets inside an underlying", requirement.netting_inside_groups),
        ("diversification inside a class", requirement.netting_inside_classes),
        ("diversification across classes", requirement.netting_across_classes),
    ):
        freed = decimal_of(text)
        table.add_row(f"- {name}", money(-freed), _step(console, left - freed, left, gross, is_removed=True))
        left -= freed
    for charge in requirement.charges:
        table.add_row(f"+ charge: {charge.name}", money(decimal_of(charge.amount)), Text(""))
    maintenance = decimal_of(requirement.maintenance_margin)
    table.add_row(Text("= maintenance margin", "bold"), Text(money(maintenance), "bold"), _step(console, Decimal(0), maintenance, gross))
    _add_initial_only(table, requirement)
    return table


def netting_sentence(requirement: margin_service_pb2.RequirementBridge) -> str:
    """Return what margining the book as a whole frees, against margining each position alone."""
    freed = decimal_of(requirement.netting_benefit)
    return f"Netting freed ${money(freed)} ({percent(decimal_of(requirement.netting_benefit_fraction))})."


def equity_table(equity: margin_service_pb2.EquityBridge) -> Table:
    """Return the way from what is held to equity."""
    table = plain_table("Equity")
    table.add_column("", no_wrap=True)
    add_number_column(table, "USD")
    table.add_row("collateral, after haircuts and limits", money(decimal_of(equity.collateral), places=2))
    table.add_row("liabilities", money(decimal_of(equity.liabilities), places=2))
    table.add_row("contract value", money(decimal_of(equity.contract_value), places=2))
    table.add_row(Text("equity", "bold"), Text(money(decimal_of(equity.equity), places=2), "bold"))
    return table


def contribution_table(contributions: Sequence[margin_service_pb2.Contribution], maintenance: Decimal) -> Table:
    """Return what each holding adds to the maintenance margin; a hedge takes off, and what adds nothing is left out."""
    table = plain_table("Contributions to maintenance margin")
    table.add_column("Holding", no_wrap=True)
    add_number_column(table, "USD")
    add_number_column(table, "Share")
    for contribution in contributions:
        amount = decimal_of(contribution.amount)
        if not amount:
            continue
        share = percent(amount / maintenance) if maintenance else ""
        table.add_row(contribution.instrument_id, money(amount, places=2), share)
    return table


def group_table(groups: Sequence[margin_service_pb2.GroupRequirement]) -> Table:
    """Return the tail mean of each offset group alone."""
    table = plain_table("Offset groups, each alone")
    table.add_column("Group", no_wrap=True)
    table.add_column("Class", no_wrap=True)
    add_number_column(table, "USD")
    for group in groups:
        table.add_row(group.group_id, group.asset_class, money(decimal_of(group.requirement), places=2))
    return table


def scenario_table(scenarios: Sequence[margin_service_pb2.WorstScenario]) -> Table:
    """Return the scenarios in which the account loses most."""
    table = plain_table("Worst scenarios")
    table.add_column("Scenario", overflow="fold", max_width=62)
    table.add_column("Kind", no_wrap=True)
    add_number_column(table, "Profit or loss")
    for scenario in scenarios:
        table.add_row(scenario.name, "stress" if scenario.stress else "history", money(decimal_of(scenario.pnl), places=2))
    return table


def holding_table(holdings: Sequence[collateral_service_pb2.CollateralHolding]) -> Table:
    """Return what each holding adds to equity."""
    table = plain_table("Collateral and liabilities")
    table.add_column("Asset", overflow="fold")
    table.add_column("Policy", no_wrap=True)
    headings = ("Quantity", "Value", "Risked", "Pledged", "Haircut", "Over limit", "In equity")
    for heading in headings:
        add_number_column(table, heading, min_width=len(heading))
    for holding in holdings:
        split = holding.risked, holding.pledged
        amounts = holding.market_value, *split, holding.haircut, holding.over_limit, holding.value_in_equity
        table.add_row(
            holding.instrument_id,
            _POLICY_NAMES.get(holding.policy, "unknown"),
            f"{decimal_of(holding.quantity):,f}",
            *(money(decimal_of(text)) for text in amounts),
        )
    return table


def _add_initial_only(table: Table, requirement: margin_service_pb2.RequirementBridge) -> None:
    """Say how the maintenance margin becomes the initial margin, where more than a multiple lies between them."""
    if not requirement.initial_only:
        return
    initial = decimal_of(requirement.initial_margin)
    charges = [(charge.name, decimal_of(charge.amount)) for charge in requirement.initial_only]
    before = initial - sum((amount for _, amount in charges), Decimal(0))
    table.add_row("multiple of it, for new risk", money(before), Text(""))
    for name, amount in charges:
        table.add_row(f"+ new risk only: {name}", money(amount), Text(""))
    table.add_row(Text("= initial margin", "bold"), Text(money(initial), "bold"), Text(""))


def _step(console: Console, start: Decimal, end: Decimal, gross: Decimal, *, is_removed: bool = False) -> Text:
    if not gross:
        return Text("")
    style = "green" if is_removed else "cyan"
    return segment(console, start / gross, min(end / gross, Decimal(1)), width=_WATERFALL_CELLS, style=style, is_removed=is_removed)


def _style_of(band: margin_service_pb2.Band.ValueType) -> str:
    return BAND_NAMES.get(band, ("unknown", ""))[1]
