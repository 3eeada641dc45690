"""Let two persons approve of a liquidation plan, on a market that says once more that it has to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, PendingRequestId, SnapshotId
from crossmargin.domain.liquidation import PlannedTrade, check_orders, check_reduces, liquidation_words
from crossmargin.domain.liquidation_life import (
    Liquidation,
    LiquidationOrder,
    LiquidationState,
    LiquidationStep,
    approved,
    expired,
    superseded,
)
from crossmargin.domain.margin import Band
from crossmargin.domain.money import exact_sum
from crossmargin.domain.pending_request import Asked, Confirmation, PendingRequest
from crossmargin.domain.stress import StressStanding
from crossmargin.engine.stress import standing_of
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.decide_on_market import DecideOnMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.liquidation_gate import beyond_need, end_of, not_short, pause, untradable
from crossmargin.usecases.ports.books import Books
from crossmargin.usecases.ports.breaker import BreakerStore
from crossmargin.usecases.ports.liquidation import LiquidationReports, LiquidationStore
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision, Record
from crossmargin.usecases.refusals import encode_outcome, encode_refusal, outcome_or_refusal
from crossmargin.usecases.two_persons import TwoPersons, await_second_person

VERB: Final = "ApproveLiquidation"


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A plan that somebody wants done.

    Attributes:
        sequence: Last ledger entry that the plan rests on. snapshot_id: the market it was made at.
        target_utilization: Where it is to end; None for where the risk parameters in force say.
    """

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    trades: tuple[PlannedTrade, ...]
    target_utilization: Decimal | None = None


@dataclass(frozen=True, slots=True)
class ApprovedLiquidation:
    """Two persons have approved of a plan. `before` and `after` are at the market that it was approved on."""

    liquidation_id: PendingRequestId
    before: StressStanding
    after: StressStanding
    replayed: bool


@dataclass(frozen=True, slots=True)
class ApproveLiquidation:
    """Decides under the lock of the account, on a market that was current while it was locked.

    The first person proposes, and the second one, another, approves on a newer snapshot. Both times it is decided whether the account is
    still short at the most favourable end of what the market may really be, whether a breaker stands in the way, and whether the plan
    still does what it is for and no more than that. From then on it is the open liquidation of the account, in the place of any that was;
    what is executed of it is reported as such, and nothing is executed by itself.
    """

    decide_on_market: DecideOnMarket
    breakers: BreakerStore
    market: MarketStore
    liquidations: LiquidationStore
    compute: ComputePool
    two_persons: TwoPersons
    reports: LiquidationReports

    async def __call__(self, request: ApprovalRequest, *, caller: Caller) -> ApprovedLiquidation | PendingRequest:
        """Return the approval, or what awaits a second person.

        Raises:
            DomainError: NOT_IN_LIQUIDATION, LIQUIDATION_PAUSED or PLAN_OUTDATED when it was refused, now or under the same key before.
                Also INVALID_ARGUMENT for a trade that does not reduce what is held, UNKNOWN_ACCOUNT, UNKNOWN_SNAPSHOT, ACCOUNT_CLOSED,
                for a second person what `TwoPersons.confirmation` raises, and whatever the write path refuses: those are not bound to
                the key.
        """
        words = liquidation_words(
            request.account, request.snapshot_id, request.sequence, request.trades, target_utilization=request.target_utilization
        )
        steps: list[LiquidationStep] = []
        asked = Asked(VERB, words, request.account.client_id)

        async def decide(books: Books, view: MarketView) -> Decision:
            steps.clear()
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
            new = _liquidation(request, confirmation, books.now, view, before=before, after=after)
            said = {"liquidation": new.liquidation_id, "before": _standing_document(before), "after": _standing_document(after)}
            open_now = await self.liquidations.open_liquidation(request.account)
            records = _replacing(open_now, new)
            steps[:] = [each for each in records if isinstance(each, LiquidationStep)]
            return Decision(encode_outcome(said), records=(*records, confirmation.end))

        # No fact: what the account holds has to be read.
        asking = caller.write_request(VERB, [repr(request)], (request.account,), is_fact=False)
        outcome = await self.decide_on_market(asking, decide)
        if not outcome.replayed:
            for step in steps:
                self.reports.liquidation_stepped(step)
        awaited = await self.two_persons.awaited(outcome)
        if awaited is not None:
            return awaited
        document = outcome_or_refusal(outcome.response)
        name = PendingRequestId(document["liquidation"])
        return ApprovedLiquidation(name, _standing(document["before"]), _standing(document["after"]), outcome.replayed)


def _liquidation(
    request: ApprovalRequest,
    confirmation: Confirmation,
    now: datetime,
    view: MarketView,
    *,
    before: StressStanding,
    after: StressStanding,
) -> Liquidation:
    return Liquidation(
        account=request.account,
        liquidation_id=confirmation.end.pending_id,
        state=LiquidationState.APPROVED,
        orders=tuple(map(LiquidationOrder, request.trades)),
        target_utilization=_target(request, view),
        snapshot_id=request.snapshot_id,
        sequence=request.sequence,
        approved_snapshot_id=view.snapshot.snapshot_id,
        persons=confirmation.persons,
        approved_at=now,
        expires_at=now + view.parameters.liquidation.lifetime,
        before=before,
        promised=after,
        estimated_cost=exact_sum(trade.cost for trade in request.trades),
    )


def _replacing(open_now: Liquidation | None, new: Liquidation) -> Sequence[Record]:
    """Return the records of a new liquidation, and before them the end of the one that it takes the place of."""
    change = approved(new)
    records: list[Record] = []
    if open_now is not None:
        by = str(new.persons)
        end = expired(open_now, at=new.approved_at, by=by) or superseded(open_now, new.liquidation_id, at=new.approved_at, by=by)
        records += [end.liquidation, end.step]
    return [*records, change.liquidation, change.step]


def _weigh(
    books: Books, view: MarketView, request: ApprovalRequest, paused: DomainError | None
) -> DomainError | tuple[StressStanding, StressStanding]:
    """Return how the account stands before and after the plan at this market, or why nothing of it may be done."""
    portfolio = view.known(portfolio_of(books.states[request.account]))
    result = view.margin(portfolio)
    refusal = paused or not_short(request.account, result)
    if refusal is not None:
        return refusal
    cannot = untradable(request.trades, portfolio, view, result)
    if cannot:
        return _outdated(request, f"{cannot}; plan again")
    instruments = {each.instrument_id: each for each in view.market.instruments}
    check_orders(request.trades, instruments)
    check_reduces(portfolio, request.trades, instruments)
    end = end_of(request.trades, portfolio, view)
    target = _target(request, view)
    missed = end.missed_in_words(target)
    if missed:
        return _outdated(request, f"{missed}; plan again")
    further = beyond_need(request.trades, portfolio, view, result, target_utilization=target)
    if further:
        return _outdated(request, f"{further}, and {target} is to be reached; plan again")
    return standing_of(result), end.standing


def _target(request: ApprovalRequest, view: MarketView) -> Decimal:
    return view.parameters.liquidation.target_utilization if request.target_utilization is None else request.target_utilization


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
