"""Take quotes from publishers: check each, store the last word of each source, and say what came of every one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, unique

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import FactorId
from crossmargin.domain.quote import Quote, SourceProgress, check_quote, new_sequences
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.quote import QuoteBatch, QuoteMetrics, QuoteStore
from crossmargin.usecases.ports.runtime import Clock


@unique
class QuoteState(Enum):
    """What came of one quote."""

    ACCEPTED = "accepted"
    REPLAYED = "replayed"
    """Its sequence had been dealt with; whatever it says now changes nothing."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class QuoteOutcome:
    """What came of the quote with this sequence; `error` says why it was refused."""

    sequence: int
    state: QuoteState
    error: DomainError | None = None


@dataclass(frozen=True, slots=True)
class UnreadableQuote:
    """A quote that spells no value or names nothing; its sequence counts all the same."""

    sequence: int
    error: DomainError


@dataclass(frozen=True, slots=True)
class QuoteReceipt:
    """The outcomes of one batch, in its order, and how far the source has come: everything up to there is durable."""

    progress: SourceProgress
    missed_count: int
    outcomes: tuple[QuoteOutcome, ...]


@dataclass(frozen=True, slots=True)
class PublishQuotes:
    """One batch of one source. One bad quote is an outcome, never the end of the others."""

    quotes: QuoteStore
    instruments: InstrumentReader
    metrics: QuoteMetrics
    clock: Clock

    async def __call__(self, source: SourceId, batch: Sequence[Quote | UnreadableQuote]) -> QuoteReceipt:
        """Return what came of each quote, once what was accepted is durable. An empty batch asks how far the source has come."""
        if not batch:
            return QuoteReceipt(await self.quotes.progress_of(source), 0, ())
        errors = await self._errors(batch)
        sequences = tuple(item.sequence for item in batch)
        accepted = tuple(
            item
            for item, error, is_first in zip(batch, errors, _are_ascending(sequences), strict=True)
            if error is None and is_first and isinstance(item, Quote)
        )
        before, after = await self.quotes.record_quotes(QuoteBatch(source, sequences, accepted))
        outcomes = _outcomes(before, sequences, errors)
        missed_count = after.missed_count - before.missed_count
        self._count(source, outcomes, missed_count)
        return QuoteReceipt(after, missed_count, outcomes)

    async def _errors(self, batch: Sequence[Quote | UnreadableQuote]) -> list[DomainError | None]:
        names = {item.subject for item in batch if isinstance(item, Quote) and not isinstance(item.subject, FactorId)}
        known = await self.instruments.get_instruments(sorted(names)) if names else {}
        received_at = self.clock.now()
        return [_error_of(item, received_at, known) for item in batch]

    def _count(self, source: SourceId, outcomes: Sequence[QuoteOutcome], missed_count: int) -> None:
        states = [outcome.state for outcome in outcomes]
        self.metrics.quotes_received(
            source,
            accepted=states.count(QuoteState.ACCEPTED),
            replayed=states.count(QuoteState.REPLAYED),
            refused=states.count(QuoteState.REFUSED),
            missed=missed_count,
        )


def _are_ascending(sequences: Sequence[int]) -> list[bool]:
    """Return of each sequence whether it is above all before it in its batch: a number that comes twice is the first one's."""
    highest, found = 0, []
    for sequence in sequences:
        found.append(sequence > highest)
        highest = max(highest, sequence)
    return found


def _error_of(item: Quote | UnreadableQuote, received_at: datetime, known: Mapping[InstrumentId, Instrument]) -> DomainError | None:
    if isinstance(item, UnreadableQuote):
        return item.error
    try:
        check_quote(item, received_at=received_at, instruments=known)
    except DomainError as error:
        return error.with_traceback(None)
    return None


def _outcomes(before: SourceProgress, sequences: Sequence[int], errors: Sequence[DomainError | None]) -> tuple[QuoteOutcome, ...]:
    fresh = iter(new_sequences(before.last_sequence, sequences))
    awaited = next(fresh, None)
    outcomes = []
    for sequence, error in zip(sequences, errors, strict=True):
        if sequence != awaited:
            outcomes.append(QuoteOutcome(sequence, QuoteState.REPLAYED))
            continue
        awaited = next(fresh, None)
        outcomes.append(QuoteOutcome(sequence, QuoteState.REFUSED if error else QuoteState.ACCEPTED, error))
    return tuple(outcomes)
