"""Snapshots of the market, and its history."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, name

market_snapshot: Final = Table(
    "market_snapshot",
    metadata,
    name("snapshot_id"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("stored_order", BigInteger, Identity(always=True), nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("levels", JSONB, nullable=False),
    Column("marks", JSONB, nullable=False),
    Column("level_quality", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("mark_quality", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("pegs", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    PrimaryKeyConstraint("snapshot_id"),
)
Index("market_snapshot_latest", market_snapshot.c.as_of.desc(), market_snapshot.c.stored_order.desc())

factor_history: Final = Table(
    "factor_history",
    metadata,
    name("factor"),
    Column("date", Date, nullable=False),
    Column("level", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("factor", "date"),
)

# What `factor_history` held after each import: a trigger there writes it, whatever release imports.
factor_level: Final = Table(
    "factor_level",
    metadata,
    name("factor"),
    Column("date", Date, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("level", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("factor", "date", "version"),
)
