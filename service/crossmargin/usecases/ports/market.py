"""Snapshots, factor history and what was built from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import HouseViewId, RiskParameterSetId, SnapshotId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot


@dataclass(frozen=True, slots=True)
class MarketVersion:
    """What a revalued market was made of: two of them are equal when nothing of it has changed in between.

    Attributes:
        parameters: Changes with every change of which risk parameters are in force, and when.
        instruments: See `InstrumentReader.instruments_version`. history: See `MarketStore.history_version`.
    """

    snapshot_id: SnapshotId | None
    parameters: int
    instruments: int
    history: int


@dataclass(frozen=True, slots=True)
class ScenarioRecipe:
    """What a scenario set was built from, so that it can be built again.

    Attributes:
        content_hash: Of the scenario set.
        history_version: The history as it was after so many imports.
        factors: The factors asked for, sorted.
    """

    content_hash: str
    history_version: int
    parameter_set_id: RiskParameterSetId
    factors: tuple[FactorId, ...]


class MarketStore(Protocol):
    """Snapshots, factor history in all its versions, what scenario sets were built from, and views over the house."""

    async def latest_snapshot(self) -> MarketSnapshot:
        """Return the snapshot with the latest as_of; NO_MARKET_SNAPSHOT if there is none."""
        ...

    async def latest_snapshot_id(self) -> SnapshotId | None:
        """Return the id of the snapshot with the latest as_of without reading it; None if there is none."""
        ...

    async def snapshot_before(self, moment: datetime) -> MarketSnapshot | None:
        """Return the snapshot with the latest as_of before a moment, of several at one time the one stored last; None if there is none."""
        ...

    async def get_snapshot(self, snapshot_id: SnapshotId) -> MarketSnapshot:
        """Return a snapshot; UNKNOWN_SNAPSHOT if there is none."""
        ...

    async def import_history(self, history: FactorHistory) -> int:
        """Store levels, replacing those of the same factor and date; return how many levels were stored."""
        ...

    async def load_history(self, factors: Sequence[FactorId] | None = None, *, version: int | None = None) -> FactorHistory:
        """Return the history of some factors, or of all, as of a version or the latest; factors without any are absent."""
        ...

    async def market_version(self) -> MarketVersion:
        """Return what a market revalued now would be made of; caches compare it."""
        ...

    async def history_version(self) -> int:
        """Return a number that grows with every import; caches compare it."""
        ...

    async def record_scenarios(self, recipe: ScenarioRecipe) -> None:
        """Keep what a scenario set was built from; the first recipe of a set is kept, another changes nothing."""
        ...

    async def scenario_recipe(self, content_hash: str) -> ScenarioRecipe:
        """Return what a scenario set was built from; UNKNOWN_SCENARIO_SET if none of this content ever was."""
        ...

    async def record_house_view(self, view: HouseView, *, epoch: int) -> None:
        """Keep a view over all accounts; from now on it is the latest. The one that is the latest already changes nothing.

        Raises:
            LeadershipLostError: Another process has become the leader since `epoch` began; nothing is stored.
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE.
        """
        ...

    async def latest_house_view_id(self) -> HouseViewId | None:
        """Return the id of the view that was recorded last without reading it; None if there is none."""
        ...

    async def get_house_view(self, view_id: HouseViewId) -> HouseView:
        """Return a view; UNKNOWN_HOUSE_VIEW if there is none."""
        ...
