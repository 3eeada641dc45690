"""Market snapshots, the history of risk factors, and what scenario sets were built from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from crossmargin.adapters.memory.database import MemoryDatabase
from crossmargin.adapters.memory.margin_history import check_epoch
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import HouseViewId, SnapshotId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.usecases.ports.market import MarketVersion, ScenarioRecipe
from crossmargin.usecases.storage_errors import no_market_snapshot, unknown_house_view, unknown_scenario_set, unknown_snapshot


class MemoryMarketStore:
    """See `MarketStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def latest_snapshot(self) -> MarketSnapshot:
        """Return the snapshot with the latest as_of; NO_MARKET_SNAPSHOT if there is none."""
        latest = _latest(self._database)
        if latest is None:
            raise no_market_snapshot()
        return latest

    async def latest_snapshot_id(self) -> SnapshotId | None:
        """Return the id of the snapshot with the latest as_of; None if there is none."""
        latest = _latest(self._database)
        return None if latest is None else latest.snapshot_id

    async def snapshot_before(self, moment: datetime) -> MarketSnapshot | None:
        """Return the snapshot with the latest as_of before a moment, of several the one stored last; None if there is none."""
        return latest_of(self._database.contents.snapshots.values(), before=moment)

    async def get_snapshot(self, snapshot_id: SnapshotId) -> MarketSnapshot:
        """Return a snapshot; UNKNOWN_SNAPSHOT if there is none."""
        if snapshot_id not in self._database.contents.snapshots:
            raise unknown_snapshot(snapshot_id)
        return self._database.contents.snapshots[snapshot_id]

    async def import_history(self, history: FactorHistory) -> int:
        """Store levels, replacing those of the same factor and date; return how many levels were stored."""
        self._database.history_version += 1
        stored = 0
        for factor, column in history.levels.items():
            given = {day: level for day, level in zip(history.dates, column, strict=True) if level is not None}
            days = self._database.history.setdefault(factor, {}) if given else {}
            for day, level in given.items():
                days.setdefault(day, {})[self._database.history_version] = level
            stored += len(given)
        return stored

    async def load_history(self, factors: Sequence[FactorId] | None = None, *, version: int | None = None) -> FactorHistory:
        """Return the history of some factors, or of all, as of a version or the latest; factors without any are absent."""
        last = self._database.history_version if version is None else version
        columns = {
            factor: {day: level for day, level in ((day, _as_of(known, last)) for day, known in days.items()) if level is not None}
            for factor, days in self._database.history.items()
            if factors is None or factor in factors
        }
        dates = tuple(sorted({day for column in columns.values() for day in column}))
        return FactorHistory(dates, {factor: tuple(map(column.get, dates)) for factor, column in columns.items() if column})

    async def market_version(self) -> MarketVersion:
        """Return what a market revalued now would be made of."""
        return market_version_of(self._database)

    async def history_version(self) -> int:
        """Return a number that grows with every import."""
        return self._database.history_version

    async def record_scenarios(self, recipe: ScenarioRecipe) -> None:
        """Keep what a scenario set was built from; the first recipe of a set is kept."""
        self._database.scenario_recipes.setdefault(recipe.content_hash, recipe)

    async def scenario_recipe(self, content_hash: str) -> ScenarioRecipe:
        """Return what a scenario set was built from; UNKNOWN_SCENARIO_SET if none of this content ever was."""
        if content_hash not in self._database.scenario_recipes:
            raise unknown_scenario_set(content_hash)
        return self._database.scenario_recipes[content_hash]

    async def record_house_view(self, view: HouseView, *, epoch: int) -> None:
        """Keep a view over all accounts as the latest."""
        check_epoch(self._database, epoch)
        # Taken out first, so that it comes last.
        self._database.house_views.pop(view.view_id, None)
        self._database.house_views[view.view_id] = view

    async def latest_house_view_id(self) -> HouseViewId | None:
        """Return the id of the view that was recorded last; None if there is none."""
        return next(reversed(self._database.house_views), None)

    async def get_house_view(self, view_id: HouseViewId) -> HouseView:
        """Return a view; UNKNOWN_HOUSE_VIEW if there is none."""
        if view_id not in self._database.house_views:
            raise unknown_house_view(view_id)
        return self._database.house_views[view_id]


def _as_of(known: dict[int, Decimal], version: int) -> Decimal | None:
    return next((level for since, level in reversed(known.items()) if since <= version), None)


def market_version_of(database: MemoryDatabase) -> MarketVersion:
    """Return what a market revalued now would be made of."""
    latest, contents = _latest(database), database.contents
    return MarketVersion(
        snapshot_id=None if latest is None else latest.snapshot_id,
        parameters=hash(tuple(contents.activations.items())),
        instruments=len(contents.instruments),
        history=database.history_version,
    )


def _latest(database: MemoryDatabase) -> MarketSnapshot | None:
    return latest_of(database.contents.snapshots.values())


def latest_of(snapshots: Iterable[MarketSnapshot], *, before: datetime | None = None) -> MarketSnapshot | None:
    """Return the latest of snapshots in the order they were stored, of those before a moment if one is given."""
    known = [snapshot for snapshot in snapshots if before is None or snapshot.as_of < before]
    # Of several at one moment the one stored last counts, and max() keeps the first it meets.
    return max(reversed(known), key=lambda snapshot: snapshot.as_of, default=None)
