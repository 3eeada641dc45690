"""Compute a past margin again from what is stored, and say whether it is the same."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import InstrumentId, RiskParameterSetId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import MarginResult, MarginStamp
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.engine import ENGINE_VERSION
from crossmargin.engine.market_ends import margin_with_ends
from crossmargin.engine.ramped_margin import ramped_margin
from crossmargin.engine.revaluation import revalue_market
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
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

    books: BookReader
    instruments: InstrumentReader
    market: MarketStore
    parameters: ParameterStore
    compute: ComputePool

    async def __call__(self, stamp: MarginStamp) -> Reproduction:
        """Return the margin that the stamp names.

        Raises:
            DomainError: ENGINE_VERSION_DIFFERS when another engine computed it; UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED, UNKNOWN_SNAPSHOT,
                UNKNOWN_RISK_PARAMETERS, UNKNOWN_SCENARIO_SET or UNKNOWN_HOUSE_VIEW when the stamp names what was never there.
        """
        if stamp.engine_version != ENGINE_VERSION:
            raise _other_engine(stamp)
        portfolio = portfolio_of(await self.books.account_state_at(stamp.account, stamp.sequence))
        if stamp.house_view_id is not None:
            portfolio = replace(portfolio, house=await self.market.get_house_view(stamp.house_view_id))
        snapshot = await self.market.get_snapshot(stamp.snapshot_id)
        instruments = await self._instruments_of(portfolio)
        result = await self._margin(portfolio, snapshot, instruments, stamp.parameter_set_id, stamp.scenario_set_hash)
        if stamp.ramp is not None:
            ramp = stamp.ramp
            before = await self._margin(portfolio, snapshot, instruments, ramp.parameter_set_id, ramp.scenario_set_hash)
            earlier = await self.parameters.get_parameters(ramp.parameter_set_id)
            later = await self.parameters.get_parameters(stamp.parameter_set_id)
            result = ramped_margin(before, result, ramp.fraction, lines=(earlier.bands, later.bands))
        return Reproduction(result, _first_difference(stamp, result.stamp))

    async def _margin(
        self,
        portfolio: Portfolio,
        snapshot: MarketSnapshot,
        instruments: list[Instrument],
        set_id: RiskParameterSetId,
        scenario_set_hash: str,
    ) -> MarginResult:
        parameters = await self.parameters.get_parameters(set_id)
        recipe = await self.market.scenario_recipe(scenario_set_hash)
        built_with = await self.parameters.get_parameters(recipe.parameter_set_id)
        history = await self.market.load_history(version=recipe.history_version)

        def margin() -> MarginResult:
            scenarios = build_scenario_set(history, recipe.factors, built_with)
            market = revalue_market(instruments, snapshot, scenarios, parameters)
            return margin_with_ends(portfolio, snapshot, market, parameters)

        return await self.compute.run(margin)

    async def _instruments_of(self, portfolio: Portfolio) -> list[Instrument]:
        """Return what is held and what that refers to; no other instrument has a part in the result."""
        found: dict[InstrumentId, Instrument] = {}
        wanted = {holding.instrument_id for holding in portfolio.holdings}
        while wanted:
            known = await known_instruments(self.instruments, wanted)
            found |= known
            wanted = {name for instrument in known.values() for name in instrument.references()} - found.keys()
        return list(found.values())


def _other_engine(stamp: MarginStamp) -> DomainError:
    return DomainError(
        Reason.ENGINE_VERSION_DIFFERS,
        f"engine version was {stamp.engine_version}; this release computes with {ENGINE_VERSION}: ask a release with that engine",
        engine_version=stamp.engine_version,
        expected=ENGINE_VERSION,
    )


def _first_difference(recorded: MarginStamp, recomputed: MarginStamp) -> StampDifference | None:
    for part in fields(MarginStamp):
        before, after = getattr(recorded, part.name), getattr(recomputed, part.name)
        if before != after:
            return StampDifference(part.name, str(before), str(after))
    return None
