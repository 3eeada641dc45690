"""Statements, what they were compared with, and breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from crossmargin.adapters.memory.books import positions_of
from crossmargin.adapters.memory.database import Contents, MemoryDatabase
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.position import net_holdings
from crossmargin.domain.reconciliation import Agreement, Break, BreakNote, HeldThen, HoldingName, ReconciledStatement
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.reconciliation import BreakFilter
from crossmargin.usecases.storage_errors import unknown_account, unknown_break


class MemoryReconciliationStore:
    """See `ReconciliationStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._contents = database.contents

    async def held_at(self, accounts: Sequence[AccountRef], moment: datetime) -> Mapping[AccountRef, HeldThen]:
        """Return what accounts held at a moment; UNKNOWN_ACCOUNT."""
        return {ref: self._held(ref, moment) for ref in accounts}

    async def last_agreements(self, source: str, before: datetime, names: Sequence[HoldingName]) -> Mapping[HoldingName, Agreement]:
        """Return when earlier statements of a source last agreed about holdings, of those that ever did."""
        earlier = sorted(
            (each for each in self._contents.statements.values() if each.statement.source == source and each.statement.as_of < before),
            key=lambda each: each.statement.as_of,
        )
        return {
            comparison.name: Agreement(each.statement.as_of, each.sequences[comparison.account])
            for each in earlier
            for comparison in each.comparisons
            if comparison.kind is None and comparison.name in names
        }

    async def find_statement(self, statement_id: str) -> ReconciledStatement | None:
        """Return a statement as it was reconciled; None when it was not."""
        return self._contents.statements.get(statement_id)

    async def list_breaks(self, chosen: BreakFilter, page: Page) -> Sequence[Break]:
        """Return breaks in the order of their keys."""
        found = sorted(
            (
                each
                for each in self._breaks()
                if (not chosen.source or each.source == chosen.source)
                and chosen.scope.covers(each.comparison.account.client_id)
                and (chosen.account is None or each.comparison.account == chosen.account)
                and (not chosen.statement_id or each.statement_id == chosen.statement_id)
                and (chosen.state is None or each.state is chosen.state)
            ),
            key=lambda each: each.key,
        )
        return [each for each in found if page.after is None or each.key > page.after][: page.size]

    async def get_break(self, statement_id: str, account: AccountRef, instrument_id: InstrumentId) -> Break:
        """Return a break; UNKNOWN_BREAK."""
        for each in self._breaks():
            if (each.statement_id, *each.comparison.name) == (statement_id, account, instrument_id):
                return each
        raise unknown_break(statement_id, account, instrument_id)

    def _held(self, ref: AccountRef, moment: datetime) -> HeldThen:
        if ref not in self._contents.heads:
            raise unknown_account(ref)
        entries = [
            entry for (owner, _), entry in sorted(self._contents.entries.items()) if owner == ref and entry.entry.effective_at <= moment
        ]
        holdings = net_holdings(positions_of(ref, entries))
        last = max((entry.sequence for entry in entries), default=0)
        return HeldThen(last, {holding.instrument_id: holding.quantity for holding in holdings if holding.quantity})

    def _breaks(self) -> Iterator[Break]:
        for statement_id, each in self._contents.statements.items():
            for comparison in each.comparisons:
                if comparison.kind is not None:
                    yield Break(
                        statement_id,
                        each.statement.source,
                        each.statement.as_of,
                        comparison,
                        each.sequences[comparison.account],
                        _last_note(self._contents, statement_id, comparison.name),
                    )


def _last_note(contents: Contents, statement_id: str, name: HoldingName) -> BreakNote | None:
    notes = [
        note for note in contents.break_notes.values() if (note.statement_id, note.account, note.instrument_id) == (statement_id, *name)
    ]
    return max(notes, key=lambda note: note.number, default=None)
