"""Make a past liquidation plan again from what is stored."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.identifiers import BASE_CURRENCY, AccountRef, HouseViewId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.liquidation import LiquidationPlan, LiquidationTerms, PlanWish
from crossmargin.engine.liquidation import plan_liquidation
from crossmargin.usecases.past_market import PastMarket, kernels_of
from crossmargin.usecases.ports.runtime import ComputePool


@dataclass(frozen=True, slots=True)
class PastPlan:
    """What a plan was made of.

    Attributes:
        wish: Where it was to end, at what impact and with which order books: all of them as they were used.
        left_out: Holdings that could not be traded then.
    """

    account: AccountRef
    sequence: int
    snapshot_id: SnapshotId
    parameter_set_id: RiskParameterSetId
    scenario_set_hash: str
    engine_version: str
    house_view_id: HouseViewId | None
    wish: PlanWish
    left_out: frozenset[InstrumentId]


@dataclass(frozen=True, slots=True)
class ReproduceLiquidation:
    """Plans once more on all that a plan names; what happened since changes nothing."""

    past: PastMarket
    compute: ComputePool

    async def __call__(self, plan: PastPlan) -> LiquidationPlan:
        """Return the plan as it comes out now.

        Raises:
            DomainError: ENGINE_VERSION_DIFFERS when another engine made it, or one with kernels that are not installed here;
                UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED, UNKNOWN_SNAPSHOT, UNKNOWN_RISK_PARAMETERS,
                UNKNOWN_SCENARIO_SET or UNKNOWN_HOUSE_VIEW when it names what was never there.
        """
        kernels = kernels_of(plan.engine_version)
        portfolio = await self.past.portfolio(plan.account, plan.sequence, plan.house_view_id)
        snapshot = await self.past.market.get_snapshot(plan.snapshot_id)
        parameters = await self.past.parameters.get_parameters(plan.parameter_set_id)
        # What is closed becomes dollars, whether any are held or not.
        instruments = await self.past.instruments_of(portfolio, BASE_CURRENCY)
        revalued = await self.past.revaluation(instruments, snapshot, parameters, plan.scenario_set_hash, kernels=kernels)
        terms = LiquidationTerms(plan.wish.rules(parameters.liquidation), plan.wish.depth, plan.left_out)
        return await self.compute.run(lambda: plan_liquidation(portfolio, revalued(), parameters, terms))
