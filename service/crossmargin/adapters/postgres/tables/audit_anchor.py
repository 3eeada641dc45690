"""What the heads of all accounts were at a moment, signed."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossmargin.adapters.postgres.tables.base import metadata, name

# What the heads of all accounts were at one moment, signed. House-wide, so no client's key leads it.
anchor: Final = Table(
    "anchor",
    metadata,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Column("account_count", BigInteger, nullable=False),
    Column("entry_count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("is_checkpoint", Boolean, nullable=False),
    Column("changed", JSONB, nullable=False),
    name("key_id"),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number"),
    CheckConstraint("number >= 1", name="number_is_positive"),
)
