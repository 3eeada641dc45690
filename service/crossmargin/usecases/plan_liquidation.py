"""Plan how to close out a part of an account."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.liquidation import LiquidationPlan, LiquidationTerms, PlanWish
from crossmargin.domain.margin import Band
from crossmargin.domain.portfolio import Portfolio
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.liquidation_gate import not_short, not_tradable, pause
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.runtime import ComputePool


@dataclass(frozen=True, slots=True)
class GatedPlan:
    """A plan, and whether the account may be liquidated at all.

    Attributes:
        band: The one to act on: that of the most favourable end of what the market may really be.
        refusal: Why nothing of the plan may be done now; None if it may, once two persons say so.
    """

    plan: LiquidationPlan
    band: Band
    refusal: DomainError | None


@dataclass(frozen=True, slots=True)
class PlanLiquidation:
    """Plans in the compute pool, on the account as it is now, and stores nothing."""

    books: BookReader
    breakers: BreakerStore
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, wish: PlanWish) -> GatedPlan:
        """Return the plan, at the levels of the latest snapshot; an account that is not to be liquidated has one all the same.

        What is stale or missing is not traded: the plan is by other instruments.

        Raises:
            DomainError: UNKNOWN_ACCOUNT; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS; the reason why an instrument held cannot be valued.
        """
        portfolio = portfolio_of(await self.books.account_state(account))
        view = await self.current_market()
        paused = await pause(self.breakers)
        return await self.compute.run(partial(_plan, portfolio, view, wish, paused))


def _plan(portfolio: Portfolio, view: MarketView, wish: PlanWish, paused: DomainError | None) -> GatedPlan:
    result = view.margin(portfolio)
    rules = wish.rules(view.parameters.liquidation)
    terms = LiquidationTerms(rules, wish.depth, not_tradable(portfolio, view, result))
    plan = plan_liquidation(view.known(portfolio), view.market, view.parameters, terms)
    return GatedPlan(plan, result.band, paused or not_short(portfolio.account, result))
