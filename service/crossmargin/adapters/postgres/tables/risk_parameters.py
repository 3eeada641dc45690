"""Sets of risk parameters, and what is made of them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    func,
    text,
)

from crossmargin.adapters.postgres.tables.base import metadata, name

scenario_set: Final = Table(
    "scenario_set",
    metadata,
    name("content_hash"),
    Column("history_version", BigInteger, nullable=False),
    name("parameter_set_id"),
    Column("factors", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("content_hash"),
)

risk_parameters: Final = Table(
    "risk_parameters",
    metadata,
    name("set_id"),
    Column("stored_order", BigInteger, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="active"),
    Column("proposed_by", Text, nullable=False, server_default="crossmargin"),
    Column("proposed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("approved_by", Text, nullable=True),
    Column("approved_at", DateTime(timezone=True), nullable=True),
    Column("activated_by", Text, nullable=True),
    Column("activated_at", DateTime(timezone=True), nullable=True),
    Column("active_from", DateTime(timezone=True), nullable=True, server_default=text("'0001-01-01 00:00:00+00'::timestamptz")),
    Column("ramp_days", SmallInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("set_id"),
    CheckConstraint("state IN ('proposed', 'approved', 'active', 'retired')", name="state_is_known"),
    CheckConstraint("(state IN ('active', 'retired')) = (active_from IS NOT NULL)", name="active_has_a_time"),
    CheckConstraint("approved_by <> proposed_by", name="four_eyes"),
    CheckConstraint("ramp_days BETWEEN 0 AND 365", name="ramp_is_at_most_a_year"),
)
Index("risk_parameters_stored_order", risk_parameters.c.stored_order, unique=True)
