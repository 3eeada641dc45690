"""What stops trading by itself."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from crossmargin.adapters.postgres.tables.base import metadata, name

# One row for each breaker there is, from the start.
breaker: Final = Table(
    "breaker",
    metadata,
    name("kind"),
    Column("is_tripped", Boolean, nullable=False, server_default=text("false")),
    Column("tripped_at", DateTime(timezone=True), nullable=True),
    Column("cause", Text, nullable=False, server_default=text("''")),
    Column("reset_at", DateTime(timezone=True), nullable=True),
    Column("reset_by", Text, nullable=False, server_default=text("''")),
    Column("note", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("kind"),
    CheckConstraint("kind IN ('calls', 'liquidations', 'concentration')", name="kind_is_known"),
    CheckConstraint("NOT is_tripped OR tripped_at IS NOT NULL", name="trip_has_a_time"),
)
