"""A golden portfolio as the engine is asked about it, and where its figures are kept."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.builders import a_portfolio
from tests.golden.portfolio_market import golden_market, golden_parameters
from tests.golden.portfolios import Golden

CASES_FILE: Final = Path(__file__).parent / "cases" / "portfolios.json"


class Given(NamedTuple):
    """What margin is computed from."""

    portfolio: Portfolio
    market: RevaluedMarket
    parameters: RiskParameters


def given(golden: Golden) -> Given:
    parameters, market = _revalued(json.dumps([golden.changes, golden.levels, golden.marks]))
    policies = {name: CollateralPolicy.PLEDGED if name in golden.pledged else CollateralPolicy.RISKED for name in golden.held}
    mode = AccountMode.ISOLATED if golden.is_isolated else AccountMode.CROSS
    return Given(a_portfolio(golden.held, policies=policies, mode=mode), market, parameters)


@cache
def _revalued(differences: str) -> tuple[RiskParameters, RevaluedMarket]:
    """Most portfolios share one market."""
    changes, levels, marks = json.loads(differences)
    parameters = golden_parameters(**changes)
    return parameters, golden_market(parameters, levels=levels, marks=marks)
