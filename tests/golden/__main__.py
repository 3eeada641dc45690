"""Write what every golden portfolio needs: `python -m tests.golden`.

The figures come from the slow model, in exact fractions, and never from the engine's own margin; the engine is only asked what one unit of
each instrument is worth and gains, which is proved elsewhere. Read the difference before committing it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from fractions import Fraction

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.golden.portfolio_cases import CASES_FILE, Given, given
from tests.golden.portfolios import GOLDENS
from tests.reference.slow_inputs import slow_holding, slow_house, slow_model
from tests.reference.slow_margin import SlowHolding, SlowResult, slow_margin

PLACES = 6
WORST = 3


def main() -> int:
    argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__).parse_args()
    cases = {golden.name: {"intent": golden.intent} | _expected(given(golden)) for golden in GOLDENS}
    CASES_FILE.write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {len(cases)} portfolios to {CASES_FILE}")
    return 0


def _expected(case: Given) -> dict[str, object]:
    model = slow_model(case.market, case.parameters, case.portfolio.mode)
    holdings = {str(held.instrument_id): slow_holding(case.portfolio, held.instrument_id) for held in case.portfolio.holdings}
    slow = slow_margin(model, holdings, slow_house(case.portfolio))
    maintenance = slow.charges.maintenance
    return (
        {
            "value_in_equity": _figures(slow.value_in_equity),
            "haircut": _figures(slow.haircut),
            "over_limit": _figures(slow.over_limit),
        }
        | _chosen(holdings, slow)
        | {
            "equity": _figure(slow.equity),
            "gross": _figure(slow.gross),
            "groups": _figures(slow.group_requirement),
            "classes": _figures(slow.class_requirement),
            "account": _figure(slow.account_requirement),
            "market_requirement": _figure(slow.market),
            "charges": _figures({name: amount for name, amount in slow.charges.lines.items() if amount}),
            "initial_only": _figure(slow.charges.initial_only),
            "maintenance_margin": _figure(maintenance),
            "initial_margin": _figure(Fraction(case.parameters.initial_margin_multiple) * maintenance + slow.charges.initial_only),
            "contributions": _figures(slow.contribution),
            "utilization": _utilization(maintenance, slow.equity),
            "worst_scenarios": _worst(case, slow.account_pnl),
        }
    )


def _chosen(holdings: Mapping[str, SlowHolding], slow: SlowResult) -> dict[str, object]:
    """The share that policy AUTO chose to risk, of what was left to it."""
    chosen = {name: slow.risked[name] for name, held in holdings.items() if held.risked is None}
    return {"risked_fraction": _figures(chosen)} if chosen else {}


def _figures(amounts: Mapping[str, Fraction]) -> dict[str, float]:
    return {name: _figure(amount) for name, amount in sorted(amounts.items())}


def _figure(amount: Fraction) -> float:
    return round(float(amount), PLACES) + 0.0


def _utilization(maintenance: Fraction, equity: Fraction) -> float | None:
    """Maintenance margin over equity; 0 without risk, None when equity does not stand behind it."""
    if equity < 0 or (maintenance and not equity):
        return None
    return _figure(maintenance / equity) if maintenance else 0.0


def _worst(case: Given, pnl: list[Fraction]) -> dict[str, float]:
    order = sorted(range(len(pnl)), key=lambda scenario: (pnl[scenario], scenario))[:WORST]
    return {case.market.scenarios.names[scenario]: _figure(pnl[scenario]) for scenario in order}


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
