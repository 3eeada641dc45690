"""Margin that is held for orders."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, name

# Which of them count at a moment is said by the function reservation_status alone.
reservation: Final = Table(
    "reservation",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    name("book_id"),
    name("instrument_id"),
    name("settlement", nullable=True),
    Column("quantity", LEDGER_DECIMAL, nullable=False),
    Column("price", LEDGER_DECIMAL, nullable=False),
    Column("kind", Text, nullable=False),
    Column("lifetime_s", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("consideration", LEDGER_DECIMAL, nullable=False),
    name("paid_in", nullable=True),
    Column("filled", LEDGER_DECIMAL, nullable=False),
    Column("reserved_by", Text, nullable=False),
    Column("reserved_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "sequence"], ["entry.client_id", "entry.account_id", "entry.sequence"], name="reservation_entry_fk"
    ),
    CheckConstraint("kind IN ('immediate', 'resting')", name="kind_is_known"),
    CheckConstraint("state IN ('active', 'filled', 'released', 'expired')", name="state_is_known"),
    CheckConstraint("state <> 'expired' OR kind = 'immediate'", name="only_immediate_ones_expire"),
    CheckConstraint("filled * quantity >= 0 AND abs(filled) <= abs(quantity)", name="filled_is_part_of_it"),
    CheckConstraint("(state = 'filled') = (filled = quantity)", name="filled_says_so"),
    CheckConstraint("lifetime_s > 0", name="lifetime_is_positive"),
)
Index(
    "reservation_open",
    reservation.c.client_id,
    reservation.c.account_id,
    reservation.c.sequence,
    postgresql_where=reservation.c.state == "active",
)
