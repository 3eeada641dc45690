"""What the street still owes an account: it counts in margin from the trade on, and cannot leave before it has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from crossmargin.domain.book import Entry
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import EXACT


def owed_by_street(unsettled: Iterable[Entry]) -> Mapping[InstrumentId, Decimal]:
    """Return how much of each instrument unsettled trades are still to bring.

    What other trades are to take is not set against it: the account has to deliver that whether or not the street does.
    """
    owed = dict[InstrumentId, Decimal]()
    for numbered in unsettled:
        for leg in numbered.entry.postings:
            if leg.ledger_account == numbered.entry.account.account_id and leg.quantity > 0:
                owed[leg.instrument_id] = EXACT.add(owed.get(leg.instrument_id, Decimal(0)), leg.quantity)
    return owed
