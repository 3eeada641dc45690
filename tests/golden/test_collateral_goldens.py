"""One account for each rule of collateral, with what every holding counts for. Policy AUTO unless the case pledges."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.engine.portfolio_margin import compute_margin
from tests.builders import a_haircut_row, a_portfolio
from tests.charge_books import a_market, issuers, parameters

CASES = [
    pytest.param(case, id=case["name"])
    for case in json.loads((Path(__file__).parent / "cases" / "collateral.json").read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_what_collateral_counts_for(case):
    holdings = {name: tuple(held) if isinstance(held, list) else held for name, held in case["holdings"].items()}
    portfolio = a_portfolio(holdings, policies=dict.fromkeys(case.get("pledged", ()), CollateralPolicy.PLEDGED))
    result = compute_margin(portfolio, a_market(usdc=case.get("usdc_price", 1.0)), _parameters(case))
    lines = {line.instrument_id: line for line in result.equity.lines}
    for name, expected in case["lines"].items():
        found = {field: getattr(lines[name], field) for field in expected if field != "policy"}
        assert found == {field: Decimal(amount) for field, amount in expected.items() if field != "policy"}
        assert lines[name].policy is CollateralPolicy(expected["policy"])
    assert {charge.name: charge.amount for charge in result.requirement.initial_only} == {
        name: Decimal(amount) for name, amount in case.get("initial_only", {}).items()
    }
    assert result.requirement.maintenance_margin == Decimal(case["maintenance_margin"])
    assert result.excess_to_initial == Decimal(case["excess_to_initial"])


def _parameters(case):
    schedule = [a_haircut_row("USD"), *(_row(**row) for row in case["schedule"])]
    return parameters(
        rows=case.get("rows"),
        issuers=issuers(collateral_limit=case["issuer_limit"]) if "issuer_limit" in case else [],
        depeg={"haircut_slope": "4", "ineligible_price": "0.95"},
        beside={
            "haircut_schedule": schedule,
            "circulating_supply": case.get("circulating_supply", []),
            "default_policy": "auto",
        },
    )


def _row(tiers=None, **terms):
    bands = [{"up_to_years": None, "tiers": [{"up_to": end, "haircut_fraction": fraction} for end, fraction in tiers or ()]}]
    return a_haircut_row(**terms, bands=bands if tiers else None)
