"""What publishers say: quotes of risk factors and instruments, numbered by their source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

from crossmargin.domain.book import check_aware
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.instrument import Instrument, check_trade_price
from crossmargin.domain.market import FactorId, check_level

Subject: TypeAlias = FactorId | InstrumentId
"""What a quote is of: the level of a risk factor, or the mark of an instrument."""

LARGEST_LEAD: Final = timedelta(seconds=1)
"""How far a publisher's clock may be ahead. What is later is refused: made to look fresh, it would never grow old."""
LARGEST_SEQUENCE: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Quote:
    """One value that one source has seen.

    Attributes:
        value: Level of the factor in its own unit, or price of the instrument as it quotes.
        sequence: The source's own number of it, strictly increasing over everything that the source says.
        observed_at: When the source saw it: the time that its age is counted from.
    """

    source: SourceId
    subject: Subject
    value: Decimal
    sequence: int
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far one source has come.

    Attributes:
        last_sequence: The highest sequence that was dealt with, whatever came of it.
        missed_count: Sequences that were jumped over, added up.
    """

    source: SourceId
    last_sequence: int = 0
    missed_count: int = 0

    def after(self, sequences: Iterable[int]) -> SourceProgress:
        """Return the progress once these are dealt with. The first that a source ever sends misses none."""
        last, missed = self.last_sequence, self.missed_count
        for sequence in new_sequences(self.last_sequence, sequences):
            missed += sequence - last - 1 if last else 0
            last = sequence
        return SourceProgress(self.source, last, missed)


def subject_from_text(text: str) -> Subject:
    """Return what a name is of: a risk factor if it has a colon, otherwise an instrument. INVALID_IDENTIFIER if it is neither.

    >>> subject_from_text("BTC-PERP")
    'BTC-PERP'
    """
    return FactorId.parse(text) if ":" in text else InstrumentId(text)


def new_sequences(last: int, sequences: Iterable[int]) -> list[int]:
    """Return those that continue what a source has said, in the order they came; what is not above all before it is a replay.

    >>> new_sequences(7, [7, 8, 8, 11, 10])
    [8, 11]
    """
    found: list[int] = []
    for sequence in sequences:
        if sequence > last:
            found.append(sequence)
            last = sequence
    return found


def check_quote(quote: Quote, *, received_at: datetime, instruments: Mapping[InstrumentId, Instrument]) -> Quote:
    """Return a quote that can be believed to be one; whether it is right is for the snapshot to judge.

    Raises:
        DomainError: INVALID_TIMESTAMP for a time without a zone, or more than a second ahead of us; INVALID_DECIMAL, INVALID_SNAPSHOT or
            INVALID_PRICE for a value that the factor or the instrument cannot have; UNKNOWN_INSTRUMENT.
    """
    check_aware(quote.observed_at, what=f"event time of {quote.subject}")
    if quote.observed_at - received_at > LARGEST_LEAD:
        ahead = (quote.observed_at - received_at).total_seconds()
        raise DomainError(
            Reason.INVALID_TIMESTAMP,
            f"quote {quote.sequence} of {quote.subject} by {quote.source} is {ahead:.3f} s ahead of us; expected at most "
            f"{LARGEST_LEAD.total_seconds():.0f} s: set the publisher's clock",
            source=quote.source,
            subject=quote.subject,
            sequence=quote.sequence,
            ahead_s=f"{ahead:.3f}",
        )
    if isinstance(quote.subject, FactorId):
        check_level(quote.subject, quote.value)
    else:
        check_trade_price(_known(quote.subject, instruments), quote.value)
    return quote


def _known(name: InstrumentId, instruments: Mapping[InstrumentId, Instrument]) -> Instrument:
    if name not in instruments:
        raise DomainError(Reason.UNKNOWN_INSTRUMENT, f"there is no instrument {name}; create it before it is quoted", instrument=name)
    return instruments[name]
