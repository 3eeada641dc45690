"""Statements of others, and where they differ from the books."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from crossmargin.api.v1 import reconciliation_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, pages, whole
from crossmargin_client.declaration import answers, yields
from crossmargin_client.requests import PAGE_SIZE, new_request_id
from crossmargin_client.values import Exact, optional_text, timestamp_of


class ReconciliationMethods:
    """Statements of others, and where they differ from the books."""

    @answers
    def reconcile_statement(
        self,
        source: str,
        as_of: datetime,
        lines: Iterable[reconciliation_service_pb2.StatementLine],
        *,
        accounts: Iterable[str] = (),
        instruments: Iterable[str] = (),
        tolerance: Exact | None = None,
        request_id: str | None = None,
    ) -> One[reconciliation_service_pb2.ReconcileStatementResponse]:
        """Compare a statement with the books and return its breaks; `accounts` are those that it lists nothing of, too."""
        request = reconciliation_service_pb2.ReconcileStatementRequest(
            request_id=request_id or new_request_id(),
            source=source,
            as_of_time=timestamp_of(as_of, field="as_of"),
            lines=lines,
            accounts=accounts,
            instrument_ids=instruments,
            tolerance=optional_text(tolerance, field="tolerance"),
        )
        return ask(lambda to: to.reconciliation.ReconcileStatement, request, whole)

    @yields
    def list_breaks(
        self,
        *,
        source: str = "",
        statement_id: str = "",
        account: str = "",
        state: reconciliation_service_pb2.BreakState.ValueType = reconciliation_service_pb2.BREAK_STATE_UNSPECIFIED,
    ) -> Many[reconciliation_service_pb2.Break]:
        """Yield breaks, oldest statement first; what is left out chooses all."""
        request = reconciliation_service_pb2.ListBreaksRequest(
            source=source, statement_id=statement_id, account=account, state=state, page_size=PAGE_SIZE
        )
        return pages(lambda to: to.reconciliation.ListBreaks, request, lambda page: page.breaks)

    @answers
    def explain_break(
        self, statement_id: str, account: str, instrument_id: str, note: str, *, request_id: str | None = None
    ) -> One[reconciliation_service_pb2.Break]:
        """Say what is behind a break and return it; it stays in the lists."""
        request = reconciliation_service_pb2.ExplainBreakRequest(
            request_id=request_id or new_request_id(), statement_id=statement_id, account=account, instrument_id=instrument_id, note=note
        )
        return ask(lambda to: to.reconciliation.ExplainBreak, request, lambda answer: answer.noted_break)

    @answers
    def close_break(
        self, statement_id: str, account: str, instrument_id: str, note: str, *, request_id: str | None = None
    ) -> One[reconciliation_service_pb2.Break]:
        """Say that a break is settled and return it; it takes no more notes."""
        request = reconciliation_service_pb2.CloseBreakRequest(
            request_id=request_id or new_request_id(), statement_id=statement_id, account=account, instrument_id=instrument_id, note=note
        )
        return ask(lambda to: to.reconciliation.CloseBreak, request, lambda answer: answer.noted_break)
