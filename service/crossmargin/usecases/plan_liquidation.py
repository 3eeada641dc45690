"""Plan how to close out a part of an account, and let two persons approve of it on a market that says so again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

from crossmargin.domain.breaker import paused_by
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId, SnapshotId
from crossmargin.domain.liquidation import LiquidationPlan, LiquidationTerms, PlannedTrade, after_trades, check_reduces, liquidation_words
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.market_gate import Action
from crossmargin.domain.market_quality import Verdict
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.stress import StressStanding
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.engine.liquidation_cost import at_marks
from crossmargin.engine.moved_holdings import with_assets
from crossmargin.engine.revaluation import required_factors
from crossmargin.engine.revaluation.shocked_market import BASE_CURRENCY
from crossmargin.engine.stress import standing_of
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.refusals import encode_outcome, encode_refusal, outcome_or_refusal
from crossmargin.usecases.two_persons import TwoPersons, await_second_person

VERB: Final = "ApproveLiquidation"
TOLERANCE: Final = Decimal("0.02")
"""By how much utilization may end above the target at the newer market that a plan is approved on, every order counted at its mark there:
the hysteresis of the bands."""
_NOT_TRADABLE: Final = frozenset({Verdict.STALE, Verdict.MISSING})


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

    async def __call__(self, account: AccountRef, terms: LiquidationTerms) -> GatedPlan:
        """Return the plan, at the levels of the latest snapshot; an account that is not to be liquidated has one all the same.

        What is stale or missing is not traded: the plan is by other instruments.

        Raises:
            DomainError: UNKNOWN_ACCOUNT; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS; the reason why an instrument held cannot be valued.
        """
        portfolio = portfolio_of(await self.books.account_state(account))
        view = await self.current_market()
        paused = await pause(self.breakers)
        return await self.compute.run(partial(_plan, portfolio, view, terms, paused))


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A plan that somebody wants done.

    Attributes:
        sequence: Last ledger entry that the plan rests on. snapshot_id: the market it was made at.
    """

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    trades: tuple[PlannedTrade, ...]
    target_utilization: Decimal


@dataclass(frozen=True, slots=True)
class ApprovedLiquidation:
    """Two persons have approved of a plan. `before` and `after` are at the market that it was approved on."""

    before: StressStanding
    after: StressStanding
    replayed: bool


@dataclass(frozen=True, slots=True)
class ApproveLiquidation:
    """Decides under the lock of the account, on a market that was current while it was locked.

    The first person proposes, and the second one, another, approves on a newer snapshot. Both times it is decided whether the account is
    still short at the most favourable end of what the market may really be, whether a breaker stands in the way, and whether the plan
    still does what it is for. What is then executed is reported as trades, like any other.
    """

    decide_on_market: DecideOnMarket
    breakers: BreakerStore
    market: MarketStore
    compute: ComputePool
    two_persons: TwoPersons

    async def __call__(self, request: ApprovalRequest, *, caller: Caller) -> ApprovedLiquidation | PendingRequest:
        """Return the approval, or what awaits a second person.

        Raises:
            DomainError: NOT_IN_LIQUIDATION, LIQUIDATION_PAUSED or PLAN_OUTDATED when it was refused, now or under the same key before.
                Also INVALID_ARGUMENT for a trade that does not reduce what is held, UNKNOWN_ACCOUNT, UNKNOWN_SNAPSHOT, ACCOUNT_CLOSED,
                for a second person what `TwoPersons.confirmation` raises, and whatever the write path refuses: those are not bound to
                the key.
        """
        asked = Asked(
            VERB, liquidation_words(request.account, request.snapshot_id, request.sequence, request.trades), request.account.client_id
        )

        async def decide(books: Books, view: MarketView) -> Decision:
            books.states[request.account].head.check_open()
            # Not before the account is there: whoever names one that is not learns nothing else.
            planned_at = (await self.market.get_snapshot(request.snapshot_id)).as_of
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            paused = await pause(self.breakers)
            weighed = await self.compute.run(partial(_weigh, books, view, request, paused))
            if isinstance(weighed, DomainError):
                return Decision(encode_refusal(weighed))
            if confirmation is None:
                return await_second_person(asked, caller=caller)
            if view.snapshot.as_of <= planned_at:
                return Decision(encode_refusal(_outdated(request, "was made at this very snapshot; approve of it on a newer one")))
            before, after = weighed
            response = encode_outcome({"before": _standing_document(before), "after": _standing_document(after)})
            return Decision(response, records=(confirmation.end,))

        outcome = await self.decide_on_market(caller.write_request(VERB, [repr(request)], (request.account,)), decide)
        awaited = await self.two_persons.awaited(outcome)
        if awaited is not None:
            return awaited
        document = outcome_or_refusal(outcome.response)
        return ApprovedLiquidation(_standing(document["before"]), _standing(document["after"]), outcome.replayed)


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


