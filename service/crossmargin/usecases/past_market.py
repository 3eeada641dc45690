"""What a past result was computed from, read in its old state: what happened since changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, HouseViewId, InstrumentId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.market import MarketSnapshot
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.kernels.choice import KERNELS_OF_ENGINE, Kernels
from crossmargin.engine.revaluation import RevaluedMarket, revalue_market
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore


@dataclass(frozen=True, slots=True)
class PastMarket:
    """Reads what results name.

    Holdings and policies are those as of a ledger entry, and scenarios are built from the history as it was when they were first built.
    """

    books: BookReader
    instruments: InstrumentReader
    market: MarketStore
    parameters: ParameterStore

    async def portfolio(self, account: AccountRef, sequence: int, house_view_id: HouseViewId | None) -> Portfolio:
        """Return an account as of a ledger entry; UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED or UNKNOWN_HOUSE_VIEW."""
        portfolio = portfolio_of(await self.books.account_state_at(account, sequence))
        return portfolio if house_view_id is None else replace(portfolio, house=await self.market.get_house_view(house_view_id))

    async def instruments_of(self, portfolio: Portfolio, *others: InstrumentId) -> Sequence[Instrument]:
        """Return what is held, `others`, and what all that refers to; no other instrument has a part in a result."""
        found: dict[InstrumentId, Instrument] = {}
        wanted = {*_held(portfolio), *others}
        while wanted:
            known = await known_instruments(self.instruments, wanted)
            found |= known
            wanted = {name for instrument in known.values() for name in instrument.references()} - found.keys()
        return list(found.values())

    async def revaluation(
        self,
        instruments: Sequence[Instrument],
        snapshot: MarketSnapshot,
        parameters: RiskParameters,
        scenario_set_hash: str,
        *,
        kernels: Kernels,
    ) -> Callable[[], RevaluedMarket]:
        """Return what revalues the instruments as they were then, for the compute pool; UNKNOWN_SCENARIO_SET."""
        recipe = await self.market.scenario_recipe(scenario_set_hash)
        built_with = await self.parameters.get_parameters(recipe.parameter_set_id)
        history = await self.market.load_history(version=recipe.history_version)

        def revalued() -> RevaluedMarket:
            scenarios = build_scenario_set(history, recipe.factors, built_with)
            return revalue_market(instruments, snapshot, scenarios, parameters, kernels=kernels)

        return revalued


def kernels_of(engine_version: str) -> Kernels:
    """Return the kernels that a result was computed with, whichever this service uses for new ones; ENGINE_VERSION_DIFFERS without them."""
    kernels = KERNELS_OF_ENGINE.get(engine_version)
    if kernels is None:
        known = " and ".join(KERNELS_OF_ENGINE)
        words = f"engine version was {engine_version}; this release computes with {known}: ask a release with that engine"
        raise _other_engine(engine_version, words)
    if not kernels.is_installed:
        words = f"engine version was {engine_version}, which needs {kernels.value}; install it: pip install 'crossmargin[kernels]'"
        raise _other_engine(engine_version, words)
    return kernels


def _other_engine(engine_version: str, words: str) -> DomainError:
    expected = " or ".join(version for version, kernels in KERNELS_OF_ENGINE.items() if kernels.is_installed)
    return DomainError(Reason.ENGINE_VERSION_DIFFERS, words, engine_version=engine_version, expected=expected)


def _held(portfolio: Portfolio) -> Iterable[InstrumentId]:
    return (holding.instrument_id for holding in portfolio.holdings)
