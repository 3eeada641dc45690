"""What stands in the way of a liquidation: paused breakers, an account that is not short, and a plan that the market has left behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.breaker import paused_by
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.liquidation import PlannedTrade, after_trades
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import Action
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.stress import StressStanding
from crossmargin.engine.liquidation_cost import at_marks
from crossmargin.engine.revaluation.shocked_market import BASE_CURRENCY
from crossmargin.engine.stress import standing_of
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.ports.breaker import BreakerStore


async def pause(breakers: BreakerStore) -> DomainError | None:
    """Return why no account is liquidated at all just now; None if nothing stands in the way."""
    tripped = paused_by(await breakers.list_breakers(), Action.LIQUIDATION)
    if not tripped:
        return None
    first = tripped[0]
    return DomainError(
        Reason.LIQUIDATION_PAUSED,
        f"breaker {first.kind.value} has tripped ({first.cause}); no account is liquidated until a person resets it",
        breaker=first.kind.value,
        cause=first.cause,
    )


def not_short(account: AccountRef, result: MarginResult) -> DomainError | None:
    """Return why an account is not liquidated: it is not past the line everywhere that the market may really be; None if it is."""
    if result.band is Band.LIQUIDATION:
        return None
    low, _ = result.utilization_range
    return DomainError(
        Reason.NOT_IN_LIQUIDATION,
        f"{account} is in band {result.band.value}, with utilization {low} at the most favourable end of the market; nothing of it is "
        "liquidated",
        account=account,
        band=result.band.value,
        utilization=low,
    )


@dataclass(frozen=True, slots=True)
class PlanEnd:
    """Where trades would end.

    Attributes:
        is_all_closed: Nothing but dollars is left then, which no plan can better.
        tolerance: How far above a target is near enough.
    """

    standing: StressStanding
    is_all_closed: bool
    tolerance: Decimal

    def missed(self, target_utilization: Decimal) -> str:
        """Return where it would end if that is too far above a target; empty when it is near enough."""
        utilization = self.standing.utilization
        if self.is_all_closed or (utilization is not None and utilization <= target_utilization + self.tolerance):
            return ""
        return "nowhere" if utilization is None else f"at {utilization}"


def end_of(trades: Sequence[PlannedTrade], portfolio: Portfolio, view: MarketView) -> PlanEnd:
    """Return where an account would end with trades at the marks.

    Raises:
        DomainError: For a holding that the market does not value. KeyError: for a trade in what it does not.
    """
    instruments = {each.instrument_id: each for each in view.market.instruments}
    left = after_trades(portfolio, at_marks(trades, view.market), instruments)
    holds_anything = any(holding.quantity and holding.instrument_id != BASE_CURRENCY for holding in left.holdings)
    return PlanEnd(standing_of(view.margin(left)), is_all_closed=not holds_anything, tolerance=view.parameters.liquidation.end_tolerance)