def _plan(portfolio: Portfolio, view: MarketView, terms: LiquidationTerms, paused: DomainError | None) -> GatedPlan:
    result = view.margin(portfolio)
    untouchable = terms.untouchable | _not_tradable(portfolio, view, result)
    known = LiquidationTerms(terms.target_utilization, terms.impact_coefficient, terms.depth, untouchable)
    plan = plan_liquidation(view.known(portfolio), view.market, view.parameters, known)
    return GatedPlan(plan, result.band, paused or _not_short(portfolio.account, result))


def _weigh(
    books: Books, view: MarketView, request: ApprovalRequest, paused: DomainError | None
) -> DomainError | tuple[StressStanding, StressStanding]:
    """Return how the account stands before and after the plan at this market, or why nothing of it may be done."""
    portfolio = view.known(portfolio_of(books.states[request.account]))
    result = view.margin(portfolio)
    refusal = paused or _not_short(request.account, result)
    if refusal is not None:
        return refusal
    instruments = {each.instrument_id: each for each in view.market.instruments}
    missing = next((trade.instrument_id for trade in request.trades if trade.instrument_id not in instruments), None)
    if missing is not None:
        return _outdated(request, f"trades {missing}, which this market does not value; plan again")
    check_reduces(portfolio, request.trades, instruments)
    left = after_trades(portfolio, at_marks(request.trades, view.market), instruments)
    after = standing_of(view.margin(left))
    is_enough = after.utilization is not None and after.utilization <= request.target_utilization + TOLERANCE
    if not is_enough and _holds_anything(left):
        ends = "nowhere" if after.utilization is None else f"at {after.utilization}"
        return _outdated(request, f"would end {ends} by now and not at {request.target_utilization}; plan again")
    return standing_of(result), after


def _holds_anything(portfolio: Portfolio) -> bool:
    """Return whether anything but dollars is left: what closes everything need not reach the target."""
    return any(holding.quantity and holding.instrument_id != BASE_CURRENCY for holding in portfolio.holdings)


def _not_short(account: AccountRef, result: MarginResult) -> DomainError | None:
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


def _not_tradable(portfolio: Portfolio, view: MarketView, result: MarginResult) -> frozenset[InstrumentId]:
    """Return the instruments held whose own mark, or a level they are valued from, is stale or missing."""
    doubted = () if result.quality is None else result.quality.doubted
    subjects = {one.subject for one in doubted if one.quality.verdict in _NOT_TRADABLE}
    if not subjects:
        return frozenset()
    known = {each.instrument_id: each for each in view.market.instruments}
    found = set()
    for holding in portfolio.holdings:
        instrument = known.get(holding.instrument_id)
        read = () if instrument is None else required_factors(with_assets([instrument], known), view.snapshot)
        if holding.instrument_id in subjects or any(str(factor) in subjects for factor in read):
            found.add(holding.instrument_id)
    return frozenset(found)


def _outdated(request: ApprovalRequest, why: str) -> DomainError:
    return DomainError(
        Reason.PLAN_OUTDATED,
        f"the plan for {request.account} of snapshot {request.snapshot_id} {why}",
        account=request.account,
        snapshot=request.snapshot_id,
        sequence=request.sequence,
    )


def _standing_document(standing: StressStanding) -> dict[str, str]:
    return {
        "equity": str(standing.equity),
        "maintenance_margin": str(standing.maintenance_margin),
        "utilization": "" if standing.utilization is None else str(standing.utilization),
        "band": standing.band.value,
    }


def _standing(document: dict[str, str]) -> StressStanding:
    return StressStanding(
        Decimal(document["equity"]),
        Decimal(document["maintenance_margin"]),
        Decimal(document["utilization"]) if document["utilization"] else None,
        Band(document["band"]),
    )
