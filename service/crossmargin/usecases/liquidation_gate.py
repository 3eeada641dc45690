"""What stands in the way of a liquidation: paused breakers, an account that is not short, and a plan that the market has left behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from crossmargin.domain.breaker import paused_by
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import BASE_CURRENCY, AccountRef, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation import PlannedTrade, a_unit_less, after_trades, cannot_reduce
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import Action
from crossmargin.domain.market_quality import Verdict
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.stress import StressStanding
from crossmargin.engine.liquidation import cushioned_equity
from crossmargin.engine.liquidation_cost import at_expected_costs, at_marks
from crossmargin.engine.moved_holdings import with_assets
from crossmargin.engine.revaluation import required_factors
from crossmargin.engine.stress import standing_of
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.ports.breaker import BreakerStore

_NOT_TRADABLE: Final = frozenset({Verdict.STALE, Verdict.MISSING})


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


def not_tradable(portfolio: Portfolio, view: MarketView, result: MarginResult) -> frozenset[InstrumentId]:
    """Return what is not traded while its price is in doubt, of what is held and of what that settles in.

    It is what has a mark of its own that is stale or missing, or is valued from a level that is.
    """
    doubted = () if result.quality is None else result.quality.doubted
    subjects = {one.subject for one in doubted if one.quality.verdict in _NOT_TRADABLE}
    if not subjects:
        return frozenset()
    known = {each.instrument_id: each for each in view.market.instruments}
    held = [known[holding.instrument_id] for holding in portfolio.holdings if holding.instrument_id in known]
    return frozenset(each.instrument_id for each in with_assets(held, known) if _reads_any(each, subjects, known, view))


def untradable(trades: Iterable[PlannedTrade], portfolio: Portfolio, view: MarketView, result: MarginResult) -> str:
    """Return in words why one of the trades cannot be made at this market; empty when all of them can."""
    names = [trade.instrument_id for trade in trades]
    missing = next((name for name in names if name not in view.market.row_of), None)
    if missing is not None:
        return f"trades {missing}, which this market does not value"
    in_doubt = not_tradable(portfolio, view, result)
    stale = next((name for name in names if name in in_doubt), None)
    return "" if stale is None else f"trades {stale}, whose price is stale or missing"


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

    def missed_in_words(self, target_utilization: Decimal) -> str:
        """Return that it would end too far above a target; empty when it is near enough."""
        missed = self.missed(target_utilization)
        return missed and f"would end {missed} by now and not at {target_utilization}"


def beyond_need(
    trades: Sequence[PlannedTrade], portfolio: Portfolio, view: MarketView, result: MarginResult, *, target_utilization: Decimal
) -> str:
    """Return in words that trades go further than they must by now; empty while they do not.

    They do where the account would be below the target by more than the tolerance, off the marks by what they are expected to cost, even
    with a unit less of every instrument: so a plan that is made again is not refused again, however large the units are. Equity is left
    above nothing by the tolerance of what stays pledged, and by as much again for what the market may have moved since. Where with less the
    maintenance margin would be higher than it is, all of it is needed.

    Raises what `end_of` raises.
    """
    instruments = {each.instrument_id: each for each in view.market.instruments}
    less = a_unit_less(trades, instruments)
    left = after_trades(portfolio, at_expected_costs(less, view.market), instruments)
    end, tolerance = view.margin(left), view.parameters.liquidation.end_tolerance
    most = min(result.requirement.maintenance_margin, (target_utilization - tolerance) * end.equity.equity)
    is_needed = end.requirement.maintenance_margin > most or cushioned_equity(end, 2 * tolerance) < 0
    if end.utilization is None or is_needed:
        return ""
    return f"goes further than it must by now: with a unit less of everything it would end at {end.utilization}"


def left_behind(
    trades: Sequence[PlannedTrade], portfolio: Portfolio, view: MarketView, result: MarginResult, *, target_utilization: Decimal
) -> str:
    """Return in words why trades of a plan are not to be made any more at this market; empty while they are.

    Raises:
        DomainError: For a holding that the market does not value.
    """
    cannot = untradable(trades, portfolio, view, result)
    if cannot:
        return cannot
    known = view.known(portfolio)
    other = more_than_held(trades, known, view) or end_of(trades, known, view).missed_in_words(target_utilization)
    if other:
        return other
    further = beyond_need(trades, known, view, result, target_utilization=target_utilization)
    return further and f"{further}, and {target_utilization} is to be reached"


def more_than_held(trades: Sequence[PlannedTrade], portfolio: Portfolio, view: MarketView) -> str:
    """Return in words that trades would turn a contract over; empty when they reduce all of them, or it is not known what they are."""
    instruments = {each.instrument_id: each for each in view.market.instruments}
    turned = cannot_reduce(portfolio, [trade for trade in trades if trade.instrument_id in instruments], instruments)
    return "" if turned is None else f"trades more of {turned} than is held by now"


def end_of(trades: Sequence[PlannedTrade], portfolio: Portfolio, view: MarketView) -> PlanEnd:
    """Return where an account would end with trades at the marks.

    Raises:
        DomainError: For a holding that the market does not value. KeyError: for a trade in what it does not.
    """
    instruments = {each.instrument_id: each for each in view.market.instruments}
    left = after_trades(portfolio, at_marks(trades, view.market), instruments)
    holds_anything = any(holding.quantity and holding.instrument_id != BASE_CURRENCY for holding in left.holdings)
    return PlanEnd(standing_of(view.margin(left)), is_all_closed=not holds_anything, tolerance=view.parameters.liquidation.end_tolerance)


def _reads_any(instrument: Instrument, subjects: AbstractSet[str], known: Mapping[InstrumentId, Instrument], view: MarketView) -> bool:
    read = required_factors(with_assets([instrument], known), view.snapshot)
    return instrument.instrument_id in subjects or any(str(factor) in subjects for factor in read)
