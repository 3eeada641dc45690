"""Explain the margin of an account: what is worked out only when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmargin.domain.explanation import MarginExplanation
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.portfolio import Portfolio
from crossmargin.engine.explanation import explain_margin
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class ExplainMargin:
    """Margins what an account holds now and says what the number rests on."""

    read_account: ReadAccount
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> MarginExplanation:
        """Return the margin result with its explanation; raises what EvaluateMargin raises.

        What is beside the margin is said of the levels of the snapshot, doubted or not. While one parameter set takes over from another by
        degrees, the margin is the one that EvaluateMargin returns, and everything beside it is said of the set in force alone: the
        interval, the tail and the distances are those at the ramp's end. The bootstrap is seeded with the hash of the scenarios it draws
        from, so that the same stamp has the same interval.
        """
        portfolio = portfolio_of(await self.read_account(account, min_sequence=min_sequence))
        view = await self.current_market()
        return await self.compute.run(lambda: _explain(portfolio, view))


def _explain(portfolio: Portfolio, view: MarketView) -> MarginExplanation:
    random = np.random.default_rng(int(view.market.scenarios.content_hash, 16))
    explanation = explain_margin(replace(portfolio, house=view.house), view.snapshot, view.market, view.parameters, random=random)
    return replace(explanation, margin=view.margin(portfolio))
