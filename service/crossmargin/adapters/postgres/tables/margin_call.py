"""Margin calls, what happens to them, and what was agreed about them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Time,
    text,
)

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, moment, name

_CALL_IS_OPEN: Final = "state IN ('issued', 'acknowledged', 'disputed', 'partially met', 'escalated')"

margin_call: Final = Table(
    "margin_call",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("amount", LEDGER_DECIMAL, nullable=False),
    Column("met", LEDGER_DECIMAL, nullable=False),
    Column("is_provisional", Boolean, nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("recognised_to", BigInteger, nullable=False),
    name("snapshot_id"),
    Column("utilization", Numeric, nullable=True),
    Column("last_notice", BigInteger, nullable=False),
    Column("closed_at", DateTime(timezone=True), nullable=True),
    PrimaryKeyConstraint("client_id", "account_id", "number"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="margin_call_account_fk"),
    CheckConstraint(
        "state IN ('issued', 'acknowledged', 'disputed', 'partially met', 'escalated', 'met', 'waived', 'rescinded')", name="state_is_known"
    ),
    CheckConstraint("trigger IN ('band', 'schedule')", name="trigger_is_known"),
    CheckConstraint("amount > 0 AND met >= 0", name="asks_for_something"),
    CheckConstraint(f"({_CALL_IS_OPEN}) = (closed_at IS NULL)", name="closed_has_a_time"),
)

# Whatever two leaders believe, an account has one open call.
Index("margin_call_one_open", margin_call.c.client_id, margin_call.c.account_id, unique=True, postgresql_where=text(_CALL_IS_OPEN))

call_notice: Final = Table(
    "call_notice",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("call_number", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("noticed_at", DateTime(timezone=True), nullable=False),
    Column("noticed_by", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("amount", LEDGER_DECIMAL, nullable=False),
    Column("met", LEDGER_DECIMAL, nullable=False),
    Column("due_at", DateTime(timezone=True), nullable=False),
    Column("reason", Text, nullable=False),
    Column("words", Text, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "call_number"],
        ["margin_call.client_id", "margin_call.account_id", "margin_call.number"],
        name="call_notice_call_fk",
    ),
    CheckConstraint("sequence >= 1", name="sequence_is_positive"),
)

call_agreement: Final = Table(
    "call_agreement",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("threshold", LEDGER_DECIMAL, nullable=False),
    Column("minimum_transfer_amount", LEDGER_DECIMAL, nullable=False),
    Column("rounding_unit", LEDGER_DECIMAL, nullable=False),
    Column("cut_off", Time, nullable=False),
    Column("due_days", SmallInteger, nullable=False),
    Column("due_time", Time, nullable=False),
    Column("on_business_days", Boolean, nullable=False),
    Column("calendar", Text, nullable=False, server_default=text("'weekends'")),
    Column("set_by", Text, nullable=False),
    moment("set_at"),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id"], ["client.client_id"], name="call_agreement_client_fk"),
)
