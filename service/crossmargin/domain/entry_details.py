"""What an entry says of itself beyond its postings: which entry it takes back, when it settles, which event it books, who agreed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

from crossmargin.domain.pending_request import Persons


@dataclass(frozen=True, slots=True)
class EntryDetails:
    """Facts of an entry that its postings do not show. Most entries have none.

    Attributes:
        reverses: Sequence of the entry of the same account that this one takes back.
        settle_date: Day on which a trade's legs are exchanged with the street; None for one that settles at once.
        event: Name of a lifecycle event, such as `coupon UST-2030 2026-05-15`. An account books an event of one name once.
        terms: What the event's amounts were worked out from, by name, in the order of the names: rate, price.
        persons: The two who asked for it, where one alone may not (see `Persons`); otherwise None.
    """

    reverses: int | None = None
    settle_date: date | None = None
    event: str = ""
    terms: tuple[tuple[str, str], ...] = ()
    persons: Persons | None = None

    def text(self) -> str:
        """Return the canonical text that is stored and hashed; empty when there is nothing to say.

        >>> EntryDetails(reverses=7).text()
        '{"reverses":7}'
        """
        said: dict[str, object] = {}
        if self.reverses is not None:
            said["reverses"] = self.reverses
        if self.settle_date is not None:
            said["settle_date"] = self.settle_date.isoformat()
        if self.event:
            said["event"] = self.event
        if self.terms:
            said["terms"] = dict(self.terms)
        if self.persons is not None:
            said["persons"] = [self.persons.asked_by, self.persons.confirmed_by]
        return json.dumps(said, sort_keys=True, separators=(",", ":")) if said else ""


NO_DETAILS = EntryDetails()


def parse_details(text: str) -> EntryDetails:
    """Return what a text says; the inverse of `EntryDetails.text`."""
    if not text:
        return NO_DETAILS
    said = json.loads(text)
    settle_date = said.get("settle_date")
    return EntryDetails(
        reverses=said.get("reverses"),
        settle_date=date.fromisoformat(settle_date) if settle_date else None,
        event=said.get("event", ""),
        terms=tuple(sorted(said.get("terms", {}).items())),
        persons=Persons(*said["persons"]) if "persons" in said else None,
    )
