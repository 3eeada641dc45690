"""A market in which every charge can be followed by hand: ten equal scenarios, one tail of a fifth, one account class."""

from __future__ import annotations

from crossmargin.engine.revaluation.valuation import BasisKind
from tests.builders import (
    Revalued,
    a_haircut_row,
    a_revalued_market,
    cash,
    charges_document,
    coin,
    fx_forward,
    perpetual,
    risk_parameters,
    risk_parameters_document,
    stablecoin,
)

FALL = [-30.0, -30.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
"""Profit of one BTC of 100 dollars: a long loses 30 in its tail, a short 7.5."""
SLIP = [-0.02, -0.02, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01]
"""Profit of one stablecoin."""


def a_market(*, usdc: float = 1.0):
    """BTC in every form that the basis charge tells apart, an option that never loses, stablecoins, XRP and a currency forward."""
    return a_revalued_market(
        Revalued(coin("BTC"), 100.0, {"BTC": FALL}),
        Revalued(perpetual("PERP"), 100.0, {"BTC": FALL}, basis=BasisKind.PERPETUAL),
        Revalued(perpetual("FUTURE"), 100.0, {"BTC": FALL}, basis=BasisKind.DATED),
        Revalued(perpetual("FUTURE-WITH-CARRY"), 100.0, {"BTC": FALL}),
        Revalued(
            perpetual("PERP-USDC", settlement="USDC"),
            100.0,
            {"BTC": FALL, "USDC": [100 * move for move in SLIP]},
            exposure={"BTC": 100.0, "USDC": 100.0},
            basis=BasisKind.PERPETUAL,
        ),
        Revalued(perpetual("CALL"), 0.0, {"BTC": [0.0] * 10}, exposure={"BTC": 0.0}, notional=100.0, is_option=True),
        Revalued(stablecoin("USDC", collateral_class="STABLE"), usdc, {"USDC": SLIP}),
        Revalued(stablecoin("RLUSD", collateral_class="STABLE"), 1.0, {"RLUSD": SLIP}, issuer_pnl=[{"RLUSD": -0.12}]),
        Revalued(coin("XRP", collateral_class="ALT"), 2.0, {"XRP": [0.01 * move for move in FALL]}, issuer_pnl=[{"XRP": -1.0}]),
        Revalued(cash("EUR", collateral_class="G10-CASH"), 1.1, {"EURUSD": SLIP}, translation_days=2.5),
        Revalued(fx_forward("FORWARD"), 0.05, {"EURUSD": SLIP}, residual_years=1.0, notional=1.1),
        Revalued(fx_forward("FORWARD-2"), 0.05, {"EURUSD": SLIP}, residual_years=1.0, notional=1.1),
        groups=dict.fromkeys(("BTC", "RLUSD", "USDC", "XRP"), "CRYPTO") | {"EURUSD": "FX"},
    )


def parameters(*, rows=None, beside=None, **charges):
    """Parameters under which an account needs what its groups need in the tail of a fifth, plus the charges given.

    `beside` are keys of the document beside its charges.
    """
    groups = [_with_its_price(group) for group in risk_parameters_document()["offset_groups"]]
    document = {
        "tail_fraction": "0.2",
        "offset_groups": groups,
        "offset_within_class": "0",
        "offset_across_classes": "0",
        "charges": charges_document(groups, rows=rows, **charges),
        "haircut_schedule": [
            a_haircut_row("USD"),
            a_haircut_row("BTC"),
            a_haircut_row("STABLE", residual="0.02", flat="0.02"),
            a_haircut_row("ALT", residual="0.05", flat="0.35"),
        ],
    }
    return risk_parameters(**document | (beside or {}))


def issuers(xrp="-0.5", rlusd="-0.12", *, is_own_issue=False, collateral_limit=None):
    """The issuer group of the market above. Its profits are spelled out there, so the moves only say which groups are in it."""
    moves = {"spot:XRP": xrp, "spot:RLUSD": rlusd}
    return [{"issuer_id": "RIPPLE", "is_own_issue": is_own_issue, "moves": moves, "collateral_limit": collateral_limit}]


def _with_its_price(group):
    return group if group["curves"] or group["group_id"] == "UST" else group | {"curves": [f"spot:{group['group_id']}"]}
