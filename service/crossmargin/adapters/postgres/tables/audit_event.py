"""Who was turned away, and who looked at what is not his own."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from crossmargin.adapters.postgres.tables.base import metadata, name

# Who was turned away, and who looked at what is not his own. A trigger keeps it from being changed.
audit_event: Final = Table(
    "audit_event",
    metadata,
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("kind", Text, nullable=False),
    name("principal"),
    Column("roles", ARRAY(Text), nullable=False),
    Column("method", Text, nullable=False),
    Column("clients", ARRAY(Text), nullable=False),
    Column("reason", Text, nullable=False),
    Column("workload", Text, nullable=False),
    Column("token", Text, nullable=False),
    PrimaryKeyConstraint("number"),
    CheckConstraint("kind IN ('denied', 'privileged_call')", name="kind_is_known"),
)
Index("audit_event_by_principal", audit_event.c.principal, audit_event.c.number)
Index("audit_event_by_time", audit_event.c.happened_at)
