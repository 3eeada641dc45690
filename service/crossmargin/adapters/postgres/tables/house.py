"""The margin of the whole house: who computes it, what was found, and the bands that follow."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, name

house_view: Final = Table(
    "house_view",
    metadata,
    Column("recorded_order", BigInteger, Identity(always=True), nullable=False),
    name("view_id"),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("recorded_order"),
)
Index("house_view_by_id", house_view.c.view_id)

# One row, whose number says which lead of the monitors is the latest.
monitor_lead: Final = Table(
    "monitor_lead",
    metadata,
    name("scope"),
    Column("epoch", BigInteger, nullable=False),
    Column("led_since", DateTime(timezone=True), nullable=True),
    PrimaryKeyConstraint("scope"),
    CheckConstraint("scope = 'monitor'", name="is_one_row"),
)

house_run: Final = Table(
    "house_run",
    metadata,
    Column("run", BigInteger, Identity(always=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    name("snapshot_id"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    name("parameter_set_id"),
    Column("parameters_hash", Text, nullable=False),
    Column("scenario_set_hash", Text, nullable=False),
    Column("engine_version", Text, nullable=False),
    Column("ramp", JSONB, nullable=True),
    name("house_view_id", nullable=True),
    Column("has_change", Boolean, nullable=False),
    Column("is_thinned", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("run"),
)
Index("house_run_to_thin", house_run.c.run, postgresql_where=house_run.c.is_thinned.is_(false()))

# No foreign key to the run: runs are thinned by the thousand, and the key would be looked for in every account.
margin_history: Final = Table(
    "margin_history",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("run", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("methodology", Text, nullable=False),
    Column("utilization", Numeric, nullable=True),
    Column("equity", LEDGER_DECIMAL, nullable=False),
    Column("maintenance_margin", LEDGER_DECIMAL, nullable=False),
    Column("initial_margin", LEDGER_DECIMAL, nullable=False),
    Column("plain_band", Text, nullable=False),
    Column("band", Text, nullable=False),
    Column("band_before", Text, nullable=True),
    Column("is_immediate", Boolean, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "run"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="margin_history_account_fk"),
)

account_band: Final = Table(
    "account_band",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("band", Text, nullable=False),
    Column("is_immediate", Boolean, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("run", BigInteger, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="account_band_account_fk"),
    CheckConstraint("band IN ('healthy', 'watch', 'at risk', 'margin call', 'liquidation')", name="band_is_known"),
)
