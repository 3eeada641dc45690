"""The latest snapshot, revalued once and shared by everyone who asks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import HouseViewId, InstrumentId, RiskParameterSetId
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.market_gate import gated
from crossmargin.domain.parameter_governance import in_force
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position, holdings_with
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.market_ends import data_quality, margin_with_ends
from crossmargin.engine.methodologies.compute import compute
from crossmargin.engine.ramped_margin import ramped_margin
from crossmargin.engine.revaluation import PreparedInstruments, prepared, required_factors, revalue_market
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.engine.scenarios.scenario_set import ScenarioSet
from crossmargin.usecases.hot_accounts import HotAccounts
from crossmargin.usecases.known_margins import KnownMargins
from crossmargin.usecases.ports.books import AccountState
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.market import MarketStore, MarketVersion, ScenarioRecipe
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.storage_errors import no_risk_parameters

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class MarketView:
    """A revalued market, with the snapshot and the parameters it was revalued from.

    Attributes:
        history_version: Of the history that the scenarios are made of.
        previous: The same market under the set in force before, while its successor takes over by degrees; otherwise None.
        fraction: Share of this view's result; 1 without a ramp.
        house: What all accounts hold together, as the last house run found it.
        margins: What portfolios needed in this very view; another view begins with none.
        hot: Accounts that were asked about in this very view, taken apart; another view begins with none.
    """

    snapshot: MarketSnapshot
    market: RevaluedMarket
    parameters: RiskParameters
    history_version: int
    previous: MarketView | None = None
    fraction: Decimal = Decimal(1)
    house: HouseView = NO_HOUSE
    margins: KnownMargins = field(default_factory=KnownMargins, init=False, repr=False, compare=False)
    hot: HotAccounts = field(default_factory=HotAccounts, init=False, repr=False, compare=False)

    def known(self, portfolio: Portfolio) -> Portfolio:
        """Return an account with what all accounts hold together, which its margin depends on."""
        return replace(portfolio, house=self.house)

    def margin(self, portfolio: Portfolio) -> MarginResult:
        """Return the margin of an account, with what doubted market data leaves open; numpy work, for the compute pool.

        Raises what `compute` raises.
        """
        result = margin_with_ends(self.known(portfolio), self.snapshot, self.market, self.parameters)
        return self._ramped(result, MarketView.margin, portfolio)

    def brief_margin(self, portfolio: Portfolio) -> MarginResult:
        """Return the same without what explains it (groups, contributions, worst scenarios), remembered; raises what `compute` raises."""
        return self.margins.of(portfolio, lambda: self.fresh_brief_margin(portfolio))

    def fresh_brief_margin(self, portfolio: Portfolio) -> MarginResult:
        """Return the same, and do not remember it: a run over the house asks about nobody twice, and would push out others."""
        result = margin_with_ends(self.known(portfolio), self.snapshot, self.market, self.parameters, is_brief=True)
        return self._ramped(result, MarketView.fresh_brief_margin, portfolio)

    def brief_margin_with(self, portfolio: Portfolio, changes: Sequence[Position]) -> MarginResult:
        """Return `brief_margin` of an account with positions on top, to the bit, for what it takes to redo what they touch."""
        if self.previous is not None:
            return self.brief_margin(with_positions(portfolio, changes))
        at_levels = self.hot.margin_with(self.known(portfolio), changes, self.market, self.parameters)
        if at_levels is None:
            return self.brief_margin(with_positions(portfolio, changes))
        if not self.is_doubted:
            return at_levels
        return self.margins.of(with_positions(portfolio, changes), lambda: self._gated(at_levels, with_positions(portfolio, changes)))

    def effort_with(self, state: AccountState, names: Collection[InstrumentId]) -> int | None:
        """Return how many profits `brief_margin_with` looks at if some instruments change.

        None for an account that was not taken apart here as it stands, and where more is asked than what it needs at the levels.
        """
        if self.previous is not None or self.is_doubted:
            return None
        return self.hot.effort_with(state, names)

    @property
    def is_doubted(self) -> bool:
        """Whether anything of the snapshot cannot be taken at its word."""
        return bool(self.snapshot.doubted_levels or self.snapshot.doubted_marks)

    def _gated(self, at_levels: MarginResult, portfolio: Portfolio) -> MarginResult:
        quality = data_quality(self.known(portfolio), self.snapshot, self.market, self.parameters, at_levels)
        return gated(at_levels, quality)

    def margin_at_levels(self, portfolio: Portfolio) -> MarginResult:
        """Return the margin of an account at the levels of the snapshot, whatever is doubted of them; for the compute pool."""
        result = compute(self.known(portfolio), self.market, self.parameters)
        return self._ramped(result, MarketView.margin_at_levels, portfolio)

    def _ramped(self, result: MarginResult, margin: Callable[[MarketView, Portfolio], MarginResult], portfolio: Portfolio) -> MarginResult:
        if self.previous is None:
            return result
        lines = (self.previous.parameters.bands, self.parameters.bands)
        before = replace(self.previous, house=self.house)
        return ramped_margin(margin(before, portfolio), result, self.fraction, lines=lines)


def with_positions(portfolio: Portfolio, changes: Sequence[Position]) -> Portfolio:
    """Return an account with positions on top, as it would be asked about if they were in its state."""
    return replace(portfolio, holdings=holdings_with(portfolio.holdings, changes)) if changes else portfolio


@dataclass(slots=True)
class CurrentMarket:
    """Keeps the matrix of the latest snapshot, and makes it again when the snapshot or anything it is made of has changed.

    Whether it has changed is asked of the database every time, so a view is never older than the question. One revaluation runs at a
    time; whoever asks meanwhile waits for it. The scenario sets are kept apart, because they outlive snapshots, and so are the
    instruments, which are read again only when one was created.
    """

    instruments: InstrumentReader
    market: MarketStore
    parameters: ParameterStore
    compute: ComputePool
    kernels: Kernels = Kernels.NUMPY
    _view: MarketView | None = None
    _version: MarketVersion | None = None
    _scenarios: dict[tuple[object, ...], ScenarioSet] = field(default_factory=dict)
    _prepared: tuple[int, PreparedInstruments] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def __call__(self) -> MarketView:
        """Return the revalued market; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS or INSUFFICIENT_HISTORY when there is none to have."""
        version = await self.market.market_version()
        if self._view is not None and version == self._version:
            return await self._with_house(self._view)
        async with self._lock:
            version = await self.market.market_version()
            if self._view is None or version != self._version:
                self._view = await self._revalue(version)
                self._version = version
            return await self._with_house(self._view)

    async def _with_house(self, view: MarketView) -> MarketView:
        """Return the view with the latest totals over all accounts. What the house holds revalues nothing."""
        view_id = await self.market.latest_house_view_id()
        known = None if view.house is NO_HOUSE else view.house.view_id
        if view_id == known:
            return view
        house = NO_HOUSE if view_id is None else await self.market.get_house_view(view_id)
        with_house = replace(view, house=house)
        if self._view is view:
            self._view = with_house
        return with_house

    @property
    def cached(self) -> tuple[MarketView, MarketVersion] | None:
        """The market as it was last asked for, with what it was made of; None before the first time. Asks nobody."""
        return None if self._view is None or self._version is None else (self._view, self._version)

    def at_hand(self, version: MarketVersion, house_view_id: HouseViewId | None) -> MarketView | None:
        """Return the market as it was last asked for, if that is made of this and knows these totals over all accounts; asks nobody."""
        view = self._view
        if view is None or version != self._version:
            return None
        return view if house_view_id == (None if view.house is NO_HOUSE else view.house.view_id) else None

    def instruments_at_hand(self, names: Iterable[InstrumentId]) -> Mapping[InstrumentId, Instrument]:
        """Return those of the instruments that the market at hand has valued; asks nobody. What an instrument is never changes."""
        if self._view is None:
            return {}
        market = self._view.market
        return {name: market.instruments[market.row_of[name]] for name in names if name in market.row_of}

    async def under(self, parameters: RiskParameters, view: MarketView) -> MarketView:
        """Return the market of a view as it would be under other parameters; same snapshot, same history. It is not kept."""
        instruments = prepared(await self._all_instruments())
        factors = required_factors(instruments, view.snapshot)
        scenarios = await self._build_scenarios(factors, parameters, view.history_version)
        market = await self._revalue_with(instruments, view.snapshot, scenarios, parameters)
        return MarketView(view.snapshot, market, parameters, view.history_version, house=view.house)

    async def _revalue(self, version: MarketVersion) -> MarketView:
        snapshot = await self.market.latest_snapshot()
        governing = in_force(await self.parameters.activations(), snapshot.as_of)
        if governing is None:
            raise no_risk_parameters()
        instruments = await self._prepared_instruments(version.instruments)
        kept, self._scenarios = self._scenarios, {}
        previous = None
        if governing.previous is not None:
            previous = await self._view_under(governing.previous, instruments, snapshot, version.history, kept)
        view = await self._view_under(governing.set_id, instruments, snapshot, version.history, kept)
        return replace(view, previous=previous, fraction=governing.fraction)

    async def _view_under(
        self,
        set_id: RiskParameterSetId,
        instruments: PreparedInstruments,
        snapshot: MarketSnapshot,
        history_version: int,
        kept: dict[tuple[object, ...], ScenarioSet],
    ) -> MarketView:
        parameters = await self.parameters.get_parameters(set_id)
        factors = required_factors(instruments, snapshot)
        key = (set_id, history_version, factors)
        scenarios = kept.get(key)
        if scenarios is None:
            scenarios = await self._build_scenarios(factors, parameters, history_version)
            # Recorded before anybody can be given a result that names the set.
            recipe = ScenarioRecipe(scenarios.content_hash, history_version, set_id, tuple(sorted(factors)))
            await self.market.record_scenarios(recipe)
        self._scenarios[key] = scenarios
        market = await self._revalue_with(instruments, snapshot, scenarios, parameters)
        return MarketView(snapshot, market, parameters, history_version)

    async def _build_scenarios(self, factors: frozenset[FactorId], parameters: RiskParameters, history_version: int) -> ScenarioSet:
        history = await self.market.load_history(version=history_version)
        return await self.compute.run(lambda: build_scenario_set(history, factors, parameters))

    async def _revalue_with(
        self, instruments: PreparedInstruments, snapshot: MarketSnapshot, scenarios: ScenarioSet, parameters: RiskParameters
    ) -> RevaluedMarket:
        return await self.compute.run(lambda: revalue_market(instruments, snapshot, scenarios, parameters, kernels=self.kernels))

    async def _prepared_instruments(self, version: int) -> PreparedInstruments:
        """Return all instruments, as they were laid out for the snapshot before if none has been created since."""
        if self._prepared is None or self._prepared[0] != version:
            # The version was read first, so what is kept under it is never older than it says.
            instruments = await self._all_instruments()
            self._prepared = version, await self.compute.run(lambda: prepared(instruments))
        return self._prepared[1]

    async def _all_instruments(self) -> list[Instrument]:
        found: list[Instrument] = []
        while True:
            page = await self.instruments.list_instruments(Page(_PAGE_SIZE, found[-1].instrument_id if found else None))
            found += page
            if len(page) < _PAGE_SIZE:
                return found
