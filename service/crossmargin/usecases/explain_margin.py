"""Explain the margin of an account: what is worked out only when somebody asks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.domain.explanation import MarginExplanation
from crossmargin.domain.identifiers import AccountRef
from crossmargin.engine.explanation import explain_margin
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports import ComputePool
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class ExplainMargin:
    """Margins what an account holds now and says what the number rests on."""

    read_account: ReadAccount
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> MarginExplanation:
        """Return the margin result with its explanation; raises what EvaluateMargin raises.

        The bootstrap is seeded with the hash of the scenarios it draws from, so that the same stamp has the same interval.
        """
        portfolio = portfolio_of(await self.read_account(account, min_sequence=min_sequence))
        view = await self.current_market()
        random = np.random.default_rng(int(view.market.scenarios.content_hash, 16))
        return await self.compute.run(lambda: explain_margin(portfolio, view.snapshot, view.market, view.parameters, random=random))
