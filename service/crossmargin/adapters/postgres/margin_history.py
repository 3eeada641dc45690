"""What house runs found, over time: one statement for each run, whatever the number of accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, ColumnElement, DateTime, Numeric, Text, and_, bindparam, cast, false, func, or_, select

from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.driver_errors import caller_error
from crossmargin.adapters.postgres.leadership import check_epoch
from crossmargin.adapters.postgres.row_scope import SET_CLIENTS, clients_setting
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import account, account_band, house_run, margin_history
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, HouseViewId, RiskParameterSetId, SnapshotId
from crossmargin.domain.margin import Band, MarginStamp, RampStamp
from crossmargin.domain.margin_history import HistoryTiers, MarginPoint, StoredPoint, check_one_run, runs_to_thin
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.outlook import Trend
from crossmargin.usecases.ports.margin import HistoryFilter
from crossmargin.usecases.storage_errors import unknown_account

RECORD_LIMIT_S: Final = 10.0
"""A run of some thousand accounts is stored within a second; a database that takes longer holds up the next run no further than this."""
_THIN_AT_ONCE: Final = 500

_RECORD: Final = b"""
WITH this_run AS (
    INSERT INTO house_run (recorded_at, epoch, snapshot_id, as_of, parameter_set_id, parameters_hash, scenario_set_hash, engine_version,
        ramp, house_view_id, has_change)
    VALUES (clock_timestamp(), %(epoch)s, %(snapshot_id)s, %(as_of)s, %(parameter_set_id)s, %(parameters_hash)s, %(scenario_set_hash)s,
        %(engine_version)s, %(ramp)s, %(house_view_id)s, %(has_change)s)
    RETURNING run, recorded_at
), given AS (
    SELECT * FROM unnest(%(clients)s::text[], %(accounts)s::text[], %(sequences)s::bigint[], %(methodologies)s::text[],
        %(utilizations)s::numeric[], %(equities)s::numeric[], %(maintenance)s::numeric[], %(initial)s::numeric[],
        %(plain_bands)s::text[], %(bands)s::text[], %(bands_before)s::text[], %(immediate)s::boolean[])
    AS point (client_id, account_id, sequence, methodology, utilization, equity, maintenance_margin, initial_margin, plain_band, band,
        band_before, is_immediate)
), kept AS (
    INSERT INTO margin_history (client_id, account_id, run, sequence, methodology, utilization, equity, maintenance_margin,
        initial_margin, plain_band, band, band_before, is_immediate)
    SELECT given.client_id, given.account_id, this_run.run, given.sequence, given.methodology, given.utilization, given.equity,
        given.maintenance_margin, given.initial_margin, given.plain_band, given.band, given.band_before, given.is_immediate
    FROM given, this_run
)
INSERT INTO account_band AS held (client_id, account_id, band, is_immediate, since, run)
SELECT given.client_id, given.account_id, given.band, given.is_immediate, this_run.recorded_at, this_run.run FROM given, this_run
ON CONFLICT (client_id, account_id) DO UPDATE SET
    band = excluded.band, is_immediate = excluded.is_immediate, run = excluded.run,
    since = CASE WHEN held.band = excluded.band THEN held.since ELSE excluded.since END
