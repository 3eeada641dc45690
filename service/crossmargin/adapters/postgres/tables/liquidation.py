"""Liquidations and their steps."""

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
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossmargin.adapters.postgres.tables.base import metadata, name

_LIQUIDATION_IS_OPEN: Final = "state IN ('approved', 'executing')"

liquidation: Final = Table(
    "liquidation",
    metadata,
    name("client_id"),
    name("account_id"),
    name("liquidation_id"),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("confirmed_by", Text, nullable=False),
    Column("approved_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("ended_at", DateTime(timezone=True), nullable=True),
    Column("last_step", BigInteger, nullable=False),
    Column("document", JSONB, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "liquidation_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="liquidation_account_fk"),
    CheckConstraint("state IN ('approved', 'executing', 'done', 'abandoned', 'superseded', 'cured', 'expired')", name="state_is_known"),
    CheckConstraint("asked_by <> confirmed_by", name="takes_two_persons"),
    CheckConstraint(f"({_LIQUIDATION_IS_OPEN}) = (ended_at IS NULL)", name="ended_has_a_time"),
)
Index(
    "liquidation_one_open",
    liquidation.c.client_id,
    liquidation.c.account_id,
    unique=True,
    postgresql_where=text(_LIQUIDATION_IS_OPEN),
)

liquidation_step: Final = Table(
    "liquidation_step",
    metadata,
    name("client_id"),
    name("account_id"),
    name("liquidation_id"),
    Column("number", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("stepped_at", DateTime(timezone=True), nullable=False),
    Column("stepped_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("fill", JSONB, nullable=True),
    PrimaryKeyConstraint("client_id", "account_id", "liquidation_id", "number"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "liquidation_id"],
        ["liquidation.client_id", "liquidation.account_id", "liquidation.liquidation_id"],
        name="liquidation_step_liquidation_fk",
    ),
    CheckConstraint("number >= 1", name="number_is_positive"),
    CheckConstraint("(kind = 'filled') = (fill IS NOT NULL)", name="fills_say_what"),
)
