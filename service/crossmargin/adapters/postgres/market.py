"""Market snapshots, the history of risk factors, and what scenario sets were built from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from sqlalchemy import ARRAY, BigInteger, DateTime, Numeric, Select, Text, any_, bindparam, cast, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, distinct_on, insert

from crossmargin.adapters.postgres.counters import advance, counter_value
from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.driver_errors import caller_error
from crossmargin.adapters.postgres.leadership import check_epoch
from crossmargin.adapters.postgres.peg import peg_from_json
from crossmargin.adapters.postgres.quality import quality_from_json
from crossmargin.adapters.postgres.row_scope import SET_CLIENTS, clients_setting
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import factor_history, factor_level, house_view, market_snapshot, scenario_set
from crossmargin.domain.client_scope import WHOLE_HOUSE
from crossmargin.domain.house import HouseView, house_view_from_document
from crossmargin.domain.identifiers import HouseViewId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.market import FactorHistory, FactorId, MarketSnapshot
from crossmargin.usecases.ports.market import MarketVersion, ScenarioRecipe
from crossmargin.usecases.storage_errors import no_market_snapshot, unknown_house_view, unknown_scenario_set, unknown_snapshot

_HISTORY_VERSION: Final = "history"
_CONTENT: Final = select(
    market_snapshot.c.as_of,
    market_snapshot.c.levels,
    market_snapshot.c.marks,
    market_snapshot.c.level_quality,
    market_snapshot.c.mark_quality,
    market_snapshot.c.pegs,
)
_LATEST_FIRST: Final = (market_snapshot.c.as_of.desc(), market_snapshot.c.stored_order.desc())
_LATEST: Final = compiled(_CONTENT.order_by(*_LATEST_FIRST).limit(1))
_LATEST_ID: Final = compiled(select(market_snapshot.c.snapshot_id).order_by(*_LATEST_FIRST).limit(1))
_IS_BEFORE: Final = market_snapshot.c.as_of < bindparam("moment", type_=DateTime(timezone=True))
_BEFORE: Final = compiled(_CONTENT.where(_IS_BEFORE).order_by(*_LATEST_FIRST).limit(1))
ID_BEFORE: Final = compiled(select(market_snapshot.c.snapshot_id).where(_IS_BEFORE).order_by(*_LATEST_FIRST).limit(1))
SNAPSHOTS: Final = "snapshots"
"""The counter that whoever stores a snapshot advances, so that no two look for the one before theirs at once."""
SNAPSHOT_BY_ID: Final = compiled(_CONTENT.where(market_snapshot.c.snapshot_id == bindparam("snapshot_id", type_=Text)))

_HISTORY: Final = select(
    factor_history.c.factor,
    func.array_agg(aggregate_order_by(factor_history.c.date, factor_history.c.date)).label("dates"),
    func.array_agg(aggregate_order_by(cast(factor_history.c.level, Numeric), factor_history.c.date)).label("levels"),
).group_by(factor_history.c.factor)
_WHOLE_HISTORY: Final = compiled(_HISTORY)
_SOME_HISTORY: Final = compiled(_HISTORY.where(factor_history.c.factor == any_(bindparam("factors", type_=ARRAY(Text)))))

_IS_KNOWN: Final = factor_level.c.version <= bindparam("version", type_=BigInteger)
_LEVELS_AT: Final = (
    select(factor_level.c.factor, factor_level.c.date, factor_level.c.level)
    .ext(distinct_on(factor_level.c.factor, factor_level.c.date))
    .order_by(factor_level.c.factor, factor_level.c.date, factor_level.c.version.desc())
)


def _history_at(levels: Select[Any]) -> Statement:
    known = levels.where(_IS_KNOWN).subquery("known")
    return compiled(
        select(
            known.c.factor,
            func.array_agg(aggregate_order_by(known.c.date, known.c.date)).label("dates"),
            func.array_agg(aggregate_order_by(cast(known.c.level, Numeric), known.c.date)).label("levels"),
        ).group_by(known.c.factor)
    )


_WHOLE_HISTORY_AT: Final = _history_at(_LEVELS_AT)
_SOME_HISTORY_AT: Final = _history_at(_LEVELS_AT.where(factor_level.c.factor == any_(bindparam("factors", type_=ARRAY(Text)))))

_MARKET_VERSION: Final = Statement(b"SELECT * FROM read_market_version()", {}, frozenset())

_RECORD_SCENARIOS: Final = compiled(
    insert(scenario_set)
    .values({column.name: bindparam(column.name, type_=column.type) for column in scenario_set.columns})
    .on_conflict_do_nothing()
    .returning(scenario_set.c.content_hash)
)
_SCENARIOS: Final = compiled(
    select(scenario_set.c.history_version, scenario_set.c.parameter_set_id, scenario_set.c.factors).where(
        scenario_set.c.content_hash == bindparam("content_hash", type_=Text)
    )
)

_LATEST_VIEW: Final = select(house_view.c.view_id).order_by(house_view.c.recorded_order.desc()).limit(1)
LATEST_HOUSE_VIEW: Final = compiled(_LATEST_VIEW)
_HOUSE_VIEW: Final = compiled(select(house_view.c.document).where(house_view.c.view_id == bindparam("view_id", type_=Text)).limit(1))
_RECORD_HOUSE_VIEW: Final = compiled(
    insert(house_view)
    .from_select(
        ["view_id", "document"],
        select(bindparam("view_id", type_=Text), bindparam("document", type_=Text)).where(
            func.coalesce(_LATEST_VIEW.scalar_subquery(), "") != bindparam("view_id", type_=Text)
        ),
    )
    .returning(house_view.c.view_id)
)

_STAGE: Final = b"CREATE TEMPORARY TABLE staged (factor text, date date, level numeric) ON COMMIT DROP"
_COPY: Final = b"COPY staged (factor, date, level) FROM STDIN"
_UPSERT: Final = b"""
INSERT INTO factor_history (factor, date, level) SELECT factor, date, level FROM staged
ON CONFLICT (factor, date) DO UPDATE SET level = excluded.level
"""


class PostgresMarketStore:
    """See `MarketStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest_snapshot(self) -> MarketSnapshot:
        """Return the snapshot with the latest as_of; NO_MARKET_SNAPSHOT if there is none."""
        row = await self._database.row(_LATEST)
        if row is None:
            raise no_market_snapshot()
        return snapshot_from_row(row)

    async def latest_snapshot_id(self) -> SnapshotId | None:
        """Return the id of the snapshot with the latest as_of without reading it; None if there is none."""
        row = await self._database.row(_LATEST_ID)
        return SnapshotId(row["snapshot_id"]) if row else None

    async def snapshot_before(self, moment: datetime) -> MarketSnapshot | None:
        """Return the snapshot with the latest as_of before a moment, of several the one stored last; None if there is none."""
        row = await self._database.row(_BEFORE, moment=moment)
        return None if row is None else snapshot_from_row(row)

    async def get_snapshot(self, snapshot_id: SnapshotId) -> MarketSnapshot:
        """Return a snapshot; UNKNOWN_SNAPSHOT if there is none."""
        row = await self._database.row(SNAPSHOT_BY_ID, snapshot_id=snapshot_id)
        if row is None:
            raise unknown_snapshot(snapshot_id)
        return snapshot_from_row(row)

    async def import_history(self, history: FactorHistory) -> int:
        """Store levels, replacing those of the same factor and date; return how many levels were stored."""
        return await self._database.shielded(self._import(history))

    async def load_history(self, factors: Sequence[FactorId] | None = None, *, version: int | None = None) -> FactorHistory:
        """Return the history of some factors, or of all, as of a version or the latest; factors without any are absent."""
        whole, some = (_WHOLE_HISTORY, _SOME_HISTORY) if version is None else (_WHOLE_HISTORY_AT, _SOME_HISTORY_AT)
        values: dict[str, object] = {} if version is None else {"version": version}
        if factors is None:
            return await self._database.shielded(self._load(whole, values))
        return await self._database.shielded(self._load(some, {**values, "factors": [str(factor) for factor in factors]}))

    async def market_version(self) -> MarketVersion:
        """Return what a market revalued now would be made of."""
        return market_version_from_row((await self._database.rows(_MARKET_VERSION))[0])

    async def history_version(self) -> int:
        """Return a number that grows with every import."""
        return await counter_value(self._database, _HISTORY_VERSION)

    async def record_scenarios(self, recipe: ScenarioRecipe) -> None:
        """Keep what a scenario set was built from; the first recipe of a set is kept."""
        await self._database.rows(
            _RECORD_SCENARIOS,
            content_hash=recipe.content_hash,
            history_version=recipe.history_version,
            parameter_set_id=recipe.parameter_set_id,
            factors=[str(factor) for factor in recipe.factors],
        )

    async def scenario_recipe(self, content_hash: str) -> ScenarioRecipe:
        """Return what a scenario set was built from; UNKNOWN_SCENARIO_SET if none of this content ever was."""
        row = await self._database.row(_SCENARIOS, content_hash=content_hash)
        if row is None:
            raise unknown_scenario_set(content_hash)
        factors = tuple(map(FactorId.parse, row["factors"]))
        return ScenarioRecipe(content_hash, row["history_version"], RiskParameterSetId(row["parameter_set_id"]), factors)

    async def record_house_view(self, view: HouseView, *, epoch: int) -> None:
        """Keep a view over all accounts; from now on it is the latest. The one that is the latest already changes nothing."""
        await self._database.shielded(self._record_house_view(view, epoch))

    async def latest_house_view_id(self) -> HouseViewId | None:
        """Return the id of the view that was recorded last without reading it; None if there is none."""
        rows = await self._database.house_rows(LATEST_HOUSE_VIEW)
        return HouseViewId(rows[0]["view_id"]) if rows else None

    async def get_house_view(self, view_id: HouseViewId) -> HouseView:
        """Return a view; UNKNOWN_HOUSE_VIEW if there is none."""
        rows = await self._database.house_rows(_HOUSE_VIEW, view_id=view_id)
        if not rows:
            raise unknown_house_view(view_id)
        return house_view_from_document(rows[0]["document"])

    async def _record_house_view(self, view: HouseView, epoch: int) -> None:
        values = _RECORD_HOUSE_VIEW.values({"view_id": view.view_id, "document": view.document})
        try:
            async with self._database.connection() as connection, connection.transaction():
                await connection.execute(SET_CLIENTS, (clients_setting(WHOLE_HOUSE),))
                await check_epoch(connection, epoch)
                await connection.execute(_RECORD_HOUSE_VIEW.sql, values)
        except psycopg.Error as error:
            raise caller_error(error) from error

    async def _import(self, history: FactorHistory) -> int:
        async with self._database.bulk() as connection:
            # Advancing first makes imports wait for one another, so that two of them never lock the same days crosswise.
            await advance(connection, _HISTORY_VERSION)
            return await _upsert(connection, history)

    async def _load(self, statement: Statement, values: dict[str, object]) -> FactorHistory:
        async with self._database.bulk() as connection:
            rows = await (await connection.execute(statement.sql, statement.values(values))).fetchall()
        return _history_from_rows(rows)


def market_version_from_row(row: Row) -> MarketVersion:
    """Return the version that the columns of `read_market_version` hold."""
    return MarketVersion(
        snapshot_id=None if row["snapshot_id"] is None else SnapshotId(row["snapshot_id"]),
        parameters=row["parameters_version"],
        instruments=row["instruments_version"],
        history=row["history_version"],
    )


def snapshot_from_row(row: Row) -> MarketSnapshot:
    """Return the snapshot that a row of `market_snapshot` holds."""
    return MarketSnapshot(
        as_of=row["as_of"],
        levels={FactorId.parse(factor): Decimal(level) for factor, level in row["levels"].items()},
        marks={InstrumentId(name): Decimal(mark) for name, mark in row["marks"].items()},
        level_quality={FactorId.parse(factor): quality_from_json(known) for factor, known in row["level_quality"].items()},
        mark_quality={InstrumentId(name): quality_from_json(known) for name, known in row["mark_quality"].items()},
        pegs={InstrumentId(name): peg_from_json(known) for name, known in row["pegs"].items()},
    )


async def _upsert(connection: Connection, history: FactorHistory) -> int:
    await connection.execute(_STAGE)
    async with connection.cursor() as cursor:
        async with cursor.copy(_COPY) as copy:
            for factor, column in history.levels.items():
                name = str(factor)
                for day, level in zip(history.dates, column, strict=True):
                    if level is not None:
                        await copy.write_row((name, day, level))
        await cursor.execute(_UPSERT)
        return cursor.rowcount


def _history_from_rows(rows: Sequence[Row]) -> FactorHistory:
    columns: dict[FactorId, dict[date, Decimal]] = {
        FactorId.parse(row["factor"]): dict(zip(row["dates"], row["levels"], strict=True)) for row in rows
    }
    dates = tuple(sorted(set().union(*columns.values())))
    return FactorHistory(dates, {factor: tuple(map(column.get, dates)) for factor, column in columns.items()})
