"""Statements and breaks on the wire."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, inverse, moment_from_message, moment_to_message
from crossmargin.api.v1 import reconciliation_service_pb2 as pb
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import EXACT, format_decimal, parse_decimal
from crossmargin.domain.reconciliation import Break, BreakKind, BreakState, ReconciledStatement, Statement, StatementLine
from crossmargin.usecases.ports.reconciliation import BreakFilter

_KINDS: Final = {
    BreakKind.MISSING_HERE: pb.BREAK_KIND_MISSING_HERE,
    BreakKind.MISSING_THERE: pb.BREAK_KIND_MISSING_THERE,
    BreakKind.QUANTITY_DIFFERS: pb.BREAK_KIND_QUANTITY_DIFFERS,
}
_STATES: Final = {
    pb.BREAK_STATE_OPEN: BreakState.OPEN,
    pb.BREAK_STATE_EXPLAINED: BreakState.EXPLAINED,
    pb.BREAK_STATE_CLOSED: BreakState.CLOSED,
}
_STATE_VALUES: Final = inverse(_STATES)


def statement_from_request(request: pb.ReconcileStatementRequest) -> Statement:
    """Return the statement of a request; errors name the line."""
    return Statement(
        source=request.source,
        as_of=moment_from_message(request.as_of_time, what="as_of_time"),
        lines=tuple(_line(line, what=f"lines[{number}]") for number, line in enumerate(request.lines)),
        accounts=tuple(account_ref_from_name(name, what="accounts") for name in request.accounts),
        instruments=tuple(map(InstrumentId, request.instrument_ids)),
        tolerance=parse_decimal(request.tolerance, what="tolerance") if request.tolerance else Decimal(0),
    )


def reconciled_to_response(reconciled: ReconciledStatement) -> pb.ReconcileStatementResponse:
    """Return the response of a reconciled statement: as it was when it was reconciled, without later notes."""
    statement = reconciled.statement
    breaks = [
        Break(statement.statement_id, statement.source, statement.as_of, comparison, reconciled.sequences[comparison.account])
        for comparison in reconciled.comparisons
        if comparison.kind is not None
    ]
    return pb.ReconcileStatementResponse(
        statement_id=statement.statement_id, compared_count=len(reconciled.comparisons), breaks=map(break_to_message, breaks)
    )


def filter_from_request(request: pb.ListBreaksRequest) -> BreakFilter:
    """Return which breaks a request chooses."""
    return BreakFilter(
        source=request.source,
        statement_id=request.statement_id,
        account=account_ref_from_name(request.account, what="account") if request.account else None,
        state=_STATES.get(request.state),
    )


def break_to_message(found: Break) -> pb.Break:
    """Return the message of a break."""
    compared, note = found.comparison, found.note
    message = pb.Break(
        statement_id=found.statement_id,
        source=found.source,
        as_of_time=moment_to_message(found.as_of),
        account=str(compared.account),
        instrument_id=compared.instrument_id,
        kind=_KINDS[compared.kind] if compared.kind is not None else pb.BREAK_KIND_UNSPECIFIED,
        stated_quantity=_decimal(compared.stated),
        held_quantity=format_decimal(compared.held),
        difference=format_decimal(EXACT.subtract(compared.held, compared.stated or Decimal(0))),
        sequence=found.sequence,
        value=_decimal(compared.value),
        external_reference=compared.external_reference,
        state=_STATE_VALUES[found.state],
    )
    if compared.last_agreed is not None:
        message.agreed_sequence = compared.last_agreed.sequence
        message.agreed_time.CopyFrom(moment_to_message(compared.last_agreed.as_of))
    if note is not None:
        message.note, message.noted_by = note.note, note.noted_by
        message.note_time.CopyFrom(moment_to_message(note.noted_at))
    return message


def _line(message: pb.StatementLine, *, what: str) -> StatementLine:
    return StatementLine(
        account=account_ref_from_name(message.account, what=f"{what}.account"),
        instrument_id=InstrumentId(message.instrument_id),
        quantity=parse_decimal(message.quantity, what=f"{what}.quantity"),
        value=parse_decimal(message.value, what=f"{what}.value") if message.value else None,
        external_reference=message.external_reference,
    )


def _decimal(value: Decimal | None) -> str:
    return "" if value is None else format_decimal(value)