"""

_BANDS: Final = compiled(select(account_band))
_BAND: Final = compiled(
    select(account_band).where(
        account_band.c.client_id == bindparam("client_id", type_=Text), account_band.c.account_id == bindparam("account_id", type_=Text)
    )
)
_START: Final = bindparam("start", type_=DateTime(timezone=True))
_END: Final = bindparam("end", type_=DateTime(timezone=True))
_POINTS: Final = compiled(
    select(margin_history, *(column for column in house_run.columns if column.name != "run"))
    .join(house_run, house_run.c.run == margin_history.c.run)
    .where(
        margin_history.c.client_id == bindparam("client_id", type_=Text),
        margin_history.c.account_id == bindparam("account_id", type_=Text),
        margin_history.c.run > bindparam("after_run", type_=BigInteger),
        or_(_START.is_(None), house_run.c.recorded_at >= _START),
        or_(_END.is_(None), house_run.c.recorded_at < _END),
    )
    .order_by(margin_history.c.run)
    .limit(bindparam("size", type_=BigInteger))
)
_ACCOUNT: Final = compiled(
    select(account.c.account_id).where(
        account.c.client_id == bindparam("client_id", type_=Text), account.c.account_id == bindparam("account_id", type_=Text)
    )
)


def _trends() -> Statement:
    """Return the statement that adds up, by account, the steps between two runs that nothing has disturbed (see `trend_of`)."""
    joined = margin_history.join(house_run, house_run.c.run == margin_history.c.run)
    by_account: dict[str, Any] = {
        "partition_by": (margin_history.c.client_id, margin_history.c.account_id),
        "order_by": margin_history.c.run,
    }

    def before(column: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.lag(column).over(**by_account)

    equity, maintenance = (cast(column, Numeric) for column in (margin_history.c.equity, margin_history.c.maintenance_margin))
    same = (margin_history.c.sequence, margin_history.c.methodology, house_run.c.parameters_hash)
    steps = (
        select(
            margin_history.c.client_id,
            margin_history.c.account_id,
            (equity - before(equity)).label("equity"),
            (maintenance - before(maintenance)).label("maintenance_margin"),
            (house_run.c.recorded_at - before(house_run.c.recorded_at)).label("observed"),
            and_(
                *(column == before(column) for column in same),
                cast(house_run.c.ramp, Text).is_not_distinct_from(before(cast(house_run.c.ramp, Text))),
            ).label("is_undisturbed"),
        )
        .select_from(joined)
        .where(house_run.c.recorded_at >= bindparam("since", type_=DateTime(timezone=True)))
        .subquery()
    )
    return compiled(
        select(
            steps.c.client_id,
            steps.c.account_id,
            func.sum(steps.c.equity).label("equity"),
            func.sum(steps.c.maintenance_margin).label("maintenance_margin"),
            func.sum(steps.c.observed).label("observed"),
        )
        .where(steps.c.is_undisturbed)
        .group_by(steps.c.client_id, steps.c.account_id)
    )


_TRENDS: Final = _trends()
_RUNS: Final = compiled(
    select(house_run.c.run, house_run.c.recorded_at, func.now().label("now")).where(house_run.c.is_thinned.is_(false()))
)
# By account and run, which is the key, because nothing leads to a run without its accounts.
_THIN_POINTS: Final = b"""
DELETE FROM margin_history AS point USING account
WHERE point.client_id = account.client_id AND point.account_id = account.account_id AND point.run = ANY(%(runs)s::bigint[])
    AND point.band_before IS NOT DISTINCT FROM point.band
"""
_KEEP_RUNS: Final = b"UPDATE house_run SET is_thinned = true WHERE run = ANY(%(runs)s::bigint[]) AND has_change"
_THIN_RUNS: Final = b"DELETE FROM house_run WHERE run = ANY(%(runs)s::bigint[]) AND NOT has_change"


class PostgresMarginHistory:
    """See `MarginHistory`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_run(self, points: Sequence[MarginPoint], *, epoch: int) -> None:
        """Store one house run, and with it the bands of its accounts."""
        check_one_run(points)
        await self._database.shielded(self._record(points, epoch))

    async def bands(self) -> Mapping[AccountRef, BandState]:
        """Return where every account was last held to be."""
        return {_account(row): _state(row) for row in await self._database.rows(_BANDS)}

    async def band_of(self, ref: AccountRef) -> BandState | None:
        """Return where an account was last held to be."""
        row = await self._database.row(_BAND, client_id=ref.client_id, account_id=ref.account_id)
        return None if row is None else _state(row)

    async def list_points(self, ref: AccountRef, chosen: HistoryFilter, *, after_run: int, limit: int) -> Sequence[StoredPoint]:
        """Return points of an account, oldest first."""
        names: dict[str, Any] = {"client_id": ref.client_id, "account_id": ref.account_id}
        rows = await self._database.rows(_POINTS, **names, start=chosen.start, end=chosen.end, after_run=after_run, size=limit)
        if not rows and await self._database.row(_ACCOUNT, **names) is None:
            raise unknown_account(ref)
        return list(map(_stored_point, rows))

    async def trends(self, *, since: datetime) -> Mapping[AccountRef, Trend]:
        """Return how far each account came by itself."""
        rows = await self._database.rows(_TRENDS, since=since)
        return {_account(row): Trend(row["equity"], row["maintenance_margin"], row["observed"]) for row in rows}

    async def thin(self, tiers: HistoryTiers) -> int:
        """Take out the points of runs that are too many for their age."""
        rows = await self._database.rows(_RUNS)
        doomed = runs_to_thin([(row["run"], row["recorded_at"]) for row in rows], rows[0]["now"], tiers) if rows else []
        for start in range(0, len(doomed), _THIN_AT_ONCE):
            async with self._database.bulk() as connection:
                for statement in (_THIN_POINTS, _KEEP_RUNS, _THIN_RUNS):
                    await connection.execute(statement, {"runs": doomed[start : start + _THIN_AT_ONCE]})
        return len(doomed)

    async def _record(self, points: Sequence[MarginPoint], epoch: int) -> None:
        try:
            async with self._database.connection(limit_s=RECORD_LIMIT_S) as connection, connection.transaction():
                await connection.execute(SET_CLIENTS, (clients_setting(),))
                await check_epoch(connection, epoch)
                if points:
                    await record_points(connection, points, epoch)
        except psycopg.Error as error:
            raise caller_error(error) from error


