"""Statements of custodians and venues, and where they and the books differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.reconciliation import Agreement, Break, BreakState, HeldThen, HoldingName, ReconciledStatement
from crossmargin.usecases.ports.page import Page


@dataclass(frozen=True, slots=True)
class BreakFilter:
    """Which breaks to list; what is empty or None chooses all, and the scope of whoever asks is all that there is for him."""

    source: str = ""
    statement_id: str = ""
    account: AccountRef | None = None
    state: BreakState | None = None
    scope: ClientScope = WHOLE_HOUSE


class ReconciliationStore(Protocol):
    """Statements as they were reconciled, and their breaks."""

    async def held_at(self, accounts: Sequence[AccountRef], moment: datetime) -> Mapping[AccountRef, HeldThen]:
        """Return what accounts held at a moment, by the entries that had taken effect by then; UNKNOWN_ACCOUNT."""
        ...

    async def last_agreements(self, source: str, before: datetime, names: Sequence[HoldingName]) -> Mapping[HoldingName, Agreement]:
        """Return when earlier statements of a source last agreed about holdings, of those that ever did."""
        ...

    async def find_statement(self, statement_id: str) -> ReconciledStatement | None:
        """Return a statement as it was reconciled; None when it was not. Its lines come in the order of their names."""
        ...

    async def list_breaks(self, chosen: BreakFilter, page: Page) -> Sequence[Break]:
        """Return breaks in the order of their keys, which `page.after` is one of."""
        ...

    async def get_break(self, statement_id: str, account: AccountRef, instrument_id: InstrumentId) -> Break:
        """Return a break with its last note; UNKNOWN_BREAK."""
        ...
