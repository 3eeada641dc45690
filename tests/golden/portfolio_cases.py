"""A golden portfolio as the engine is asked about it, and where its figures are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from crossmargin.domain.account import AccountMode
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from tests.builders import ACCOUNT, a_portfolio
from tests.golden.portfolio_market import golden_market, golden_parameters
from tests.golden.portfolios import Golden

CASES_FILE: Final = Path(__file__).parent / "cases" / "portfolios.json"


class Given(NamedTuple):
    """What margin is computed from."""

    portfolio: Portfolio
    market: RevaluedMarket
    parameters: RiskParameters


def given(golden: Golden) -> Given:
    parameters, market = _revalued(json.dumps([golden.changes, golden.levels, golden.marks, golden.pegs]))
    policies = dict.fromkeys(golden.held, CollateralPolicy.RISKED)
    policies |= dict.fromkeys(golden.pledged, CollateralPolicy.PLEDGED) | dict.fromkeys(golden.auto, CollateralPolicy.AUTO)
    mode = AccountMode.ISOLATED if golden.is_isolated else AccountMode.CROSS
    return Given(a_portfolio(golden.held, policies=policies, mode=mode, house=_house(golden.house)), market, parameters)


def _house(units: Mapping[str, Mapping[str, int]]) -> HouseView:
    known = {kind: {InstrumentId(name): Decimal(held) for name, held in names.items()} for kind, names in units.items()}
    owned, isolated = ({ACCOUNT.client_id: known[kind]} if kind in known else {} for kind in ("owned", "owned_isolated"))
    return HouseView(held=known.get("held", {}), owned=owned, owner_liquidity={}, owned_isolated=isolated) if known else NO_HOUSE


@cache
def _revalued(differences: str) -> tuple[RiskParameters, RevaluedMarket]:
    """Most portfolios share one market."""
    changes, levels, marks, pegs = json.loads(differences)
    parameters = golden_parameters(**changes)
    return parameters, golden_market(parameters, levels=levels, marks=marks, pegs=pegs)
