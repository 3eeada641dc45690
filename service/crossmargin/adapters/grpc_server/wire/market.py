"""Snapshots and blocks of history on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from crossmargin.adapters.grpc_server.wire.values import (
    date_from_message,
    inverse,
    moment_from_message,
    moment_to_message,
    optional_moment_to_message,
)
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin.domain.breaker import Breaker, BreakerKind, paused_by
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, SourceId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.domain.market_gate import Action
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.money import format_decimal, parse_decimal
from crossmargin.domain.peg import Peg
from crossmargin.domain.quote import Quote, subject_from_text
from crossmargin.usecases.publish_quotes import QuoteOutcome, QuoteReceipt, QuoteState, UnreadableQuote

_VERDICTS: Final = {
    Verdict.VALID: pb.VERDICT_VALID,
    Verdict.SUSPECT: pb.VERDICT_SUSPECT,
    Verdict.STALE: pb.VERDICT_STALE,
    Verdict.MISSING: pb.VERDICT_MISSING,
}
_BREAKERS: Final = {
    pb.BREAKER_KIND_CALLS: BreakerKind.CALLS,
    pb.BREAKER_KIND_LIQUIDATIONS: BreakerKind.LIQUIDATIONS,
    pb.BREAKER_KIND_CONCENTRATION: BreakerKind.CONCENTRATION,
}
_BREAKER_VALUES: Final = inverse(_BREAKERS)
_STATES: Final = {
    QuoteState.ACCEPTED: pb.QUOTE_STATE_ACCEPTED,
    QuoteState.REPLAYED: pb.QUOTE_STATE_REPLAYED,
    QuoteState.REFUSED: pb.QUOTE_STATE_REFUSED,
}


def snapshot_from_message(message: pb.MarketSnapshot) -> MarketSnapshot:
    """Return the snapshot of a message; DomainError for a level or mark that cannot be."""
    return MarketSnapshot(
        as_of=moment_from_message(message.as_of_time, what="snapshot.as_of_time"),
        levels={FactorId.parse(name): parse_decimal(level, what=f"level of {name}") for name, level in message.levels.items()},
        marks={InstrumentId(name): parse_decimal(mark, what=f"mark of {name}") for name, mark in message.marks.items()},
    )


def snapshot_to_message(snapshot: MarketSnapshot) -> pb.MarketSnapshot:
    """Return the message of a snapshot."""
    return pb.MarketSnapshot(
        as_of_time=moment_to_message(snapshot.as_of),
        levels={str(factor): format_decimal(level) for factor, level in snapshot.levels.items()},
        marks={name: format_decimal(mark) for name, mark in snapshot.marks.items()},
    )


def found_snapshot_to_message(snapshot: MarketSnapshot) -> pb.GetSnapshotResponse:
    """Return the message of a snapshot that is stored, with its id, the quality of its levels and its pegs."""
    return pb.GetSnapshotResponse(
        snapshot_id=snapshot.snapshot_id,
        snapshot=snapshot_to_message(snapshot),
        level_quality={str(factor): quality_to_message(known) for factor, known in snapshot.level_quality.items()},
        mark_quality={name: quality_to_message(known) for name, known in snapshot.mark_quality.items()},
        pegs={name: _peg_to_message(peg) for name, peg in snapshot.pegs.items()},
    )


def _peg_to_message(peg: Peg) -> pb.Peg:
    return pb.Peg(
        slow_price=format_decimal(peg.slow_price),
        below_since_time=optional_moment_to_message(peg.below_since),
        back_since_time=optional_moment_to_message(peg.back_since),
    )


def quality_to_message(quality: Quality) -> pb.Quality:
    """Return the message of what is known of one level."""
    return pb.Quality(
        verdict=verdict_to_message(quality.verdict),
        observe_time=moment_to_message(quality.observed_at),
        low=format_decimal(quality.low),
        high=format_decimal(quality.high),
        candidate="" if quality.candidate is None else format_decimal(quality.candidate),
        candidate_time=optional_moment_to_message(quality.candidate_at),
        suspect_ticks=quality.ticks,
    )


def verdict_to_message(verdict: Verdict) -> pb.Verdict.ValueType:
    """Return the message value of a verdict."""
    return _VERDICTS[verdict]


def breakers_to_message(breakers: Sequence[Breaker]) -> pb.GetBreakersResponse:
    """Return the message of where the breakers stand, and of what stands still for it."""
    return pb.GetBreakersResponse(
        breakers=map(breaker_to_message, breakers),
        calls_paused=bool(paused_by(breakers, Action.MARGIN_CALL)),
        liquidations_paused=bool(paused_by(breakers, Action.LIQUIDATION)),
    )


def breaker_to_message(breaker: Breaker) -> pb.Breaker:
    """Return the message of where one breaker stands."""
    return pb.Breaker(
        kind=_BREAKER_VALUES[breaker.kind],
        tripped=breaker.is_tripped,
        trip_time=optional_moment_to_message(breaker.tripped_at),
        cause=breaker.cause,
        reset_time=optional_moment_to_message(breaker.reset_at),
        reset_by=breaker.reset_by,
        note=breaker.note,
    )


def breaker_kind_from_message(kind: pb.BreakerKind.ValueType) -> BreakerKind:
    """Return the kind that a message value names."""
    return _BREAKERS[kind]


def quotes_from_message(message: pb.PublishQuotesRequest) -> tuple[SourceId, list[Quote | UnreadableQuote]]:
    """Return the source of a message and its quotes; one that spells nothing is kept with the reason, so that the others go on."""
    source = SourceId(message.source)
    return source, [_quote_from_message(source, quote) for quote in message.quotes]


def receipt_to_message(receipt: QuoteReceipt) -> pb.PublishQuotesResponse:
    """Return the message of what came of a batch of quotes."""
    not_accepted = [outcome for outcome in receipt.outcomes if outcome.state is not QuoteState.ACCEPTED]
    return pb.PublishQuotesResponse(
        source=receipt.progress.source,
        acknowledged_sequence=receipt.progress.last_sequence,
        accepted_count=len(receipt.outcomes) - len(not_accepted),
        outcomes=[_outcome_to_message(outcome) for outcome in not_accepted],
        missed_count=receipt.missed_count,
    )


def _quote_from_message(source: SourceId, message: pb.Quote) -> Quote | UnreadableQuote:
    try:
        return Quote(
            source=source,
            subject=subject_from_text(message.subject),
            value=parse_decimal(message.value, what=f"quote of {message.subject}"),
            sequence=message.sequence,
            observed_at=moment_from_message(message.observe_time, what=f"observe_time of {message.subject}"),
        )
    except DomainError as error:
        return UnreadableQuote(message.sequence, error.with_traceback(None))


def _outcome_to_message(outcome: QuoteOutcome) -> pb.QuoteOutcome:
    error = outcome.error
    return pb.QuoteOutcome(
        sequence=outcome.sequence,
        state=_STATES[outcome.state],
        reason="" if error is None else error.reason.code,
        message="" if error is None else error.message,
    )


def history_from_block(message: pb.ImportHistoryRequest) -> FactorHistory:
    """Return the history in one message; INVALID_HISTORY when a factor comes twice, since one of the two would be lost."""
    dates = tuple(date_from_message(day, what=f"dates[{index}]") for index, day in enumerate(message.dates))
    levels: dict[FactorId, tuple[Decimal | None, ...]] = {}
    for column in message.columns:
        factor = FactorId.parse(column.factor_id)
        if factor in levels:
            raise DomainError(
                Reason.INVALID_HISTORY, f"{factor} has two columns in one message; expected one column for each factor", factor=factor
            )
        levels[factor] = _levels(column.levels, factor)
    return FactorHistory(dates, levels)


def _levels(texts: Sequence[str], factor: FactorId) -> tuple[Decimal | None, ...]:
    what = f"history of {factor}"
    return tuple(parse_decimal(text, what=what) if text else None for text in texts)
