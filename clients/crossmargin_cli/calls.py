"""`crossmargin calls`: margin calls and what becomes of them."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from crossmargin.api.v1 import margin_call_service_pb2 as pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from crossmargin_cli.call_views import call_sentence, call_table, notice_line, notice_table, provisional_lines, terms_sentence
from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    ConfirmOption,
    JsonOption,
    PrincipalOption,
    TargetOption,
    connect,
    full_account_name,
    full_scope,
    print_json,
    print_json_line,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.pending_views import pending_sentence
from crossmargin_cli.render import console_on

app = typer.Typer(no_args_is_help=True, help="Margin calls: list, answer, settle, waive, escalate; what is agreed about them.")
NumberArgument = Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="Number of the call.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="WORDS", help="Why, for whoever reads it later. Required.")]
SayOption = Annotated[str, typer.Option("--say", metavar="WORDS", help="What is said of it.")]


class Calendar(Enum):
    """Whose holidays are no business days."""

    NONE = "none"
    TARGET = "target"
    US_GOVERNMENT_BONDS = "us-government-bonds"
    LONDON = "london"
    TOKYO = "tokyo"

    @property
    def message(self) -> reference_pb.HolidayCalendar.ValueType:
        """What it is called on the wire."""
        name = "UNSPECIFIED" if self is Calendar.NONE else self.name
        return reference_pb.HolidayCalendar.Value(f"HOLIDAY_CALENDAR_{name}")


class Reason(Enum):
    """What a client does not agree with."""

    AMOUNT = "amount"
    VALUATION = "valuation"
    POSITION = "position"
    ALREADY_DELIVERED = "already-delivered"
    OTHER = "other"


@app.command("list", epilog=examples("crossmargin calls list", "crossmargin calls list summit-directional/core --all --json"))
def list_calls(
    scope: Annotated[str, typer.Argument(metavar="[CLIENT|ACCOUNT]", help="CLIENT or CLIENT/ACCOUNT; everybody without.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Open margin calls, with what is outstanding and when it is due."""
    with connect(target) as client:
        found = list(client.list_calls(full_scope(scope), only_open=not every))
    if json:
        print_json({"calls": [to_json(call) for call in found]})
        return
    if found:
        console = console_on()
        console.print(call_table(found))
        for line in provisional_lines(found):
            console.print(line, soft_wrap=True)
    else:
        typer.echo("There are no margin calls." if every else "There are no open margin calls.")


