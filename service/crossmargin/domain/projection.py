"""Projections: tables that say at once what the ledger says only when it is added up, and how far they are from it."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.ledger_audit import Finding, FindingKind


@dataclass(frozen=True, slots=True)
class ProjectionDifference:
    """A row of a projection that is not what the ledger says.

    Attributes:
        projection: Its name, such as `position`.
        row: Which row of the account, in words: `book desk, instrument USD`.
        stored: What is stored, in words; None for no row.
        due: What the ledger says; None when there should be no row.
    """

    projection: str
    account: AccountRef
    row: str
    stored: str | None
    due: str | None

    def __str__(self) -> str:
        return f"{self.projection} of {self.account}, {self.row}: stored {self.stored or 'nothing'}, due {self.due or 'nothing'}"

    def finding(self) -> Finding:
        """Return what a check of the ledger says of it."""
        return Finding(FindingKind(f"{self.projection} differs"), str(self), str(self.account))
