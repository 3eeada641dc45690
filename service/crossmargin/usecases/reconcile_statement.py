"""Reconcile a statement of a custodian or a venue with the books."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.reconciliation import ReconciledStatement, Statement, compare, with_agreements
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.reconciliation import ReconciliationStore
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class ReconcileStatement:
    """Stores the statement with every comparison; the books are not changed by it."""

    writer: Writer
    store: ReconciliationStore

    async def __call__(self, statement: Statement, *, caller: Caller) -> ReconciledStatement:
        """Return the statement as it was reconciled; one that was reconciled before, as it was then.

        Raises:
            DomainError: UNKNOWN_ACCOUNT, and whatever the write path refuses.
        """
        known = await self.store.find_statement(statement.statement_id)
        if known is not None:
            return known
        held = await self.store.held_at(statement.accounts, statement.as_of)
        comparisons = compare(statement, held)
        parted = [comparison.name for comparison in comparisons if comparison.kind is not None]
        agreements = await self.store.last_agreements(statement.source, statement.as_of, parted)
        sequences = {ref: held[ref].sequence for ref in statement.accounts}
        reconciled = ReconciledStatement(statement, sequences, with_agreements(comparisons, agreements), caller.principal)

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            return Decision(response=statement.statement_id.encode(), records=(reconciled,))

        await self.writer.write(caller.write_request("ReconcileStatement", [statement.statement_id]), decide)
        # Whoever was first wins: two at once may have seen the books at different entries.
        return await self.store.find_statement(statement.statement_id) or reconciled