@app.command(epilog=examples("crossmargin calls show summit-directional/core 1"))
def show(account: AccountArgument, number: NumberArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """One margin call, and everything that happened to it."""
    with connect(target) as client:
        found = client.get_call(full_account_name(account), number)
    if json:
        print_json(to_json(found))
        return
    console = console_on()
    console.print(call_table([found.call]))
    for line in provisional_lines([found.call]):
        console.print(line, soft_wrap=True)
    console.print()
    console.print(notice_table(found.notices))


@app.command(epilog=examples('crossmargin calls acknowledge summit-directional/core 1 --say "wire is on its way" --as carol'))
def acknowledge(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    number: NumberArgument,
    say: SayOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Say that the client has the call. It is due as before."""
    with connect(target, principal=principal) as client:
        call = client.acknowledge_call(full_account_name(account), number, say)
    _answer(call, as_json=json)


@app.command(epilog=examples('crossmargin calls dispute summit-directional/core 1 --reason valuation --why "XRP mark is off" --as carol'))
def dispute(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    number: NumberArgument,
    reason: Annotated[Reason, typer.Option("--reason", help="What the client does not agree with.")],
    why: WhyOption,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Say that the client does not agree with the call. It is due as before."""
    wanted = pb.DisputeReason.Value(f"DISPUTE_REASON_{reason.name}")
    with connect(target, principal=principal) as client:
        call = client.dispute_call(full_account_name(account), number, wanted, why)
    _answer(call, as_json=json)


@app.command(epilog=examples("crossmargin calls settle summit-directional/core 1"))
def settle(
    account: AccountArgument,
    number: NumberArgument,
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Recognise at once what is in the ledger. Every house run does so too; only what was booked meets a call."""
    with connect(target, principal=principal) as client:
        call = client.settle_call(full_account_name(account), number)
    _answer(call, as_json=json)


@app.command(
    epilog=examples(
        'crossmargin calls waive summit-directional/core 1 --why "positions are transferred out today" --as alice',
        'crossmargin calls waive summit-directional/core 1 --why "positions are transferred out today" --confirm 0f3a5b7c9d1e2f40 --as bob',
    )
)
def waive(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    number: NumberArgument,
    why: WhyOption,
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Let a call go unmet. It takes two persons."""
    with connect(target, principal=principal) as client:
        done = client.waive_call(full_account_name(account), number, why, confirms=confirm)
    _answer_two(done, as_json=json)


@app.command(epilog=examples('crossmargin calls escalate summit-directional/core 1 --why "cannot be reached" --as alice'))
def escalate(  # noqa: PLR0917 - typer reads options from the signature
    account: AccountArgument,
    number: NumberArgument,
    why: WhyOption,
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Hand a call to the liquidation authority before it is overdue. It takes two persons."""
    with connect(target, principal=principal) as client:
        done = client.escalate_call(full_account_name(account), number, why, confirms=confirm)
    _answer_two(done, as_json=json)


@app.command(epilog=examples("crossmargin calls watch summit-directional/core", "crossmargin calls watch summit-directional/core --json"))
def watch(
    account: AccountArgument,
    after: Annotated[int, typer.Option("--after", min=0, help="Number of the last notice that is known.")] = 0,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """What happens to the calls of an account, as it happens. Ctrl-C ends it."""
    with connect(target) as client:
        for notice in client.watch_call_notices(full_account_name(account), after_seq=after):
            if json:
                print_json_line(to_json(notice))
            else:
                print(notice_line(notice), flush=True)


@app.command(
    epilog=examples(
        "crossmargin calls terms summit-directional/core",
    )
)
def terms(account: AccountArgument, json: JsonOption = False, target: TargetOption = DEFAULT_TARGET) -> None:
    """What is agreed about margin calls on an account."""
    with connect(target) as client:
        found = client.get_call_terms(full_account_name(account))
    if json:
        print_json(to_json(found))
        return
    typer.echo(terms_sentence(found))


@app.command(
    "set-terms",
    epilog=examples(
        "crossmargin calls set-terms summit-directional --minimum-transfer 100000 --rounding 10000 --cut-off 14:00 --due-days 1 "
        "--due-time 12:00 --business-days --calendar target --as alice",
    ),
)
def set_terms(  # noqa: PLR0917 - typer reads options from the signature
    scope: Annotated[str, typer.Argument(metavar="CLIENT|ACCOUNT", help="CLIENT for all of its accounts, or CLIENT/ACCOUNT.")],
    cut_off: Annotated[str, typer.Option("--cut-off", metavar="HH:MM", help="Issued then or later, UTC, it counts as issued a day later.")],
    due_days: Annotated[int, typer.Option("--due-days", min=0, max=5, help="Days after the day of issue.")],
    due_time: Annotated[str, typer.Option("--due-time", metavar="HH:MM", help="When it is due on that day, UTC.")],
    threshold: Annotated[str, typer.Option("--threshold", metavar="USD", help="Requirement up to which nothing is asked for.")] = "0",
    minimum: Annotated[str, typer.Option("--minimum-transfer", metavar="USD", help="Below it nothing is asked for.")] = "0",
    rounding: Annotated[str, typer.Option("--rounding", metavar="USD", help="Amounts are rounded up to a multiple of it.")] = "0",
    business_days: Annotated[bool, typer.Option("--business-days", help="Only Monday to Friday are days.")] = False,
    calendar: Annotated[
        Calendar, typer.Option("--calendar", help="Whose holidays are no business days; with --business-days.")
    ] = Calendar.NONE,
    confirm: ConfirmOption = "",
    principal: PrincipalOption = "",
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Set what is agreed about margin calls, as a whole. It takes two persons."""
    wanted = pb.CallTerms(
        scope=full_scope(scope),
        threshold=threshold,
        minimum_transfer_amount=minimum,
        rounding_unit=rounding,
        cut_off=cut_off,
        due_days=due_days,
        due_time=due_time,
        business_days=business_days,
        calendar=calendar.message,
    )
    with connect(target, principal=principal) as client:
        done = client.set_call_terms(wanted, confirms=confirm)
    if json:
        print_json(to_json(done))
    elif done.HasField("pending_request"):
        typer.echo(pending_sentence(done.pending_request))
    else:
        typer.echo(terms_sentence(done.terms))


def _answer(call: pb.MarginCall, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(call))
        return
    typer.echo(call_sentence(call))


def _answer_two(done: pb.WaiveCallResponse | pb.EscalateCallResponse, *, as_json: bool) -> None:
    if as_json:
        print_json(to_json(done))
    elif done.HasField("pending_request"):
        typer.echo(pending_sentence(done.pending_request))
    else:
        typer.echo(call_sentence(done.call))
