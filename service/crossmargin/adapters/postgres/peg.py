"""What is remembered of the stablecoins of a snapshot, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.money import format_decimal
from crossmargin.domain.peg import Peg


def pegs_to_json(pegs: Mapping[InstrumentId, Peg]) -> dict[str, list[str | None]]:
    """Return each peg by the name of its coin: slow price, since when it is depegged, and since when it is back."""
    return {name: [format_decimal(peg.slow_price), _moment(peg.below_since), _moment(peg.back_since)] for name, peg in pegs.items()}


def peg_from_json(known: list[Any]) -> Peg:
    """Return the peg that a list spells."""
    slow_price, *moments = known
    below_since, back_since = (None if moment is None else datetime.fromisoformat(moment) for moment in moments)
    return Peg(Decimal(slow_price), below_since, back_since)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")
