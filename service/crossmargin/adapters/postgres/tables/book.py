"""The ledger: entries, what they say and move, and what accounts hold by them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata, moment, name

account_head: Final = Table(
    "account_head",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("mode", Text, nullable=False),
    # Another one whenever positions were made anew without an entry.
    Column("positions_epoch", Uuid),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="account_head_account_fk"),
    CheckConstraint("sequence >= 0", name="sequence_is_not_negative"),
    CheckConstraint("octet_length(chain_hash) = 32", name="chain_hash_is_sha256"),
    CheckConstraint("status IN ('open', 'closed')", name="status_is_known"),
    CheckConstraint("mode IN ('cross', 'isolated')", name="mode_is_known"),
)

entry: Final = Table(
    "entry",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("effective_at", DateTime(timezone=True), nullable=False),
    Column("reference", Text, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
    moment("recorded_at"),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="entry_account_fk"),
    CheckConstraint("sequence >= 1", name="sequence_is_positive"),
)
Index("entry_withdrawals", entry.c.client_id, entry.c.effective_at, postgresql_where=text("kind = 'withdrawal'"))

# What an entry says beyond its postings, for the few that say anything. The text is what the chain hashes; the two names beside it are
# in the text too, and are here so that no entry can be taken back twice and no event be booked twice.
entry_details: Final = Table(
    "entry_details",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    Column("reverses", BigInteger, nullable=True),
    name("event", nullable=True),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "sequence"], ["entry.client_id", "entry.account_id", "entry.sequence"], name="entry_details_entry_fk"
    ),
    ForeignKeyConstraint(
        ["client_id", "account_id", "reverses"], ["entry.client_id", "entry.account_id", "entry.sequence"], name="entry_details_reverses_fk"
    ),
    CheckConstraint("reverses < sequence", name="reverses_what_came_before"),
    CheckConstraint(
        "reverses IS NOT DISTINCT FROM (details::jsonb ->> 'reverses')::bigint AND event IS NOT DISTINCT FROM (details::jsonb ->> 'event')",
        name="columns_are_those_of_the_text",
    ),
)
for _column in ("reverses", "event"):
    Index(
        f"entry_details_by_{_column}",
        *(entry_details.c[name] for name in ("client_id", "account_id", _column)),
        unique=True,
        postgresql_where=entry_details.c[_column].is_not(None),
    )

# Trades that the street has still to settle: what `entry_details` says of them, kept by a trigger on it.
unsettled_trade: Final = Table(
    "unsettled_trade",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("settle_date", Date, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
)

# No foreign key to instrument: every posting in USD would share-lock the one row of USD, and all writers would meet there.
posting: Final = Table(
    "posting",
    metadata,
    name("client_id"),
    name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("leg", SmallInteger, nullable=False),
    name("ledger_account"),
    name("book_id"),
    name("instrument_id"),
    Column("quantity", LEDGER_DECIMAL, nullable=False),
    Column("cost", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "sequence", "leg"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "sequence"], ["entry.client_id", "entry.account_id", "entry.sequence"], name="posting_entry_fk"
    ),
)

position: Final = Table(
    "position",
    metadata,
    name("client_id"),
    name("account_id"),
    name("book_id"),
    name("instrument_id"),
    Column("quantity", LEDGER_DECIMAL, nullable=False),
    Column("cost", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "book_id", "instrument_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="position_account_fk"),
)
