"""The tables, as SQLAlchemy Core sees them. The migrations build them; a test holds the two together."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Time,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DOMAIN, JSONB

metadata: Final = MetaData(naming_convention={"pk": "%(table_name)s_pk", "ck": "%(table_name)s_%(constraint_name)s"})

# NaN is above every number in PostgreSQL, so it would pass any check such as quantity > 0 and then turn every sum into NaN.
LEDGER_DECIMAL: Final = DOMAIN(
    "ledger_decimal",
    Numeric(38, 18),
    constraint_name="ledger_decimal_is_finite",
    check=text("VALUE <> 'NaN'::numeric AND VALUE <> 'Infinity'::numeric AND VALUE <> '-Infinity'::numeric"),
    metadata=metadata,
)


def _name(column: str, *, nullable: bool = False) -> Column[str]:
    # Names compare byte by byte, so that rows are locked and listed in the same order whatever the locale of the server.
    return Column(column, Text(collation="C"), nullable=nullable)


def _moment(column: str) -> Column[object]:
    return Column(column, DateTime(timezone=True), nullable=False, server_default=func.now())


client: Final = Table(
    "client",
    metadata,
    _name("client_id"),
    Column("display_name", Text, nullable=False),
    _moment("created_at"),
    PrimaryKeyConstraint("client_id"),
)

account: Final = Table(
    "account",
    metadata,
    _name("client_id"),
    _name("account_id"),
    Column("display_name", Text, nullable=False),
    Column("mode", Text, nullable=False),
    _name("parent_id", nullable=True),
    _moment("created_at"),
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

account_head: Final = Table(
    "account_head",
    metadata,
    _name("client_id"),
    _name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("mode", Text, nullable=False),
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
    _name("client_id"),
    _name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("effective_at", DateTime(timezone=True), nullable=False),
    Column("reference", Text, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("chain_hash", LargeBinary, nullable=False),
    _moment("recorded_at"),
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
    _name("client_id"),
    _name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("details", Text, nullable=False),
    Column("reverses", BigInteger, nullable=True),
    _name("event", nullable=True),
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
    _name("client_id"),
    _name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("settle_date", Date, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
)

# No foreign key to instrument: every posting in USD would share-lock the one row of USD, and all writers would meet there.
posting: Final = Table(
    "posting",
    metadata,
    _name("client_id"),
    _name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    Column("leg", SmallInteger, nullable=False),
    _name("ledger_account"),
    _name("book_id"),
    _name("instrument_id"),
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
    _name("client_id"),
    _name("account_id"),
    _name("book_id"),
    _name("instrument_id"),
    Column("quantity", LEDGER_DECIMAL, nullable=False),
    Column("cost", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "book_id", "instrument_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="position_account_fk"),
)

# What the heads of all accounts were at one moment, signed. House-wide, so no client's key leads it.
anchor: Final = Table(
    "anchor",
    metadata,
    Column("number", BigInteger, nullable=False, autoincrement=False),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Column("account_count", BigInteger, nullable=False),
    Column("entry_count", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("is_checkpoint", Boolean, nullable=False),
    Column("changed", JSONB, nullable=False),
    _name("key_id"),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("number"),
    CheckConstraint("number >= 1", name="number_is_positive"),
)

# House-wide: one statement speaks of accounts of many clients. What it says of each is in the tables below.
statement: Final = Table(
    "statement",
    metadata,
    _name("statement_id"),
    _name("source"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("instruments", ARRAY(Text), nullable=False),
    Column("tolerance", LEDGER_DECIMAL, nullable=False),
    Column("reconciled_by", Text, nullable=False),
    _moment("reconciled_at"),
    PrimaryKeyConstraint("statement_id"),
)

statement_account: Final = Table(
    "statement_account",
    metadata,
    _name("client_id"),
    _name("account_id"),
    _name("statement_id"),
    Column("sequence", BigInteger, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "statement_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="statement_account_account_fk"),
    ForeignKeyConstraint(["statement_id"], ["statement.statement_id"], name="statement_account_statement_fk"),
)

comparison: Final = Table(
    "comparison",
    metadata,
    _name("client_id"),
    _name("account_id"),
    _name("statement_id"),
    _name("instrument_id"),
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
    _name("client_id"),
    _name("account_id"),
    _name("statement_id"),
    _name("instrument_id"),
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

# A null response is seen only by the transaction that reserved the key: it stores one before it commits.
idempotency: Final = Table(
    "idempotency",
    metadata,
    _name("principal"),
    _name("method"),
    _name("key"),
    Column("request_hash", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=True),
    _moment("created_at"),
    PrimaryKeyConstraint("principal", "method", "key"),
)

control: Final = Table(
    "control",
    metadata,
    _name("scope"),
    Column("is_halted", Boolean, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("changed_by", Text, nullable=False, server_default=""),
    Column("changed_at", DateTime(timezone=True), nullable=True),
    PrimaryKeyConstraint("scope"),
)

# Which of them count at a moment is said by the function reservation_status alone.
reservation: Final = Table(
    "reservation",
    metadata,
    _name("client_id"),
    _name("account_id"),
    Column("sequence", BigInteger, nullable=False),
    _name("book_id"),
    _name("instrument_id"),
    _name("settlement", nullable=True),
    Column("quantity", LEDGER_DECIMAL, nullable=False),
    Column("price", LEDGER_DECIMAL, nullable=False),
    Column("kind", Text, nullable=False),
    Column("lifetime_s", BigInteger, nullable=False),
    Column("reference", Text, nullable=False),
    Column("consideration", LEDGER_DECIMAL, nullable=False),
    _name("paid_in", nullable=True),
    Column("filled", LEDGER_DECIMAL, nullable=False),
    Column("reserved_by", Text, nullable=False),
    Column("reserved_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("state", Text, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "sequence"),
    ForeignKeyConstraint(
        ["client_id", "account_id", "sequence"], ["entry.client_id", "entry.account_id", "entry.sequence"], name="reservation_entry_fk"
    ),
    CheckConstraint("kind IN ('immediate', 'resting')", name="kind_is_known"),
    CheckConstraint("state IN ('active', 'filled', 'released', 'expired')", name="state_is_known"),
    CheckConstraint("state <> 'expired' OR kind = 'immediate'", name="only_immediate_ones_expire"),
    CheckConstraint("filled * quantity >= 0 AND abs(filled) <= abs(quantity)", name="filled_is_part_of_it"),
    CheckConstraint("(state = 'filled') = (filled = quantity)", name="filled_says_so"),
    CheckConstraint("lifetime_s > 0", name="lifetime_is_positive"),
)
Index(
    "reservation_open",
    reservation.c.client_id,
    reservation.c.account_id,
    reservation.c.sequence,
    postgresql_where=reservation.c.state == "active",
)

# An empty account stands for all accounts of the client together.
exposure_limits: Final = Table(
    "exposure_limits",
    metadata,
    _name("client_id"),
    _name("account_id"),
    Column("gross", LEDGER_DECIMAL, nullable=True),
    Column("net", LEDGER_DECIMAL, nullable=True),
    Column("order_notional", LEDGER_DECIMAL, nullable=True),
    Column("group_limits", JSONB, nullable=False),
    Column("set_by", Text, nullable=False),
    _moment("set_at"),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id"], ["client.client_id"], name="exposure_limits_client_fk"),
)

# One row each for what caches compare. The row is locked until commit, so numbers are handed out in the order of commits.
counter: Final = Table(
    "counter",
    metadata,
    _name("name"),
    Column("value", BigInteger, nullable=False),
    PrimaryKeyConstraint("name"),
)

instrument: Final = Table(
    "instrument",
    metadata,
    _name("instrument_id"),
    Column("kind", Text, nullable=False),
    Column("terms", JSONB, nullable=False),
    Column("quantity_places", SmallInteger, nullable=False),
    Column("collateral_class", Text, nullable=True),
    Column("description", Text, nullable=False),
    _moment("created_at"),
    PrimaryKeyConstraint("instrument_id"),
)

collateral_policy: Final = Table(
    "collateral_policy",
    metadata,
    _name("client_id"),
    _name("account_id"),
    _name("instrument_id"),
    Column("policy", Text, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id", "instrument_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="collateral_policy_account_fk"),
    ForeignKeyConstraint(["instrument_id"], ["instrument.instrument_id"], name="collateral_policy_instrument_fk"),
    CheckConstraint("policy IN ('risked', 'pledged', 'auto')", name="policy_is_known"),
)

market_snapshot: Final = Table(
    "market_snapshot",
    metadata,
    _name("snapshot_id"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    Column("stored_order", BigInteger, Identity(always=True), nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("levels", JSONB, nullable=False),
    Column("marks", JSONB, nullable=False),
    Column("level_quality", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("mark_quality", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("pegs", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    PrimaryKeyConstraint("snapshot_id"),
)
Index("market_snapshot_latest", market_snapshot.c.as_of.desc(), market_snapshot.c.stored_order.desc())

quote_source: Final = Table(
    "quote_source",
    metadata,
    _name("source"),
    Column("last_sequence", BigInteger, nullable=False),
    Column("missed_count", BigInteger, nullable=False),
    PrimaryKeyConstraint("source"),
    CheckConstraint("last_sequence >= 0 AND missed_count >= 0", name="counts_are_not_negative"),
)

# The last word of every source on every subject; what was said before is in the snapshots it made.
latest_quote: Final = Table(
    "latest_quote",
    metadata,
    _name("subject"),
    _name("source"),
    Column("value", LEDGER_DECIMAL, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("observed_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("subject", "source"),
    ForeignKeyConstraint(["source"], ["quote_source.source"], name="latest_quote_source_fk"),
    CheckConstraint("sequence >= 1", name="sequence_is_positive"),
)

# One row for each breaker there is, from the start.
breaker: Final = Table(
    "breaker",
    metadata,
    _name("kind"),
    Column("is_tripped", Boolean, nullable=False, server_default=text("false")),
    Column("tripped_at", DateTime(timezone=True), nullable=True),
    Column("cause", Text, nullable=False, server_default=text("''")),
    Column("reset_at", DateTime(timezone=True), nullable=True),
    Column("reset_by", Text, nullable=False, server_default=text("''")),
    Column("note", Text, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("kind"),
    CheckConstraint("kind IN ('calls', 'liquidations', 'concentration')", name="kind_is_known"),
    CheckConstraint("NOT is_tripped OR tripped_at IS NOT NULL", name="trip_has_a_time"),
)

# What was asked for never changes; it ends once. A trigger holds it to that, and a check to two different persons.
pending_request: Final = Table(
    "pending_request",
    metadata,
    _name("pending_id"),
    Column("verb", Text, nullable=False),
    Column("words", Text, nullable=False),
    _name("client_id", nullable=True),
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

factor_history: Final = Table(
    "factor_history",
    metadata,
    _name("factor"),
    Column("date", Date, nullable=False),
    Column("level", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("factor", "date"),
)

# What `factor_history` held after each import: a trigger there writes it, whatever release imports.
factor_level: Final = Table(
    "factor_level",
    metadata,
    _name("factor"),
    Column("date", Date, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("level", LEDGER_DECIMAL, nullable=False),
    PrimaryKeyConstraint("factor", "date", "version"),
)

house_view: Final = Table(
    "house_view",
    metadata,
    Column("recorded_order", BigInteger, Identity(always=True), nullable=False),
    _name("view_id"),
    Column("document", Text, nullable=False),
    PrimaryKeyConstraint("recorded_order"),
)
Index("house_view_by_id", house_view.c.view_id)

# One row, whose number says which lead of the monitors is the latest.
monitor_lead: Final = Table(
    "monitor_lead",
    metadata,
    _name("scope"),
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
    _name("snapshot_id"),
    Column("as_of", DateTime(timezone=True), nullable=False),
    _name("parameter_set_id"),
    Column("parameters_hash", Text, nullable=False),
    Column("scenario_set_hash", Text, nullable=False),
    Column("engine_version", Text, nullable=False),
    Column("ramp", JSONB, nullable=True),
    _name("house_view_id", nullable=True),
    Column("has_change", Boolean, nullable=False),
    Column("is_thinned", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("run"),
)
Index("house_run_to_thin", house_run.c.run, postgresql_where=house_run.c.is_thinned.is_(false()))

# No foreign key to the run: runs are thinned by the thousand, and the key would be looked for in every account.
margin_history: Final = Table(
    "margin_history",
    metadata,
    _name("client_id"),
    _name("account_id"),
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
    _name("client_id"),
    _name("account_id"),
    Column("band", Text, nullable=False),
    Column("is_immediate", Boolean, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("run", BigInteger, nullable=False),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id", "account_id"], ["account.client_id", "account.account_id"], name="account_band_account_fk"),
    CheckConstraint("band IN ('healthy', 'watch', 'at risk', 'margin call', 'liquidation')", name="band_is_known"),
)

_CALL_IS_OPEN: Final = "state IN ('issued', 'acknowledged', 'disputed', 'partially met', 'escalated')"

margin_call: Final = Table(
    "margin_call",
    metadata,
    _name("client_id"),
    _name("account_id"),
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
    _name("snapshot_id"),
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
    _name("client_id"),
    _name("account_id"),
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

_LIQUIDATION_IS_OPEN: Final = "state IN ('approved', 'executing')"

liquidation: Final = Table(
    "liquidation",
    metadata,
    _name("client_id"),
    _name("account_id"),
    _name("liquidation_id"),
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
    _name("client_id"),
    _name("account_id"),
    _name("liquidation_id"),
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

call_agreement: Final = Table(
    "call_agreement",
    metadata,
    _name("client_id"),
    _name("account_id"),
    Column("threshold", LEDGER_DECIMAL, nullable=False),
    Column("minimum_transfer_amount", LEDGER_DECIMAL, nullable=False),
    Column("rounding_unit", LEDGER_DECIMAL, nullable=False),
    Column("cut_off", Time, nullable=False),
    Column("due_days", SmallInteger, nullable=False),
    Column("due_time", Time, nullable=False),
    Column("on_business_days", Boolean, nullable=False),
    Column("set_by", Text, nullable=False),
    _moment("set_at"),
    PrimaryKeyConstraint("client_id", "account_id"),
    ForeignKeyConstraint(["client_id"], ["client.client_id"], name="call_agreement_client_fk"),
)

scenario_set: Final = Table(
    "scenario_set",
    metadata,
    _name("content_hash"),
    Column("history_version", BigInteger, nullable=False),
    _name("parameter_set_id"),
    Column("factors", ARRAY(Text), nullable=False),
    PrimaryKeyConstraint("content_hash"),
)

risk_parameters: Final = Table(
    "risk_parameters",
    metadata,
    _name("set_id"),
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

schema_compatibility: Final = Table(
    "schema_compatibility",
    metadata,
    _name("scope"),
    Column("minimum_revision", Text, nullable=False),
    PrimaryKeyConstraint("scope"),
    CheckConstraint("scope = 'schema'", name="is_one_row"),
)

# Who was turned away, and who looked at what is not his own. A trigger keeps it from being changed.
audit_event: Final = Table(
    "audit_event",
    metadata,
    Column("number", BigInteger, Identity(always=True), nullable=False),
    Column("happened_at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Column("kind", Text, nullable=False),
    _name("principal"),
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
