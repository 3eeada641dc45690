"""Read what an account has bought and not received, beside a decision that is made under the account's lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.unsettled import owed_by_street
from crossmargin.usecases.ports.books import LedgerReader


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What the street owes an account as of a sequence."""

    account: AccountRef
    sequence: int
    owed: Mapping[InstrumentId, Decimal]

    @classmethod
    async def of(cls, ledger: LedgerReader, account: AccountRef) -> Unsettled:
        """Return what is owed now, or a moment later than its sequence; UNKNOWN_ACCOUNT."""
        # The sequence comes first: whatever is booked after it makes the lock's sequence another.
        sequence = await ledger.account_sequence(account)
        return cls(account, sequence, owed_by_street(await ledger.unsettled_trades(account, settle_date=date.max)))

    async def as_of(self, sequence: int, ledger: LedgerReader) -> Unsettled:
        """Return this if it is of the sequence that the lock found, or read again, while nobody can book."""
        return self if self.sequence == sequence else await Unsettled.of(ledger, self.account)

    def __getitem__(self, instrument: InstrumentId) -> Decimal:
        """How much of an instrument is owed."""
        return self.owed.get(instrument, Decimal(0))
