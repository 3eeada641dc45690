"""The hash that chains an entry to all before it: SHA-256 over bytes that no other entry has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol

from crossmargin.domain.money import format_decimal

_WITH_RECORDING: Final = b"2"
"""Format of the hash that covers the time of recording."""


class PostedLeg(Protocol):
    """What the hash of an entry says of one leg: a posting, or a row that is stored for one."""

    @property
    def ledger_account(self) -> str: ...  # noqa: D102 - see `Posting`
    @property
    def book_id(self) -> str: ...  # noqa: D102
    @property
    def instrument_id(self) -> str: ...  # noqa: D102
    @property
    def quantity(self) -> Decimal: ...  # noqa: D102
    @property
    def cost(self) -> Decimal: ...  # noqa: D102


def entry_hash(
    *,
    previous: bytes,
    account: str,
    sequence: int,
    kind: str,
    effective_at: datetime,
    reference: str,
    postings: Iterable[PostedLeg],
    details: str = "",
    recorded_at: datetime | None = None,
) -> bytes:
    """Return the chain hash of an entry: SHA-256 over its canonical bytes and, through `previous`, over all entries before it.

    Takes plain words, so that an auditor can hash what is stored even when it is no longer an entry that could have been booked. Without a
    time of recording it is the hash that entries had before that time was part of it: their chains go on, and stay what they were.
    """
    # Every field is preceded by its length, so that no two different entries have the same bytes. The first format has no number of its
    # own: it begins with a hash of 32 bytes, and every later one with a number of one.
    fields = [] if recorded_at is None else [_WITH_RECORDING, _instant(recorded_at)]
    fields += [
        previous,
        account.encode(),
        str(sequence).encode(),
        kind.encode(),
        _instant(effective_at),
        reference.encode(),
    ]
    for posting in postings:
        fields += [
            posting.ledger_account.encode(),
            posting.book_id.encode(),
            posting.instrument_id.encode(),
            format_decimal(posting.quantity).encode(),
            format_decimal(posting.cost).encode(),
        ]
    # A leg has five fields, so one more than a multiple of five cannot be mistaken for another entry's legs.
    if details:
        fields.append(details.encode())
    return hashlib.sha256(length_prefixed(fields)).digest()


def length_prefixed(fields: Iterable[bytes]) -> bytes:
    """Return the fields one after the other, each behind its length in four bytes, so that no two lists have the same bytes."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def _instant(moment: datetime) -> bytes:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").encode()
