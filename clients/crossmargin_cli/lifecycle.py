"""`crossmargin book lifecycle`: book what happened to an instrument, in every account that holds it or in one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Final

import typer

from crossmargin.api.v1 import book_service_pb2
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED, MisuseError
from crossmargin_cli.render import add_number_column, console_on, counted, error_console, plain_table, short_account
from crossmargin_client import decimal_of, lifecycle

app = typer.Typer(no_args_is_help=True, help="Book what happened to an instrument, in every account that holds it or in one.")

InstrumentArgument = Annotated[str, typer.Argument(metavar="INSTRUMENT", help="What it happened to.")]
AtOption = Annotated[str, typer.Option("--at", help="When it happened, with a time zone: 2026-11-20T16:00:00Z.", show_default=False)]
AccountOption = Annotated[str, typer.Option("--account", help="CLIENT/ACCOUNT; every account that holds the instrument unless given.")]
ReferenceOption = Annotated[str, typer.Option("--reference", help="Your own name for it.")]
RequestIdOption = Annotated[str, typer.Option("--request-id", help="Name of this request, to run it again after a break.")]
PriceOption = Annotated[str, typer.Option("--price", help="Price, as the instrument or its underlying quotes.", show_default=False)]
DateOption = Annotated[str, typer.Option("--date", help="Day of the schedule, such as 2026-11-15.", show_default=False)]
_WORDS: Final = {
    book_service_pb2.EVENT_APPLICATION_BOOKED: "booked",
    book_service_pb2.EVENT_APPLICATION_ALREADY_BOOKED: "booked before",
    book_service_pb2.EVENT_APPLICATION_NOTHING_TO_BOOK: "nothing held",
    book_service_pb2.EVENT_APPLICATION_REFUSED: "refused",
}


@app.command(epilog=examples("crossmargin book lifecycle funding BTC-USD-PERP --rate 0.0001 --price 65000 --at 2026-11-20T16:00:00Z"))
def funding(
    instrument: InstrumentArgument,
    *,
    rate: Annotated[str, typer.Option("--rate", help="Signed fraction of the notional; longs pay a positive one.", show_default=False)],
    price: PriceOption,
    at: AtOption,
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Funding of a perpetual, on what was held at the time."""
    event = lifecycle.funding(instrument, _number(rate), _number(price), at=_moment(at), reference=reference)
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(epilog=examples("crossmargin book lifecycle coupon UST-4.25-2031-05-15 --date 2026-11-15 --at 2026-11-15T00:00:00Z"))
def coupon(
    instrument: InstrumentArgument,
    *,
    day: DateOption,
    at: AtOption,
    rate: Annotated[str, typer.Option("--rate", help="Of a note whose terms do not say it: yearly, spread included.")] = "",
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """A coupon before the last one, on what was held at the time."""
    event = lifecycle.coupon(instrument, _day(day), at=_moment(at), rate=_number_or_none(rate), reference=reference)
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(
    epilog=examples("crossmargin book lifecycle payment SOFR-5Y --date 2026-06-01 --floating-fraction 0.0431 --at 2026-06-01T00:00:00Z")
)
def payment(
    instrument: InstrumentArgument,
    *,
    day: DateOption,
    at: AtOption,
    floating_fraction: Annotated[
        str, typer.Option("--floating-fraction", help="Of a swap: what the overnight rate compounded to, a fraction of notional.")
    ] = "",
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """A period of a swap, or the flows of a day of a contract of cash flows; the last one ends it."""
    event = lifecycle.contract_payment(
        instrument, _day(day), at=_moment(at), floating_fraction=_number_or_none(floating_fraction), reference=reference
    )
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(epilog=examples("crossmargin book lifecycle variation BTC-USD-PERP --price 65000 --at 2026-11-20T16:00:00Z"))
def variation(
    instrument: InstrumentArgument,
    *,
    price: PriceOption,
    at: AtOption,
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Pay the profit of a margined contract up to a price; the price is what it costs from then on."""
    event = lifecycle.variation(instrument, _number(price), at=_moment(at), reference=reference)
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(epilog=examples("crossmargin book lifecycle expiry BTC-27NOV26-90000-C --price 65000 --at 2026-11-27T08:00:00Z"))
def expiry(
    instrument: InstrumentArgument,
    *,
    price: PriceOption,
    at: AtOption,
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """An option ends worth nothing at the settlement price of its underlying."""
    event = lifecycle.expiry(instrument, _number(price), at=_moment(at), reference=reference)
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(
    epilog=examples(
        "crossmargin book lifecycle exercise BTC-27NOV26-60000-C --price 65000 --at 2026-11-27T08:00:00Z",
        "crossmargin book lifecycle exercise XRP-PUT --price 1.9 --at 2026-11-20T15:00:00Z --account alpha/core --quantity 500 --physical",
    )
)
def exercise(
    instrument: InstrumentArgument,
    *,
    price: PriceOption,
    at: AtOption,
    quantity: Annotated[str, typer.Option("--quantity", help="How many of an account's American options; all unless given.")] = "",
    book: Annotated[str, typer.Option("--book", help="Book that they are in.")] = "",
    physical: Annotated[bool, typer.Option("--physical", help="The underlying changes hands at the strike; otherwise cash.")] = False,
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """An option is exercised by who holds it and assigned to who wrote it."""
    event = lifecycle.exercise(
        instrument,
        _number(price),
        at=_moment(at),
        delivery=lifecycle.PHYSICAL if physical else lifecycle.CASH,
        quantity=_number_or_none(quantity),
        book=book,
        reference=reference,
    )
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(
    "final-settlement", epilog=examples("crossmargin book lifecycle final-settlement BTC-27NOV26 --price 65000 --at 2026-11-27T08:00:00Z")
)
def final_settlement(
    instrument: InstrumentArgument,
    *,
    price: PriceOption,
    at: AtOption,
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """A future ends at its final price."""
    event = lifecycle.final_settlement(instrument, _number(price), at=_moment(at), reference=reference)
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(epilog=examples("crossmargin book lifecycle delivery EURUSD-2026-11-20 --at 2026-11-20T12:00:00Z"))
def delivery(
    instrument: InstrumentArgument,
    *,
    at: AtOption,
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """The currencies of an FX forward are exchanged."""
    _apply(lifecycle.delivery(instrument, at=_moment(at), reference=reference), account, request_id, as_json=json, target=target)


@app.command(epilog=examples("crossmargin book lifecycle fixing USDKRW-NDF --bought-price 0.00072 --at 2026-11-18T06:30:00Z"))
def fixing(
    instrument: InstrumentArgument,
    *,
    at: AtOption,
    bought_price: Annotated[str, typer.Option("--bought-price", help="One unit of the currency bought, in the settlement currency.")] = "",
    sold_price: Annotated[str, typer.Option("--sold-price", help="One unit of the currency sold, in the settlement currency.")] = "",
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """A non-deliverable forward is fixed and its difference paid. Leave the price of the settlement currency out."""
    event = lifecycle.fixing(
        instrument,
        at=_moment(at),
        bought_price=_number_or_none(bought_price),
        sold_price=_number_or_none(sold_price),
        reference=reference,
    )
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(epilog=examples("crossmargin book lifecycle maturity UST-BILL-2026-11-19 --at 2026-11-19T00:00:00Z"))
def maturity(
    instrument: InstrumentArgument,
    *,
    at: AtOption,
    rate: Annotated[str, typer.Option("--rate", help="Of a note whose terms do not say it: yearly, spread included.")] = "",
    account: AccountOption = "",
    reference: ReferenceOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """A bill, bond or note is redeemed, with its last coupon."""
    event = lifecycle.maturity(instrument, at=_moment(at), rate=_number_or_none(rate), reference=reference)
    _apply(event, account, request_id, as_json=json, target=target)


@app.command(
    epilog=examples(
        "crossmargin book lifecycle settle --date 2026-11-20", "crossmargin book lifecycle settle --date 2026-11-20 --account alpha/core"
    )
)
def settle(
    *,
    day: Annotated[str, typer.Option("--date", help="Settle what is due on this day or before it.", show_default=False)],
    account: AccountOption = "",
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Settle the trades whose settle date has come: what the street owed is then with the custodian."""
    with connect(target) as client, error_console().status("settling") as status:
        name = full_account_name(account) if account else ""
        settled = []
        for part in client.settle_trades(_day(day), account=name, request_id=request_id or None):
            settled.append(part)
            status.update(settlement_lines(settled)[-1])
    if json:
        print_json({"accounts": [to_json(one) for one in settled]})
        return
    for line in settlement_lines(settled):
        typer.echo(line)
    if not settled:
        typer.echo("nothing is due")


def settlement_lines(parts: Sequence[book_service_pb2.SettleTradesResponse]) -> list[str]:
    """Return what was settled, one line for each account in the order of its first part, however many parts it came in."""
    counts: dict[str, int] = {}
    last: dict[str, int] = {}
    for part in parts:
        counts[part.account] = counts.get(part.account, 0) + len(part.trade_seqs)
        last[part.account] = part.as_of_seq
    return [f"{short_account(name)}: {counted(count, 'trade')} settled, up to entry {last[name]}" for name, count in counts.items()]


@app.command(epilog=examples("crossmargin book lifecycle due", "crossmargin book lifecycle due --account alpha/core --json"))
def due(*, account: AccountOption = "", json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """List the events that are due and that nobody has booked: coupons, payments, ends, and funding that other accounts have."""
    with connect(target) as client:
        found = client.list_due_events(full_account_name(account) if account else "")
    if json:
        print_json(to_json(found))
        return
    if not found.total:
        typer.echo("nothing is due")
        return
    table = plain_table()
    for heading in ("Due", "Account", "Event"):
        table.add_column(heading, no_wrap=heading != "Event")
    for event in found.events:
        when = event.due_time.ToDatetime(tzinfo=UTC).strftime("%Y-%m-%d %H:%M")
        table.add_row(when, short_account(event.account), event.event)
    console_on().print(table)
    typer.echo(f"{counted(found.total, 'event')} due and not booked")


@app.command(epilog=examples('crossmargin book lifecycle cancel alpha/core 17 --reason "wrong rate"'))
def cancel(
    account: AccountArgument,
    sequence: Annotated[int, typer.Argument(metavar="SEQUENCE", help="Entry that booked the event.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)],
    request_id: RequestIdOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Take back what an event did to one account, so that it can be applied again as it should have been."""
    with connect(target) as client:
        done = client.cancel_lifecycle_event(full_account_name(account), sequence, reason=reason, request_id=request_id or None)
    if json:
        print_json(to_json(done))
        return
    typer.echo(f"entry {sequence} was taken back by entry {done.sequence}")


def _apply(event: book_service_pb2.LifecycleEvent, account: str, request_id: str, *, as_json: bool, target: str) -> None:
    with connect(target) as client:
        name = full_account_name(account) if account else ""
        *outcomes, last = client.apply_lifecycle_event(event, account=name, request_id=request_id or None)
    found = [part.outcome for part in outcomes]
    if as_json:
        print_json({"outcomes": [to_json(outcome) for outcome in found], "summary": to_json(last.summary)})
    else:
        _print_outcomes(found, last.summary)
    if last.summary.refused:
        raise typer.Exit(FAILED)


def _print_outcomes(outcomes: Sequence[book_service_pb2.EventOutcome], summary: book_service_pb2.EventSummary) -> None:
    table = plain_table()
    table.add_column("Account", no_wrap=True)
    table.add_column("Event", no_wrap=True)
    add_number_column(table, "Entry")
    add_number_column(table, "Received (+) or given (-)")
    for outcome in outcomes:
        amounts = "\n".join(f"{decimal_of(amount.quantity):+,f} {amount.instrument_id}" for amount in outcome.amounts)
        table.add_row(short_account(outcome.account), _WORDS[outcome.application], str(outcome.sequence or ""), amounts)
    console = console_on()
    if outcomes:
        console.print(table)
    totals = ", ".join(f"{decimal_of(amount.quantity):+,f} {amount.instrument_id}" for amount in summary.amounts)
    console.print(
        f"{summary.booked} booked, {summary.already_booked} booked before, {summary.nothing_to_book} held nothing, "
        f"{summary.refused} refused" + (f"; in all {totals}" if totals else "")
    )
    for outcome in outcomes:
        if outcome.HasField("refusal"):
            typer.echo(f"  {short_account(outcome.account)}: {outcome.refusal.reason}: {outcome.refusal.message}", err=True)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"--at was {text!r}; expected a time such as 2026-11-20T16:00:00Z") from None
    if moment.tzinfo is None:
        raise MisuseError(f"--at was {text!r} without a time zone; write {text}Z for UTC")
    return moment.astimezone(UTC)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MisuseError(f"--date was {text!r}; expected a day such as 2026-11-15") from None


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise MisuseError(f"a number was {text!r}; expected a decimal such as 0.0001")
    return number


def _number_or_none(text: str) -> Decimal | None:
    return _number(text) if text else None
