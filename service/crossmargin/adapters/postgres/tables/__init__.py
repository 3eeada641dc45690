"""The tables, as SQLAlchemy Core sees them. The migrations build them; a test holds the two together."""

from crossmargin.adapters.postgres.tables.account import account, client, control, exposure_limits
from crossmargin.adapters.postgres.tables.audit_anchor import anchor
from crossmargin.adapters.postgres.tables.audit_event import audit_event
from crossmargin.adapters.postgres.tables.base import LEDGER_DECIMAL, metadata
from crossmargin.adapters.postgres.tables.book import account_head, entry, entry_details, position, posting, unsettled_trade
from crossmargin.adapters.postgres.tables.breaker import breaker
from crossmargin.adapters.postgres.tables.collateral import collateral_policy
from crossmargin.adapters.postgres.tables.house import account_band, house_run, house_view, margin_history, monitor_lead
from crossmargin.adapters.postgres.tables.instrument import instrument
from crossmargin.adapters.postgres.tables.liquidation import liquidation, liquidation_step
from crossmargin.adapters.postgres.tables.margin_call import call_agreement, call_notice, margin_call
from crossmargin.adapters.postgres.tables.market import factor_history, factor_level, market_snapshot
from crossmargin.adapters.postgres.tables.pending_request import pending_request
from crossmargin.adapters.postgres.tables.quote import latest_quote, quote_source
from crossmargin.adapters.postgres.tables.reconciliation import break_note, comparison, statement, statement_account
from crossmargin.adapters.postgres.tables.reservation import reservation
from crossmargin.adapters.postgres.tables.risk_parameters import risk_parameters, scenario_set
from crossmargin.adapters.postgres.tables.schema import schema_compatibility
from crossmargin.adapters.postgres.tables.writing import counter, idempotency

__all__ = [
    "LEDGER_DECIMAL",
    "account",
    "account_band",
    "account_head",
    "anchor",
    "audit_event",
    "break_note",
    "breaker",
    "call_agreement",
    "call_notice",
    "client",
    "collateral_policy",
    "comparison",
    "control",
    "counter",
    "entry",
    "entry_details",
    "exposure_limits",
    "factor_history",
    "factor_level",
    "house_run",
    "house_view",
    "idempotency",
    "instrument",
    "latest_quote",
    "liquidation",
    "liquidation_step",
    "margin_call",
    "margin_history",
    "market_snapshot",
    "metadata",
    "monitor_lead",
    "pending_request",
    "position",
    "posting",
    "quote_source",
    "reservation",
    "risk_parameters",
    "scenario_set",
    "schema_compatibility",
    "statement",
    "statement_account",
    "unsettled_trade",
]
