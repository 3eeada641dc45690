"""Clients and accounts, their limits, and the switches that halt them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, moment, name

client: Final = Table(
    "client",
    metadata,
    name("client_id"),
    Column("display_name", Text, nullable=False),
    moment("created_at"),
    PrimaryKeyConstraint("client_id"),
)

account: Final = Table(
    "account",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("display_name", Text, nullable=False),
    Column("mode", Text, nullable=False),
    name("parent_id", nullable=True),
    moment("created_at"),
    Column("methodology", Text, nullable=False, server_default=text("'expected_shortfall'")),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id"], ["client.client_id"], name="account_client_fk"),
    ForeignKeyConstraint(["client_id", "parent_id"], ["account.client_id", "account.account_id"], name="account_parent_fk"),
    CheckConstraint("mode IN ('cross', 'isolated')", name="mode_is_known"),
    CheckConstraint("(mode = 'isolated') = (parent_id IS NOT NULL)", name="isolated_has_parent"),
    CheckConstraint(
        "methodology IN ('expected_shortfall', 'span_grid', 'tims_grid', 'standard_schedule', 'ratio')", name="methodology_is_known"
    ),
)

# An empty account stands for all accounts of the client together.
exposure_limits: Final = Table(
    "exposure_limits",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("gross", LEDGER_DECIMAL, nullable=True),
    Column("net", LEDGER_DECIMAL, nullable=True),
    Column("order_notional", LEDGER_DECIMAL, nullable=True),
    Column("group_limits", JSONB, nullable=False),
    Column("set_by", Text, nullable=False),
    moment("set_at"),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id"], ["client.client_id"], name="exposure_limits_client_fk"),
)

control: Final = Table(
    "control",
    metadata,
    name("scope"),
    Column("is_halted", Boolean, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("changed_by", Text, nullable=False, server_default=""),
    Column("changed_at", DateTime(timezone=True), nullable=True),
    PrimaryKeyConstraint("scope"),
)
