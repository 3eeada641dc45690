"""How what is held counts as collateral."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from crossmargin.adapters.postgres.tables.base import metadata, name

collateral_policy: Final = Table(
    "collateral_policy",
    metadata,
    name("client_id"),
    name("account_id"),
    name("instrument_id"),
    Column("policy", Text, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "instrument_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="collateral_policy_account_fk"),
    ForeignKeyConstraint(["instrument_id"], ["instrument.instrument_id"], name="collateral_policy_instrument_fk"),
    CheckConstraint("policy IN ('risked', 'pledged', 'auto')", name="policy_is_known"),
)
