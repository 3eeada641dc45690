"""What sources say of the market."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
)

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, name

quote_source: Final = Table(
    "quote_source",
    metadata,
    name("source"),
    Column("last_sequence", BigInteger, nullable=False),
    Column("missed_count", BigInteger, nullable=False),
    PrimaryKeyConstraint("source"),
    CheckConstraint("last_sequence >= 0 AND missed_count >= 0", name="counts_are_not_negative"),
)

# The last word of every source on every subject; what was said before is in the snapshots it made.
latest_quote: Final = Table(
    "latest_quote",
    metadata,
    name("subject"),
    name("source"),
    Column("value", LEDGER_DECIMAL, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("subject", "source"),
    ForeignKeyConstraint(["source"], ["quote_source.source"], name="latest_quote_source_fk"),
    CheckConstraint("sequence >= 1", name="sequence_is_positive"),
)
