"""Orders a line each, checked one after another on one stream: `crossmargin whatif ACCOUNT --lines`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import typer

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.connection import connect, full_account_name, print_json_line, to_json
from crossmargin_cli.failures import FAILED, MisuseError
from crossmargin_cli.render import console_on, money
from crossmargin_cli.trade_words import WantedTrade, parse_trade, priced_trades
from crossmargin_client import Client, StreamedPreview, decimal_of, preview_request

_SIDES = {"buy": False, "sell": True}


def preview_lines(account: str, lines: Iterable[str], *, json: bool, target: str) -> None:
    """Answer every line as it comes. Ends the process with an error when some line could not be answered.

    Raises:
        MisuseError: For a line that is no order; the ones before it are answered.
    """
    console, has_failed = console_on(), False
    with connect(target) as client:
        for answer in client.stream_previews(_requests(client, full_account_name(account), lines)):
            has_failed |= answer.error is not None
            if json:
                print_json_line(_document(answer))
            else:
                console.print(answer_line(answer), highlight=False)
    if has_failed:
        raise typer.Exit(FAILED)


def order_from_line(line: str) -> WantedTrade:
    """Return the order that a line asks for.

    >>> order_from_line("sell BTC-USD-PERP 5 @ 65000").quantity
    Decimal('-5')
    """
    side, _, words = line.strip().partition(" ")
    if side not in _SIDES:
        raise MisuseError(f"line was {line.strip()!r}; expected 'buy' or 'sell' and a trade, such as 'buy BTC-USD-PERP 5 @ 65000'")
    return parse_trade(words, is_sale=_SIDES[side])


def answer_line(answer: StreamedPreview) -> str:
    """Return what is said of one line: its number, and whether the order is acceptable or why nobody can say."""
    number = answer.request.correlation_id
    if answer.preview is None:
        return f"{number}  failed: {answer.error}"
    excess = money(decimal_of(answer.preview.need_after.excess), places=2)
    return f"{number}  {'acceptable' if answer.preview.acceptable else 'not acceptable'}, excess at worst {excess}"


def _requests(client: Client, account: str, lines: Iterable[str]) -> Iterator[margin_service_pb2.StreamPreviewsRequest]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            trades = priced_trades(client, [order_from_line(line)], executed_at=datetime.now(tz=UTC))
            yield preview_request(account, trades, correlation_id=str(number))


def _document(answer: StreamedPreview) -> dict[str, object]:
    number = int(answer.request.correlation_id)
    if answer.preview is not None:
        return {"line": number, **to_json(answer.preview)}
    error = answer.error
    return {"line": number, "reason": "" if error is None else error.reason, "message": "" if error is None else error.message}
