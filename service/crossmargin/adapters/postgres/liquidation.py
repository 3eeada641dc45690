"""Liquidations and their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from psycopg import errors
from psycopg.types.json import Jsonb
from sqlalchemy import BigInteger, DateTime, Text, and_, bindparam, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.statements import compiled
from crossmargin.adapters.postgres.tables import liquidation, liquidation_step
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, PendingRequestId, SnapshotId
from crossmargin.domain.liquidation import PlannedTrade
from crossmargin.domain.liquidation_life import (
    OPEN_STATES,
    Fill,
    FillFlag,
    Liquidation,
    LiquidationOrder,
    LiquidationState,
    LiquidationStep,
    LiquidationStepKind,
)
from crossmargin.domain.margin import Band
from crossmargin.domain.pending_request import Persons
from crossmargin.domain.stress import StressStanding
from crossmargin.usecases.ports.liquidation import LiquidationFilter
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import unknown_account, unknown_liquidation

_CLIENT: Final = bindparam("client_id", type_=Text)
_ACCOUNT: Final = bindparam("account_id", type_=Text)
_ID: Final = bindparam("liquidation_id", type_=Text)
_OF_ACCOUNT: Final = and_(liquidation.c.client_id == _CLIENT, liquidation.c.account_id == _ACCOUNT)
_IS_OPEN: Final = liquidation.c.state.in_(sorted(state.value for state in OPEN_STATES))
_KEY: Final = (liquidation.c.client_id, liquidation.c.account_id, liquidation.c.approved_at, liquidation.c.liquidation_id)
_BY_NAME: Final = compiled(select(liquidation).where(_OF_ACCOUNT, liquidation.c.liquidation_id == _ID))
_OPEN: Final = compiled(select(liquidation).where(_OF_ACCOUNT, liquidation.c.ended_at.is_(None)))
_EVERY_OPEN: Final = compiled(select(liquidation).where(liquidation.c.ended_at.is_(None)).order_by(*_KEY))
_OPEN_AT: Final = bindparam("open_at", type_=DateTime(timezone=True))
_AFTER: Final = tuple_(
    bindparam("after_client", type_=Text(collation="C")),
    bindparam("after_account", type_=Text(collation="C")),
    bindparam("after_moment", type_=DateTime(timezone=True)),
    bindparam("after_id", type_=Text(collation="C")),
)
_LIST: Final = compiled(
    select(liquidation)
    .where(
        or_(_CLIENT.is_(None), liquidation.c.client_id == _CLIENT),
        or_(_ACCOUNT.is_(None), liquidation.c.account_id == _ACCOUNT),
        or_(_OPEN_AT.is_(None), and_(liquidation.c.ended_at.is_(None), liquidation.c.expires_at > _OPEN_AT)),
        tuple_(*_KEY) > _AFTER,
    )
    .order_by(*_KEY)
    .limit(bindparam("size", type_=BigInteger))
)
_STEPS: Final = compiled(
    select(liquidation_step)
    .where(
        liquidation_step.c.client_id == _CLIENT,
        liquidation_step.c.account_id == _ACCOUNT,
        liquidation_step.c.liquidation_id == _ID,
    )
    .order_by(liquidation_step.c.number)
)
_NEW: Final = insert(liquidation).values({column.name: bindparam(column.name, type_=column.type) for column in liquidation.columns})
_CHANGES: Final = ("state", "ended_at", "last_step", "document")
_STORE: Final = compiled(
    _NEW.on_conflict_do_update(constraint=liquidation.primary_key, set_={name: _NEW.excluded[name] for name in _CHANGES})
)
_STORE_STEP: Final = compiled(
    insert(liquidation_step).values({column.name: bindparam(column.name, type_=column.type) for column in liquidation_step.columns})
)
_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)


class PostgresLiquidationStore:
    """See `LiquidationStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_liquidation(self, ref: AccountRef, liquidation_id: PendingRequestId) -> Liquidation:
        """Return a liquidation as it was last written; UNKNOWN_LIQUIDATION."""
        row = await self._database.row(_BY_NAME, **_name(ref), liquidation_id=liquidation_id)
        if row is None:
            raise unknown_liquidation(ref, liquidation_id)
        return _liquidation(row)

    async def open_liquidation(self, ref: AccountRef) -> Liquidation | None:
        """Return the liquidation of an account that has not ended."""
        row = await self._database.row(_OPEN, **_name(ref))
        return None if row is None else _liquidation(row)

    async def open_liquidations(self) -> Sequence[Liquidation]:
        """Return every liquidation that has not ended."""
        return list(map(_liquidation, await self._database.rows(_EVERY_OPEN)))

    async def list_liquidations(self, chosen: LiquidationFilter, page: Page) -> Sequence[Liquidation]:
        """Return liquidations in the order of account, time of approval and name."""
        client_id, account_id, moment, liquidation_id = page.after.split(" ") if page.after else ("", "", _FIRST.isoformat(), "")
        rows = await self._database.rows(
            _LIST,
            client_id=chosen.account.client_id if chosen.account else chosen.client_id,
            account_id=chosen.account.account_id if chosen.account else None,
            open_at=chosen.open_at,
            after_client=client_id,
            after_account=account_id,
            after_moment=datetime.fromisoformat(moment),
            after_id=liquidation_id,
            size=page.size,
        )
        return list(map(_liquidation, rows))

    async def list_steps(self, ref: AccountRef, liquidation_id: PendingRequestId) -> Sequence[LiquidationStep]:
        """Return the steps of a liquidation in the order of their numbers."""
        return list(map(_step, await self._database.rows(_STEPS, **_name(ref), liquidation_id=liquidation_id)))


async def store_liquidation_record(connection: Connection, new: Liquidation | LiquidationStep) -> bool:
    """Store a liquidation in place of what it was, or a step; False for a second open liquidation, or a step that is there."""
    if isinstance(new, Liquidation):
        statement, values = _STORE, _values(new)
    else:
        statement, values = _STORE_STEP, _step_values(new)
    try:
        return (await connection.execute(statement.sql, statement.values(values))).rowcount == 1
    except errors.UniqueViolation:
        return False
    except errors.ForeignKeyViolation:
        raise unknown_account(new.account) from None


def _name(ref: AccountRef) -> dict[str, Any]:
    return {"client_id": ref.client_id, "account_id": ref.account_id}


def _ref(row: Row) -> AccountRef:
    return AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"]))


def _liquidation(row: Row) -> Liquidation:
    said = row["document"]
    return Liquidation(
        account=_ref(row),
        liquidation_id=PendingRequestId(row["liquidation_id"]),
        state=LiquidationState(row["state"]),
        orders=tuple(map(_order, said["orders"])),
        target_utilization=Decimal(said["target_utilization"]),
        snapshot_id=SnapshotId(said["snapshot_id"]),
        sequence=said["sequence"],
        approved_snapshot_id=SnapshotId(said["approved_snapshot_id"]),
        persons=Persons(row["asked_by"], row["confirmed_by"]),
        approved_at=row["approved_at"],
        expires_at=row["expires_at"],
        before=_standing(said["before"]),
        promised=_standing(said["promised"]),
        estimated_cost=Decimal(said["estimated_cost"]),
        cost=Decimal(said["cost"]),
        traded_value=Decimal(said.get("traded_value", "0")),
        standing=None if said["standing"] is None else _standing(said["standing"]),
        reported_at=datetime.fromisoformat(said["reported_at"]) if said.get("reported_at") else None,
        is_unreported=said.get("is_unreported", False),
        last_step=row["last_step"],
        ended_at=row["ended_at"],
    )


def _values(new: Liquidation) -> dict[str, Any]:
    said = {
        "orders": [_order_to_json(order) for order in new.orders],
        "target_utilization": str(new.target_utilization),
        "snapshot_id": new.snapshot_id,
        "sequence": new.sequence,
        "approved_snapshot_id": new.approved_snapshot_id,
        "before": _standing_to_json(new.before),
        "promised": _standing_to_json(new.promised),
        "estimated_cost": str(new.estimated_cost),
        "cost": str(new.cost),
        "traded_value": str(new.traded_value),
        "reported_at": None if new.reported_at is None else new.reported_at.isoformat(),
        "is_unreported": new.is_unreported,
        "standing": None if new.standing is None else _standing_to_json(new.standing),
    }
    return {
        **_name(new.account),
        "liquidation_id": new.liquidation_id,
        "state": new.state.value,
        "asked_by": new.persons.asked_by,
        "confirmed_by": new.persons.confirmed_by,
        "approved_at": new.approved_at,
        "expires_at": new.expires_at,
        "ended_at": new.ended_at,
        "last_step": new.last_step,
        "document": Jsonb(said),
    }


def _order(said: Mapping[str, Any]) -> LiquidationOrder:
    amounts = {name: Decimal(said[name]) for name in _AMOUNTS}
    settlement = None if said["settlement"] is None else InstrumentId(said["settlement"])
    return LiquidationOrder(PlannedTrade(InstrumentId(said["instrument_id"]), settlement=settlement, **amounts), Decimal(said["filled"]))


_AMOUNTS: Final = ("quantity", "expected_price", "limit_price", "cost", "contribution")


def _order_to_json(order: LiquidationOrder) -> dict[str, Any]:
    amounts = {name: str(getattr(order.trade, name)) for name in _AMOUNTS}
    return {"instrument_id": order.trade.instrument_id, "settlement": order.trade.settlement, **amounts, "filled": str(order.filled)}


def _standing(said: Mapping[str, Any]) -> StressStanding:
    utilization = None if said["utilization"] is None else Decimal(said["utilization"])
    return StressStanding(Decimal(said["equity"]), Decimal(said["maintenance_margin"]), utilization, Band(said["band"]))


def _standing_to_json(standing: StressStanding) -> dict[str, Any]:
    return {
        "equity": str(standing.equity),
        "maintenance_margin": str(standing.maintenance_margin),
        "utilization": None if standing.utilization is None else str(standing.utilization),
        "band": standing.band.value,
    }


def _step(row: Row) -> LiquidationStep:
    return LiquidationStep(
        account=_ref(row),
        liquidation_id=PendingRequestId(row["liquidation_id"]),
        number=row["number"],
        kind=LiquidationStepKind(row["kind"]),
        at=row["stepped_at"],
        by=row["stepped_by"],
        state=LiquidationState(row["state"]),
        text=row["words"],
        fill=None if row["fill"] is None else _fill(row["fill"]),
    )


def _fill(said: Mapping[str, Any]) -> Fill:
    return Fill(
        InstrumentId(said["instrument_id"]),
        Decimal(said["quantity"]),
        Decimal(said["price"]),
        said["sequence"],
        Decimal(said["cost"]),
        Decimal(said.get("value", "0")),
        Decimal(said.get("expected_cost", "0")),
        frozenset(map(FillFlag, said["flags"])),
        Decimal(said.get("opened", "0")),
    )


def _step_values(new: LiquidationStep) -> dict[str, Any]:
    return {
        **_name(new.account),
        "liquidation_id": new.liquidation_id,
        "number": new.number,
        "kind": new.kind.value,
        "stepped_at": new.at,
        "stepped_by": new.by,
        "state": new.state.value,
        "words": new.text,
        "fill": None if new.fill is None else Jsonb(_fill_to_json(new.fill)),
    }


def _fill_to_json(fill: Fill) -> dict[str, Any]:
    return {
        "instrument_id": fill.instrument_id,
        "quantity": str(fill.quantity),
        "price": str(fill.price),
        "sequence": fill.sequence,
        "cost": str(fill.cost),
        "value": str(fill.value),
        "expected_cost": str(fill.expected_cost),
        "flags": sorted(flag.value for flag in fill.flags),
        "opened": str(fill.opened),
    }
