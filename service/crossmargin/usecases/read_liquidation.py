"""Read a liquidation, with whether it may go on just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, PendingRequestId
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep, check_open
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market_gate import liquidation_refusal
from crossmargin.domain.portfolio import Portfolio
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.liquidation_gate import left_behind, pause
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.liquidation import LiquidationFilter, LiquidationStore
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.runtime import Clock, ComputePool


@dataclass(frozen=True, slots=True)
class GatedLiquidation:
    """A liquidation as it stands now, its steps, and why no more of it may be traded; None if it may."""

    liquidation: Liquidation
    steps: Sequence[LiquidationStep]
    refusal: DomainError | None


@dataclass(frozen=True, slots=True)
class ReadLiquidation:
    """Whoever trades a liquidation asks before every piece: it goes on only while the account still needs it at the newest market."""

    books: BookReader
    breakers: BreakerStore
    liquidations: LiquidationStore
    current_market: CurrentMarket
    compute: ComputePool
    clock: Clock

    async def __call__(self, account: AccountRef, liquidation_id: PendingRequestId) -> GatedLiquidation:
        """Return a liquidation; UNKNOWN_LIQUIDATION. What stands in its way is told, and not raised."""
        found = (await self.liquidations.get_liquidation(account, liquidation_id)).at(self.clock.now())
        steps = await self.liquidations.list_steps(account, liquidation_id)
        return GatedLiquidation(found, steps, await self._refusal(found))

    async def list(self, chosen: LiquidationFilter, page: Page) -> Sequence[Liquidation]:
        """Return liquidations as they stand now, in the order of account and time of approval."""
        now = self.clock.now()
        return [each.at(now) for each in await self.liquidations.list_liquidations(chosen, page)]

    async def _refusal(self, found: Liquidation) -> DomainError | None:
        try:
            check_open(found, self.clock.now())
            paused = await pause(self.breakers)
            if paused is not None:
                return paused
            portfolio = portfolio_of(await self.books.account_state(found.account))
            return await self.compute.run(partial(_weigh, portfolio, await self.current_market(), found))
        except DomainError as error:
            return error


def _weigh(portfolio: Portfolio, view: MarketView, found: Liquidation) -> DomainError | None:
    result = view.margin(portfolio)
    low, _ = result.utilization_range
    if low is not None and low <= found.target_utilization:
        return DomainError(
            Reason.NOT_IN_LIQUIDATION,
            f"{found.account} is at utilization {low} at the most favourable end of the market, and liquidation {found.liquidation_id} "
            f"is to end at {found.target_utilization}; abandon what is left of it",
            account=found.account,
            liquidation=found.liquidation_id,
            utilization=low,
        )
    in_doubt = () if result.quality is None else result.quality.doubted
    ticks = view.parameters.market_quality.confirming_ticks
    return liquidation_refusal(in_doubt, confirming_ticks=ticks) or _outdated(portfolio, view, found, result)


def _outdated(portfolio: Portfolio, view: MarketView, found: Liquidation, result: MarginResult) -> DomainError | None:
    why = left_behind(found.left, portfolio, view, result, target_utilization=found.target_utilization)
    if not why:
        return None
    return DomainError(
        Reason.PLAN_OUTDATED,
        f"what is left of liquidation {found.liquidation_id} of {found.account} {why}; plan again",
        account=found.account,
        liquidation=found.liquidation_id,
        snapshot=found.snapshot_id,
        sequence=found.sequence,
    )
