"""The statement of a client as one page of HTML: everything is inside, and nothing is fetched when it is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from crossmargin.api.v1 import (
    account_service_pb2,
    book_service_pb2,
    collateral_service_pb2,
    margin_call_service_pb2,
    margin_service_pb2,
)
from crossmargin_cli.explanation_views import diversification_sentence, factor_text, move_text, worst_direction_sentence
from crossmargin_cli.margin_views import gap_sentence, netting_sentence, stamp_line
from crossmargin_cli.render import BAND_NAMES, money, percent
from crossmargin_cli.report_calls import calls_section, demands, spans
from crossmargin_cli.report_drawings import (
    BAND_COLOURS,
    HistoryPoint,
    Step,
    bars_drawing,
    bridge_drawing,
    history_drawing,
    utilization_drawing,
)
from crossmargin_cli.report_markup import chip, escaped, money_cell, table
from crossmargin_cli.request_views import is_open
from crossmargin_cli.statement import entry_word
from crossmargin_client import decimal_of, moment_of

MOST_ENTRIES: Final = 500
_POLICIES: Final = {
    collateral_service_pb2.COLLATERAL_POLICY_RISKED: "risked",
    collateral_service_pb2.COLLATERAL_POLICY_PLEDGED: "pledged",
    collateral_service_pb2.COLLATERAL_POLICY_AUTO: "auto",
}
_STYLE: Final = """
body{font:14px/1.45 system-ui,sans-serif;color:#1a1a1a;max-width:840px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin:0}h2{font-size:1.25em;margin:2em 0 .2em;border-top:2px solid #1f3d5c;padding-top:.6em}
h3{font-size:1em;margin:1.4em 0 .3em;color:#1f3d5c}p{margin:.3em 0}.fine{color:#666;font-size:.85em}
table{border-collapse:collapse;width:100%;font-size:.9em}th{text-align:right;color:#555;font-weight:600;border-bottom:1px solid #999}
td{text-align:right;border-bottom:1px solid #e4e4e4;font-variant-numeric:tabular-nums}td,th{padding:.18em .4em;vertical-align:top}
th{vertical-align:bottom}
td.name,th.name{text-align:left}td.name{overflow-wrap:anywhere}tr.sum td{font-weight:bold;border-top:1px solid #999}
.figures{display:grid;grid-template-columns:repeat(4,1fr);gap:.6em;margin:.6em 0}.figures div{background:#f3f5f8;padding:.5em .7em}
.figures b{display:block;font-size:1.15em;font-variant-numeric:tabular-nums}.short{color:#c8102e}
.band{color:#fff;padding:.1em .6em;border-radius:.8em;font-weight:600;white-space:nowrap}
.demand{border-left:4px solid #c8102e;background:#fdf1f3;padding:.5em .7em;margin:.6em 0}
svg{width:100%;height:auto;display:block}table+table{margin-top:.8em}
@page{size:A4;margin:15mm 15mm 18mm;font:9px system-ui,sans-serif;color:#666;
@bottom-left{content:string(made)}@bottom-right{content:counter(page) " of " counter(pages)}}
@media print{body{margin:0;max-width:none;font-size:11px}section{break-before:page}section:first-of-type{break-before:auto}
header p{string-set:made content()}
tr,svg,.figures,.demand{break-inside:avoid}h3{break-after:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
_POLICY_OF_PAGE: Final = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class AccountStatement:
    """One account of the client.

    Attributes:
        explained: Its margin and what makes it up; None where it cannot be margined. trouble: why not.
        reservations: Those that are open.
        entries: Of the day.
        history: How close it has been to the line, oldest first; empty where nothing is stored.
        calls: Margin calls that are open or were closed within the time of the history, with what happened to them.
    """

    account: account_service_pb2.Account
    explained: margin_service_pb2.ExplainMarginResponse | None
    positions: Sequence[book_service_pb2.Position]
    reservations: Sequence[margin_service_pb2.Reservation]
    entries: Sequence[book_service_pb2.Entry]
    history: Sequence[HistoryPoint] = ()
    calls: Sequence[margin_call_service_pb2.GetCallResponse] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class ClientStatement:
    """A client with all its accounts, as of one moment. `day` is the day whose entries are listed, `history_days` how far it looks back."""

    client: account_service_pb2.Client
    accounts: Sequence[AccountStatement]
    day: date
    made_at: datetime
    history_days: int = 30


def statement_page(statement: ClientStatement) -> str:
    """Return the page. Names and whatever else somebody wrote are text in it, never markup."""
    title = f"{statement.client.display_name or statement.client.client_id}: margin statement"
    body = "".join((*_head(statement), *(part for account in statement.accounts for part in _account(account, statement))))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY_OF_PAGE}">'
        f'<meta name="viewport" content="width=device-width"><title>{escaped(title)}</title><style>{_STYLE}</style></head>'
        f"<body>{body}</body></html>\n"
    )


def _head(statement: ClientStatement) -> Iterator[str]:
    margined = [account.explained.margin for account in statement.accounts if account.explained is not None]
    yield f"<header><h1>{escaped(statement.client.display_name or statement.client.client_id)}</h1>"
    made_at = f"{statement.made_at:%Y-%m-%d %H:%M:%S} UTC"
    yield f"<p>Margin statement of client {escaped(statement.client.client_id)}, made {made_at}. US dollars.</p></header>"
    for account in statement.accounts:
        yield from demands(one.call for one in account.calls)
        if account.explained is None:
            name = escaped(_account_id(account.account.name))
            yield f'<p class="short">The margin of {name} is not known: {escaped(account.trouble)}</p>'
    rows = [
        [
            escaped(_account_id(margin.stamp.account)),
            *(money(decimal_of(text)) for text in (margin.equity.equity, margin.requirement.initial_margin)),
            money(decimal_of(margin.requirement.maintenance_margin)),
            money_cell(decimal_of(margin.excess_to_initial)),
            percent(decimal_of(margin.utilization)),
            _band(margin.band),
        ]
        for margin in margined
    ]
    if rows:
        yield table(["Account", "Equity", "Initial margin", "Maintenance margin", "Excess", "Utilization", "Band"], rows)
        yield '<p class="fine">Accounts do not back one another: each has to meet its own margin.</p>'
    if not statement.accounts:
        yield "<p>The client has no accounts.</p>"


def _account(account: AccountStatement, statement: ClientStatement) -> Iterator[str]:
    yield f"<section><h2>{escaped(_account_id(account.account.name))}: {escaped(account.account.display_name)}</h2>"
    if account.explained is None:
        yield f'<p class="short">Its margin is not known: {escaped(account.trouble)}</p>'
    else:
        yield from _margin(account.explained, account)
    isolated = account.account.mode == account_service_pb2.ACCOUNT_MODE_ISOLATED
    yield from calls_section(account.calls, isolated=isolated, history_days=statement.history_days)
    yield from _positions(account)
    yield from _reservations(account.reservations)
    yield from _entries(account, statement.day)
    yield "</section>"


def _margin(explained: margin_service_pb2.ExplainMarginResponse, account: AccountStatement) -> Iterator[str]:
    margin, utilization = explained.margin, decimal_of(explained.margin.utilization)
    stamp = f'<span class="fine">{escaped(stamp_line(margin.stamp))}</span>'
    yield f"<p>{_band(margin.band)} at {percent(utilization)} utilization. {stamp}</p>"
    if margin.HasField("quality"):
        names = ", ".join(doubted.subject for doubted in margin.quality.doubted)
        low, high = (percent(decimal_of(text)) for text in (margin.quality.utilization_low, margin.quality.utilization_high))
        yield f'<p class="short">Market data cannot be taken at its word ({escaped(names)}): utilization is between {low} and {high}.</p>'
    yield _figures(margin)
    yield utilization_drawing(utilization)
    if len(account.history) > 1:
        yield f"<h3>Utilization over time</h3>{history_drawing(account.history, spans(account.calls))}"
    yield f"<h3>Equity</h3>{bridge_drawing(list(_equity_steps(margin.equity)))}"
    yield f"<h3>Requirement</h3>{bridge_drawing(list(_requirement_steps(margin.requirement)))}"
    yield f"<p>{escaped(netting_sentence(margin.requirement))}</p>"
    yield from _risks(explained)
    yield from _collateral(explained.holdings)


def _figures(margin: margin_service_pb2.Margin) -> str:
    shown = (
        ("Equity", decimal_of(margin.equity.equity)),
        ("Initial margin", decimal_of(margin.requirement.initial_margin)),
        ("Excess to initial margin", decimal_of(margin.excess_to_initial)),
        ("Loss to liquidation", decimal_of(margin.excess_to_maintenance)),
    )
    return '<div class="figures">' + "".join(f"<div>{name}<b>{money_cell(amount)}</b></div>" for name, amount in shown) + "</div>"


def _equity_steps(equity: margin_service_pb2.EquityBridge) -> Iterator[Step]:
    left = Decimal(0)
    for name, amount in (
        ("collateral, after haircuts and limits", decimal_of(equity.collateral)),
        ("liabilities", decimal_of(equity.liabilities)),
        ("value of contracts", decimal_of(equity.contract_value)),
    ):
        yield Step(name, left, left + amount, amount, "adds")
        left += amount
    total = decimal_of(equity.equity)
    yield Step("equity", Decimal(0), total, total, "total")


def _requirement_steps(requirement: margin_service_pb2.RequirementBridge) -> Iterator[Step]:
    left = decimal_of(requirement.gross)
    yield Step("gross: each position alone", Decimal(0), left, left, "adds")
    for name, text in (
        ("offsets inside an underlying", requirement.netting_inside_groups),
        ("diversification inside a class", requirement.netting_inside_classes),
        ("diversification across classes", requirement.netting_across_classes),
    ):
        freed = decimal_of(text)
        yield Step(name, left, left - freed, -freed, "frees")
        left -= freed
    for charge in requirement.charges:
        amount = decimal_of(charge.amount)
        yield Step(f"charge: {charge.name}", left, left + amount, amount, "adds")
        left += amount
    maintenance, initial = decimal_of(requirement.maintenance_margin), decimal_of(requirement.initial_margin)
    yield Step("maintenance margin", Decimal(0), maintenance, maintenance, "total")
    yield Step("for new risk", maintenance, initial, initial - maintenance, "adds")
    yield Step("initial margin", Decimal(0), initial, initial, "total")


def _risks(explained: margin_service_pb2.ExplainMarginResponse) -> Iterator[str]:
    if explained.worst_scenarios:
        worst = [(one.name, decimal_of(one.pnl)) for one in explained.worst_scenarios]
        yield f"<h3>Worst scenarios</h3>{bars_drawing(worst)}"
    sentences = [diversification_sentence(explained.diversification)] if explained.HasField("diversification") else []
    if explained.HasField("worst_direction"):
        sentences.append(worst_direction_sentence(explained.worst_direction))
    if explained.margin.HasField("gap_loss"):
        sentences.append(gap_sentence(explained.margin.gap_loss))
    yield from (f"<p>{escaped(sentence)}</p>" for sentence in sentences)
    if explained.liquidation_distances:
        rows = [
            [escaped(factor_text(one.group_id, one.factor_kind)), escaped(move_text(one.move) if one.HasField("move") else "none")]
            for one in explained.liquidation_distances
        ]
        yield "<h3>Smallest move that liquidates, each factor alone</h3>" + table(["Factor", "Move"], rows)


def _collateral(holdings: Sequence[collateral_service_pb2.CollateralHolding]) -> Iterator[str]:
    if not holdings:
        return
    rows, sums = [], [Decimal(0)] * 4
    for holding in holdings:
        amounts = [decimal_of(text) for text in (holding.market_value, holding.haircut, holding.over_limit, holding.value_in_equity)]
        sums = [total + amount for total, amount in zip(sums, amounts, strict=True)]
        rate = percent(amounts[1] / amounts[0]) if amounts[0] > 0 else ""
        policy = _POLICIES.get(holding.policy, "liability")
        rows.append(
            [
                escaped(holding.instrument_id),
                policy,
                f"{decimal_of(holding.quantity):,f}",
                money(amounts[0]),
                money(amounts[1]),
                rate,
                *map(money, amounts[2:]),
            ]
        )
    total = ["Total", "", "", money(sums[0]), money(sums[1]), "", money(sums[2]), money(sums[3])]
    columns = ["Asset", "Policy", "Quantity", "Market value", "Haircut", "of value", "Over limit", "In equity"]
    yield "<h3>Collateral and liabilities</h3>" + table(columns, rows, total=total, name_columns=2)


def _positions(account: AccountStatement) -> Iterator[str]:
    if not account.positions:
        yield "<h3>Positions</h3><p>The account holds nothing.</p>"
        return
    added = {one.instrument_id: decimal_of(one.amount) for one in account.explained.contributions} if account.explained else {}
    rows = []
    for position in account.positions:
        # A contribution is of an instrument over all books, so it is said once, beside the first.
        contribution = added.pop(position.instrument_id, None)
        cost = decimal_of(position.cost)
        rows.append(
            [
                escaped(position.instrument_id),
                escaped(position.book_id),
                f"{decimal_of(position.quantity):,f}",
                money(cost, places=2) if cost else "",
                "" if contribution is None else money(contribution),
            ]
        )
    columns = ["Instrument", "Book", "Quantity", "Cost", "Adds to maintenance margin"]
    yield "<h3>Positions</h3>" + table(columns, rows, name_columns=2)


def _reservations(reservations: Sequence[margin_service_pb2.Reservation]) -> Iterator[str]:
    open_ones = [one for one in reservations if is_open(one)]
    if not open_ones:
        return
    rows = [
        [
            str(one.reservation),
            escaped(one.order.instrument_id),
            f"{decimal_of(one.order.quantity):+,f}",
            f"{decimal_of(one.order.price):,f}",
            f"{decimal_of(one.filled):,f}",
            "suspect" if one.status == margin_service_pb2.RESERVATION_STATUS_SUSPECT else "active",
            f"{moment_of(one.expire_time):%Y-%m-%d %H:%M:%S}",
        ]
        for one in open_ones
    ]
    columns = ["No.", "Instrument", "Quantity", "Worst price", "Filled", "Status", "Until (UTC)"]
    yield "<h3>Orders that margin is held for</h3>" + table(columns, rows, name_columns=2)


def _entries(account: AccountStatement, day: date) -> Iterator[str]:
    yield f"<h3>Entries written on {day.isoformat()}</h3>"
    if not account.entries:
        yield "<p>None.</p>"
        return
    own = _account_id(account.account.name)
    rows = [
        [
            str(entry.sequence),
            f"{moment_of(entry.effective_time):%Y-%m-%d %H:%M:%S}",
            entry_word(entry.kind),
            escaped(entry.reference),
            _moved(entry, own),
        ]
        for entry in account.entries[:MOST_ENTRIES]
    ]
    yield table(["No.", "Happened (UTC)", "Kind", "Reference", "Received (+) or given (-)"], rows, name_columns=4)
    left_out = len(account.entries) - MOST_ENTRIES
    if left_out > 0:
        yield f'<p class="fine">And {left_out:,} more of the day: crossmargin book statement lists them.</p>'


def _moved(entry: book_service_pb2.Entry, own: str) -> str:
    legs = [leg for leg in entry.postings if leg.ledger_account == own]
    return "<br>".join(f"{decimal_of(leg.quantity):+,f} {escaped(leg.instrument_id)}" for leg in legs)


def _band(band: margin_service_pb2.Band.ValueType) -> str:
    name = BAND_NAMES.get(band, ("unknown", ""))[0]
    return chip(name, BAND_COLOURS.get(band, "#666"))


def _account_id(name: str) -> str:
    return name.split("/")[3]