async def record_points(connection: Connection, points: Sequence[MarginPoint], epoch: int) -> None:
    """Store the points of one run, of which there is at least one, within the connection's transaction."""
    stamp = points[0].stamp
    await connection.execute(b"SET LOCAL statement_timeout = '8s'")
    await connection.execute(
        _RECORD,
        {
            "epoch": epoch,
            "snapshot_id": stamp.snapshot_id,
            "as_of": stamp.as_of,
            "parameter_set_id": stamp.parameter_set_id,
            "parameters_hash": stamp.parameters_hash,
            "scenario_set_hash": stamp.scenario_set_hash,
            "engine_version": stamp.engine_version,
            "ramp": None if stamp.ramp is None else Jsonb(_ramp_to_json(stamp.ramp)),
            "house_view_id": stamp.house_view_id,
            "has_change": any(point.is_change for point in points),
            "clients": [point.stamp.account.client_id for point in points],
            "accounts": [point.stamp.account.account_id for point in points],
            "sequences": [point.stamp.sequence for point in points],
            "methodologies": [point.stamp.methodology.value for point in points],
            "utilizations": [point.utilization for point in points],
            "equities": [point.equity for point in points],
            "maintenance": [point.maintenance_margin for point in points],
            "initial": [point.initial_margin for point in points],
            "plain_bands": [point.plain_band.value for point in points],
            "bands": [point.band.value for point in points],
            "bands_before": [None if point.band_before is None else point.band_before.value for point in points],
            "immediate": [point.is_immediate for point in points],
        },
    )


def _stored_point(row: Row) -> StoredPoint:
    stamp = MarginStamp(
        account=_account(row),
        sequence=row["sequence"],
        snapshot_id=SnapshotId(row["snapshot_id"]),
        as_of=row["as_of"],
        parameter_set_id=RiskParameterSetId(row["parameter_set_id"]),
        parameters_hash=row["parameters_hash"],
        scenario_set_hash=row["scenario_set_hash"],
        engine_version=row["engine_version"],
        ramp=None if row["ramp"] is None else _ramp_from_json(row["ramp"]),
        methodology=Methodology(row["methodology"]),
        house_view_id=None if row["house_view_id"] is None else HouseViewId(row["house_view_id"]),
    )
    point = MarginPoint(
        stamp=stamp,
        utilization=row["utilization"],
        equity=row["equity"],
        maintenance_margin=row["maintenance_margin"],
        initial_margin=row["initial_margin"],
        plain_band=Band(row["plain_band"]),
        band=Band(row["band"]),
        is_immediate=row["is_immediate"],
        band_before=None if row["band_before"] is None else Band(row["band_before"]),
    )
    return StoredPoint(row["run"], row["recorded_at"], point)


def _account(row: Row) -> AccountRef:
    return AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"]))


def _state(row: Row) -> BandState:
    return BandState(Band(row["band"]), row["is_immediate"], row["since"])


def _ramp_to_json(ramp: RampStamp) -> dict[str, str]:
    return {
        "parameter_set_id": ramp.parameter_set_id,
        "parameters_hash": ramp.parameters_hash,
        "scenario_set_hash": ramp.scenario_set_hash,
        "fraction": str(ramp.fraction),
    }


def _ramp_from_json(ramp: Mapping[str, str]) -> RampStamp:
    set_id = RiskParameterSetId(ramp["parameter_set_id"])
    return RampStamp(set_id, ramp["parameters_hash"], ramp["scenario_set_hash"], Decimal(ramp["fraction"]))
