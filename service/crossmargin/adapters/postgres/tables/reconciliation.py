"""Statements of others, and what came of comparing them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
)

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, moment, name

# House-wide: one statement speaks of accounts of many clients. What it says of each is in the tables below.
statement: Final = Table(
    "statement",
    metadata,
    name("statement_id"),
    name("source"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("instruments", ARRAY(Text), nullable=False),
    Column("tolerance", LEDGER_DECIMAL, nullable=False),
    Column("reconciled_by", Text, nullable=False),
    moment("reconciled_at"),
    PrimaryKeyConstraint("statement_id"),
)

statement_account: Final = Table(
    "statement_account",
    metadata,
    name("client_id"),
    name("account_id"),
    name("statement_id"),
    Column("sequence", BigInteger, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "statement_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="statement_account_account_fk"),
    ForeignKeyConstraint(["statement_id"], ["statement.statement_id"], name="statement_account_statement_fk"),
)

comparison: Final = Table(
    "comparison",
    metadata,
    name("client_id"),
    name("account_id"),
    name("statement_id"),
    name("instrument_id"),
    Column("stated", LEDGER_DECIMAL, nullable=True),
    Column("held", LEDGER_DECIMAL, nullable=False),
    Column("kind", Text, nullable=True),
    Column("value", LEDGER_DECIMAL, nullable=True),
    Column("external_reference", Text, nullable=False),
    Column("agreed_as_of", DateTime(timezone=True), nullable=True),
    Column("agreed_sequence", BigInteger, nullable=True),
    PrimaryKeyConstraint("client_id", "account_id", "statement_id", "instrument_id"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "statement_id"],
        ["statement_account.client_id", "statement_account.account_id", "statement_account.statement_id"],
        name="comparison_statement_account_fk",
    ),
    CheckConstraint("kind IN ('missing here', 'missing there', 'quantity differs')", name="kind_is_known"),
    CheckConstraint("(agreed_as_of IS NULL) = (agreed_sequence IS NULL)", name="agreed_is_whole"),
)
Index(
    "comparison_breaks",
    comparison.c.client_id,
    comparison.c.account_id,
    comparison.c.statement_id,
    comparison.c.instrument_id,
    postgresql_where=comparison.c.kind.is_not(None),
)

break_note: Final = Table(
    "break_note",
    metadata,
    name("client_id"),
    name("account_id"),
    name("statement_id"),
    name("instrument_id"),
    Column("number", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("noted_by", Text, nullable=False),
    Column("noted_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "statement_id", "instrument_id", "number"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "statement_id", "instrument_id"],
        ["comparison.client_id", "comparison.account_id", "comparison.statement_id", "comparison.instrument_id"],
        name="break_note_comparison_fk",
    ),
    CheckConstraint("state IN ('explained', 'closed')", name="state_is_known"),
)
