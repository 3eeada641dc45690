"""What awaits a second person."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from crossmargin.adapters.postgres.tables.base import metadata, name

# What was asked for never changes; it ends once. A trigger holds it to that, and a check to two different persons.
pending_request: Final = Table(
    "pending_request",
    metadata,
    name("pending_id"),
    Column("verb", Text, nullable=False),
    Column("words", Text, nullable=False),
    name("client_id", nullable=True),
    Column("asked_by", Text, nullable=False),
    Column("asked_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False, server_default=text("'awaiting'")),
    Column("ended_by", Text, nullable=False, server_default=text("''")),
    Column("ended_at", DateTime(timezone=True), nullable=True),
    PrimaryKeyConstraint("pending_id"),
    ForeignKeyConstraint(["client_id"], ["client.client_id"], name="pending_request_client_fk"),
    CheckConstraint("state IN ('awaiting', 'confirmed', 'cancelled')", name="state_is_known"),
    CheckConstraint("(state = 'awaiting') = (ended_at IS NULL) AND (ended_at IS NULL) = (ended_by = '')", name="end_has_a_person"),
    CheckConstraint("state <> 'confirmed' OR ended_by <> asked_by", name="four_eyes"),
)
Index("pending_request_in_order", pending_request.c.asked_at, pending_request.c.pending_id)
