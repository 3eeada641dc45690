"""Trades, instruments and names built from native values: exact numbers, and times that have a zone."""

from crossmargin_client.values.account import (
    EXPECTED_SHORTFALL,
    RATIO,
    SPAN_GRID,
    STANDARD_SCHEDULE,
    TIMS_GRID,
    account_name,
    exposure_limits,
)
from crossmargin_client.values.assets import cash, crypto_asset, stablecoin
from crossmargin_client.values.book import trade
from crossmargin_client.values.collateral import AUTO, PLEDGED, RISKED, inventory_item
from crossmargin_client.values.exact import Exact, decimal_of, exact_text, optional_text
from crossmargin_client.values.futures import INVERSE, LINEAR, bond_future, dated_future, perpetual
from crossmargin_client.values.fx import fx_forward, non_deliverable_forward
from crossmargin_client.values.market import quote
from crossmargin_client.values.options import CALL, CASH_PAID, COIN_SETTLED, MARGINED, PUT, american_option, european_option, fx_option
from crossmargin_client.values.rates import (
    ACT_360,
    ACT_365F,
    ACT_ACT_ICMA,
    LONDON,
    MODIFIED_FOLLOWING,
    TARGET,
    THIRTY_360,
    TOKYO,
    UNADJUSTED,
    US_GOVERNMENT_BONDS,
    WEEKENDS,
    bill,
    cash_flows,
    fixed_rate_bond,
    floating_rate_note,
    interest_rate_swap,
)
from crossmargin_client.values.reconciliation import statement_line
from crossmargin_client.values.reservation import IMMEDIATE, RESTING, order
from crossmargin_client.values.stress import ad_hoc_scenario, stress_shock
from crossmargin_client.values.time import date_of, moment_of, optional_date, optional_timestamp, timestamp_of

__all__ = [
    "ACT_360",
    "ACT_365F",
    "ACT_ACT_ICMA",
    "AUTO",
    "CALL",
    "CASH_PAID",
    "COIN_SETTLED",
    "EXPECTED_SHORTFALL",
    "IMMEDIATE",
    "INVERSE",
    "LINEAR",
    "LONDON",
    "MARGINED",
    "MODIFIED_FOLLOWING",
    "PLEDGED",
    "PUT",
    "RATIO",
    "RESTING",
    "RISKED",
    "SPAN_GRID",
    "STANDARD_SCHEDULE",
    "TARGET",
    "THIRTY_360",
    "TIMS_GRID",
    "TOKYO",
    "UNADJUSTED",
    "US_GOVERNMENT_BONDS",
    "WEEKENDS",
    "Exact",
    "account_name",
    "ad_hoc_scenario",
    "american_option",
    "bill",
    "bond_future",
    "cash",
    "cash_flows",
    "crypto_asset",
    "date_of",
    "dated_future",
    "decimal_of",
    "european_option",
    "exact_text",
    "exposure_limits",
    "fixed_rate_bond",
    "floating_rate_note",
    "fx_forward",
    "fx_option",
    "interest_rate_swap",
    "inventory_item",
    "moment_of",
    "non_deliverable_forward",
    "optional_date",
    "optional_text",
    "optional_timestamp",
    "order",
    "perpetual",
    "quote",
    "stablecoin",
    "statement_line",
    "stress_shock",
    "timestamp_of",
    "trade",
]
