"""`crossmargin report`: the statement of a client as a page to be sent, printed and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Final

import typer

from crossmargin.api.v1 import account_service_pb2
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.render import counted, error_console, short_account
from crossmargin_cli.report_calls import belongs, is_open
from crossmargin_cli.report_drawings import HistoryPoint
from crossmargin_cli.report_page import AccountStatement, ClientStatement, statement_page
from crossmargin_cli.report_pdf import check_can_write_pdf, write_pdf
from crossmargin_client import Client, PreconditionFailed, decimal_of, moment_of

EXAMPLES: Final = examples(
    "crossmargin report harbour-macro --out harbour-macro.html",
    "crossmargin report harbour-macro --out statement.html --date 2026-11-20 --pdf",
)


def report(  # noqa: PLR0917 - typer reads options from the signature
    client_id: Annotated[str, typer.Argument(metavar="CLIENT", help="Whose statement, such as harbour-macro.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the page goes; CLIENT.html if none is given.")] = None,
    history_days: Annotated[
        int, typer.Option("--history", min=1, max=3660, metavar="DAYS", help="How far back utilization and closed calls go.")
    ] = 30,
    day: Annotated[str, typer.Option("--date", help="Day whose entries are listed, UTC; today without one. Margin is as of now.")] = "",
    pdf: Annotated[bool, typer.Option("--pdf", help="Write a PDF too, beside the page and under its name. Needs the extra pdf.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The statement of a client as one page of HTML: margin and margin calls, bridges, scenarios, collateral, positions, orders, entries.

    The page needs nothing from elsewhere: it can be mailed, and a browser prints it.
    """
    file = out or Path(f"{client_id}.html")
    if file.suffix != ".html" or not file.absolute().parent.is_dir():
        raise MisuseError(f"--out was {file}; expected a file that ends in .html, in a folder that is there")
    if pdf:
        check_can_write_pdf()
    wanted = _day(day)
    now = datetime.now(tz=UTC)
    with connect(target) as client, error_console().status(f"reading {client_id}") as status:
        found = client.get_client(client_id)
        accounts = []
        for account in client.list_accounts(client_id):
            status.update(f"reading {account.name}")
            accounts.append(_account(client, account, wanted, now - timedelta(days=history_days)))
    page = statement_page(ClientStatement(found, accounts, wanted, now, history_days))
    file.write_text(page, encoding="utf-8")
    files = {"file": file, "pdf": file.with_suffix(".pdf")} if pdf else {"file": file}
    if pdf:
        write_pdf(page, files["pdf"])
    if json:
        margins = [to_json(each.explained.margin) for each in accounts if each.explained is not None]
        calls = [to_json(one.call) for each in accounts for one in each.calls]
        written = {what: str(each) for what, each in files.items()}
        print_json({**written, "client": to_json(found), "margins": margins, "calls": calls})
        return
    typer.echo(f"{' and '.join(map(str, files.values()))}: {counted(len(accounts), 'account')} of {client_id}")
    for warning in _warnings(accounts):
        typer.echo(warning, err=True)


def _warnings(accounts: Sequence[AccountStatement]) -> Iterator[str]:
    for each in accounts:
        if each.trouble:
            yield f"{short_account(each.account.name)} has no margin on it: {each.trouble}"
        for one in each.calls:
            if one.call.provisional and is_open(one.call):
                yield f"call {one.call.number} of {short_account(one.call.account)} rests on doubted market data: look before it is sent"


def _account(client: Client, account: account_service_pb2.Account, day: date, history_from: datetime) -> AccountStatement:
    statement = client.get_statement(account.name, day)
    has_entries = statement.closing_seq > statement.opening_seq
    listed = client.list_entries(account.name, after_seq=statement.opening_seq) if has_entries else iter(())
    entries = list(takewhile(lambda entry: entry.sequence <= statement.closing_seq, listed))
    explained, trouble = None, ""
    try:
        explained = client.explain_margin(account.name)
    except PreconditionFailed as error:
        # There is a reason, such as a price that nobody quotes. The rest of the statement stands, and the page says what is missing.
        trouble = error.message
    return AccountStatement(
        account=account,
        explained=explained,
        positions=client.list_positions(account.name).positions,
        reservations=list(client.list_reservations(account.name)),
        entries=entries,
        calls=[client.get_call(call.account, call.number) for call in client.list_calls(account.name) if belongs(call, since=history_from)],
        history=[
            HistoryPoint(moment_of(point.record_time), decimal_of(point.utilization))
            for point in client.list_margin_history(account.name, start=history_from)
        ],
        trouble=trouble,
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text) if text else datetime.now(tz=UTC).date()
    except ValueError:
        raise MisuseError(f"--date was {text!r}; expected a day such as 2026-11-20") from None
