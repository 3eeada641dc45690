"""What is known of the levels of a snapshot, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crossmargin.domain.market_quality import Quality, Verdict, valid_quality
from crossmargin.domain.money import format_decimal


def quality_to_json(known: Mapping[Any, Quality]) -> dict[str, list[Any]]:
    """Return the quality of each level by its name: verdict, when it was seen, the level or its range, and what waits."""
    return {str(name): _to_list(quality) for name, quality in known.items()}


def quality_from_json(known: list[Any]) -> Quality:
    """Return the quality that a list spells."""
    verdict, observed_at, *rest = known
    if verdict == Verdict.VALID.value:
        return valid_quality(Decimal(rest[0]), datetime.fromisoformat(observed_at))
    low, high, candidate, candidate_at, ticks = rest
    return Quality(
        Verdict(verdict),
        datetime.fromisoformat(observed_at),
        Decimal(low),
        Decimal(high),
        None if candidate is None else Decimal(candidate),
        None if candidate_at is None else datetime.fromisoformat(candidate_at),
        ticks,
    )


def _to_list(quality: Quality) -> list[Any]:
    observed_at = _moment(quality.observed_at)
    if quality.verdict is Verdict.VALID:
        return [quality.verdict.value, observed_at, format_decimal(quality.low)]
    return [
        quality.verdict.value,
        observed_at,
        format_decimal(quality.low),
        format_decimal(quality.high),
        None if quality.candidate is None else format_decimal(quality.candidate),
        None if quality.candidate_at is None else _moment(quality.candidate_at),
        quality.ticks,
    ]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
