"""Compute a past margin again from what is stored, and say whether it is the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import MarginResult, MarginStamp
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.market_ends import margin_with_ends
from crossmargin.engine.ramped_margin import ramped_margin
from crossmargin.usecases.past_market import PastMarket, kernels_of
from crossmargin.usecases.ports.runtime import ComputePool


@dataclass(frozen=True, slots=True)
class StampDifference:
    """The first part of a stamp that came out otherwise: its name, what was recorded, and what was computed now."""

    field: str
    recorded: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A margin computed again. `difference` is None when its stamp is the one asked for, and so are its figures."""

    result: MarginResult
    difference: StampDifference | None


@dataclass(frozen=True, slots=True)
class ReproduceMargin:
    """Rebuilds everything that a stamp names; what happened since changes nothing.

    Holdings and policies are those as of the ledger entry, and scenarios are built from the history as it was when they were first built.
    """

    past: PastMarket
    compute: ComputePool

    async def __call__(self, stamp: MarginStamp) -> Reproduction:
        """Return the margin that the stamp names.

        Raises:
            DomainError: ENGINE_VERSION_DIFFERS when another engine computed it, or one with kernels that are not installed here;
                UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED, UNKNOWN_SNAPSHOT, UNKNOWN_RISK_PARAMETERS,
                UNKNOWN_SCENARIO_SET or UNKNOWN_HOUSE_VIEW when the stamp names what was never there.
        """
        kernels = kernels_of(stamp.engine_version)
        portfolio = await self.past.portfolio(stamp.account, stamp.sequence, stamp.house_view_id)
        snapshot = await self.past.market.get_snapshot(stamp.snapshot_id)
        instruments = await self.past.instruments_of(portfolio)
        result = await self._margin(portfolio, snapshot, instruments, stamp.parameter_set_id, stamp.scenario_set_hash, kernels=kernels)
        if stamp.ramp is not None:
            ramp = stamp.ramp
            before = await self._margin(portfolio, snapshot, instruments, ramp.parameter_set_id, ramp.scenario_set_hash, kernels=kernels)
            earlier = await self.past.parameters.get_parameters(ramp.parameter_set_id)
            later = await self.past.parameters.get_parameters(stamp.parameter_set_id)
            result = ramped_margin(before, result, ramp.fraction, lines=(earlier.bands, later.bands))
        return Reproduction(result, _first_difference(stamp, result.stamp))

    async def _margin(
        self,
        portfolio: Portfolio,
        snapshot: MarketSnapshot,
        instruments: Sequence[Instrument],
        set_id: RiskParameterSetId,
        scenario_set_hash: str,
        *,
        kernels: Kernels,
    ) -> MarginResult:
        parameters = await self.past.parameters.get_parameters(set_id)
        revalued = await self.past.revaluation(instruments, snapshot, parameters, scenario_set_hash, kernels=kernels)
        return await self.compute.run(lambda: margin_with_ends(portfolio, snapshot, revalued(), parameters))


def _first_difference(recorded: MarginStamp, recomputed: MarginStamp) -> StampDifference | None:
    for part in fields(MarginStamp):
        before, after = getattr(recorded, part.name), getattr(recomputed, part.name)
        if before != after:
            return StampDifference(part.name, str(before), str(after))
    return None
