"""Creates the records of a decision, inside its transaction.

A record that is there already with the same content is left alone, so that a request sent again under a new key does no harm.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Final

from psycopg import errors
from psycopg.types.json import Jsonb
from sqlalchemy import ARRAY, BigInteger, Table, Text, any_, bindparam, func, literal, select, update
from sqlalchemy.dialects.postgresql import Insert, insert

from crossmargin.adapters.postgres.books import ACCOUNT_BY_NAME, CLIENT_BY_ID, account_from_row, client_from_row
from crossmargin.adapters.postgres.counters import advance
from crossmargin.adapters.postgres.database import Connection, Row
from crossmargin.adapters.postgres.exposure_limits import LOCK_HEADS, REPLACE_LIMITS, limits_values
from crossmargin.adapters.postgres.halt import ASK_IN_TURN, REPLACE_HALT
from crossmargin.adapters.postgres.instrument_terms import terms_to_json
from crossmargin.adapters.postgres.instruments import INSTRUMENTS_BY_ID, INSTRUMENTS_VERSION, instrument_from_row
from crossmargin.adapters.postgres.leadership import check_epoch
from crossmargin.adapters.postgres.liquidation import store_liquidation_record
from crossmargin.adapters.postgres.margin_calls import store_call_record
from crossmargin.adapters.postgres.market import ID_BEFORE, SNAPSHOT_BY_ID, SNAPSHOTS, snapshot_from_row
from crossmargin.adapters.postgres.peg import pegs_to_json
from crossmargin.adapters.postgres.pending_requests import end_pending, store_pending
from crossmargin.adapters.postgres.quality import quality_to_json
from crossmargin.adapters.postgres.reconciliation import store_note, store_statement
from crossmargin.adapters.postgres.risk_parameters import PARAMETERS_BY_ID, STORED_ORDER
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import (
    account,
    account_head,
    client,
    collateral_policy,
    instrument,
    market_snapshot,
    risk_parameters,
)
from crossmargin.domain.account import GENESIS_HASH, Account, AccountStatus, Client
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.collateral import AccountCollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.instrument import Instrument
from crossmargin.domain.liquidation_life import Liquidation, LiquidationStep
from crossmargin.domain.methodology import AccountMethodology
from crossmargin.domain.money import format_decimal
from crossmargin.domain.parameter_governance import Governance, GovernanceChange, GovernedParameters, ParameterState
from crossmargin.domain.pending_request import PendingEnd, PendingRequest
from crossmargin.domain.reconciliation import BreakNote, ReconciledStatement
from crossmargin.usecases.ports.writing import PrecedingSnapshotChangedError, PublishedSnapshot, Record, UnderLead
from crossmargin.usecases.storage_errors import already_exists, parameters_changed, unknown_account, unknown_client, unknown_instrument


async def store_record(connection: Connection, record: Record) -> None:  # noqa: PLR0912 - one for each kind of record
    """Create a record, or leave an equal one alone; a policy or a methodology replaces the one before.

    Raises:
        DomainError: ALREADY_EXISTS when the name is taken by another content; UNKNOWN_CLIENT, UNKNOWN_ACCOUNT or UNKNOWN_INSTRUMENT when
            the record refers to something that does not exist; PARAMETERS_CHANGED when a change was decided on what is no longer so.
        LeadershipLostError: The decision was to be written under a lead that is over.
    """
    match record:
        case Client():
            is_stored = await _store_client(connection, record)
        case Account():
            is_stored = await _store_account(connection, record)
        case Instrument():
            is_stored = await _store_instrument(connection, record)
        case AccountCollateralPolicy() | AccountMethodology():
            is_stored = await _replace(connection, record)
        case PublishedSnapshot():
            is_stored = await _store_snapshot(connection, record)
        case GovernedParameters():
            is_stored = await _store_risk_parameters(connection, record)
        case GovernanceChange():
            is_stored = await _change_governance(connection, record)
        case ExposureLimits():
            is_stored = await _store_limits(connection, record)
        case Halt():
            is_stored = await _store_halt(connection, record)
        case ReconciledStatement():
            is_stored = await store_statement(connection, record)
        case BreakNote():
            is_stored = await store_note(connection, record)
        case CallAgreement() | MarginCall() | CallNotice():
            is_stored = await store_call_record(connection, record)
        case UnderLead():
            await check_epoch(connection, record.epoch)
            is_stored = True
        case Liquidation() | LiquidationStep():
            is_stored = await store_liquidation_record(connection, record)
        case PendingRequest():
            is_stored = await store_pending(connection, record)
        case PendingEnd():
            is_stored = await end_pending(connection, record)
    if not is_stored:
        raise already_exists(record)


async def _store_client(connection: Connection, new: Client) -> bool:
    if await _run(connection, _INSERT_CLIENT, client_id=new.client_id, display_name=new.display_name):
        return True
    return client_from_row(await _row(connection, CLIENT_BY_ID, client_id=new.client_id)) == new


async def _store_account(connection: Connection, new: Account) -> bool:
    name = {"client_id": new.ref.client_id, "account_id": new.ref.account_id}
    try:
        is_new = await _run(connection, _INSERT_ACCOUNT, **name, display_name=new.display_name, mode=new.mode.value, parent_id=new.parent)
    except errors.ForeignKeyViolation as error:
        if error.diag.constraint_name == "account_client_fk" or new.parent is None:
            raise unknown_client(new.ref.client_id) from None
        raise unknown_account(AccountRef(new.ref.client_id, new.parent)) from None
    if not is_new:
        return account_from_row(await _row(connection, ACCOUNT_BY_NAME, **name)) == new
    return await _run(connection, _INSERT_HEAD, **name, mode=new.mode.value)


async def _store_instrument(connection: Connection, new: Instrument) -> bool:
    kind, terms = terms_to_json(new.terms)
    is_new = await _run(
        connection,
        _INSERT_INSTRUMENT,
        instrument_id=new.instrument_id,
        kind=kind,
        terms=Jsonb(terms),
        quantity_places=new.quantity_places,
        collateral_class=new.collateral_class,
        description=new.description,
    )
    if not is_new:
        return instrument_from_row(await _row(connection, INSTRUMENTS_BY_ID, names=[new.instrument_id])) == new
    await advance(connection, INSTRUMENTS_VERSION)
    return True


async def _replace(connection: Connection, new: AccountCollateralPolicy | AccountMethodology) -> bool:
    """Store what an account has one of, instead of the one before."""
    if isinstance(new, AccountMethodology):
        return await _store_methodology(connection, new)
    return await _store_policy(connection, new)


async def _store_policy(connection: Connection, new: AccountCollateralPolicy) -> bool:
    try:
        return await _run(
            connection,
            _REPLACE_POLICY,
            client_id=new.account.client_id,
            account_id=new.account.account_id,
            instrument_id=new.instrument_id,
            policy=new.policy.value,
        )
    except errors.ForeignKeyViolation as error:
        if error.diag.constraint_name == "collateral_policy_account_fk":
            raise unknown_account(new.account) from None
        raise unknown_instrument(new.instrument_id) from None


async def _store_methodology(connection: Connection, new: AccountMethodology) -> bool:
    name = {"client_id": new.account.client_id, "account_id": new.account.account_id}
    if not await _run(connection, _SET_METHODOLOGY, **name, methodology=new.methodology.value):
        raise unknown_account(new.account)
    return True


async def _store_snapshot(connection: Connection, published: PublishedSnapshot) -> bool:
    new = published.snapshot
    # Whoever stores one waits for us, or we for them; so the one before is the one before until the commit.
    await advance(connection, SNAPSHOTS)
    before = await (await connection.execute(ID_BEFORE.sql, ID_BEFORE.values({"moment": new.as_of}))).fetchone()
    if published.before != (None if before is None else before["snapshot_id"]):
        raise PrecedingSnapshotChangedError(new.snapshot_id)
    is_new = await _run(
        connection,
        _INSERT_SNAPSHOT,
        snapshot_id=new.snapshot_id,
        as_of=new.as_of,
        content_hash=new.content_hash,
        levels=Jsonb({str(factor): format_decimal(level) for factor, level in new.levels.items()}),
        marks=Jsonb({str(name): format_decimal(mark) for name, mark in new.marks.items()}),
        level_quality=Jsonb(quality_to_json(new.level_quality)),
        mark_quality=Jsonb(quality_to_json(new.mark_quality)),
        pegs=Jsonb(pegs_to_json(new.pegs)),
    )
    if is_new:
        return True
    stored = snapshot_from_row(await _row(connection, SNAPSHOT_BY_ID, snapshot_id=new.snapshot_id))
    return stored.content_hash == new.content_hash


async def _store_risk_parameters(connection: Connection, new: GovernedParameters) -> bool:
    order = await advance(connection, STORED_ORDER)
    is_new = await _run(
        connection,
        _INSERT_RISK_PARAMETERS,
        # The release before this one takes the set with the highest order for the one in force: what is only proposed stays below.
        stored_order=order if new.governance.activation is not None else -order,
        document=new.parameters.document,
        **_governance_values(new.governance),
    )
    if is_new:
        return True
    stored = await _row(connection, PARAMETERS_BY_ID, set_id=new.governance.set_id)
    return bool(stored["content_hash"] == new.governance.content_hash)


async def _change_governance(connection: Connection, change: GovernanceChange) -> bool:
    # Advancing first makes changes wait for one another, so that what is compared next stays so until the commit.
    order = await advance(connection, STORED_ORDER)
    counted = await _row(connection, _ACTIVATION_COUNT)
    step = {"state_before": change.before.state.value, **_governance_values(change.after)}
    if counted["activations"] != change.activation_count or not await _run(connection, _CHANGE_GOVERNANCE, **step):
        raise parameters_changed(change.after.set_id)
    if change.before.activation != change.after.activation:
        await _run(connection, _MOVE_LAST, set_id=change.after.set_id, stored_order=order)
    await _run(connection, _RETIRE, retired=list(change.retires))
    return True


async def _store_limits(connection: Connection, new: ExposureLimits) -> bool:
    if new.account_id is None:
        # Whoever decides under a limit on all accounts holds them all; see begin_decision.
        await connection.execute(LOCK_HEADS.sql, LOCK_HEADS.values({"client_id": new.client_id}))
    try:
        return await _run(connection, REPLACE_LIMITS, **limits_values(new))
    except errors.ForeignKeyViolation:
        raise unknown_client(new.client_id) from None


async def _store_halt(connection: Connection, new: Halt) -> bool:
    await connection.execute(ASK_IN_TURN)
    if new.client_id is not None and not await _found(connection, CLIENT_BY_ID, client_id=new.client_id):
        raise unknown_client(new.client_id)
    values = {"scope": new.scope, "is_halted": new.is_halted, "reason": new.reason, "changed_by": new.changed_by}
    return await _run(connection, REPLACE_HALT, **values)


def _governance_values(governance: Governance) -> dict[str, object]:
    return {**asdict(governance), "state": governance.state.value}


def _insert(table: Table, *columns: str) -> Insert:
    return insert(table).values({column: bindparam(column, type_=table.c[column].type) for column in columns})


_INSERT_CLIENT: Final = compiled(_insert(client, "client_id", "display_name").on_conflict_do_nothing())
_INSERT_ACCOUNT: Final = compiled(_insert(account, "client_id", "account_id", "display_name", "mode", "parent_id").on_conflict_do_nothing())
_INSERT_HEAD: Final = compiled(
    _insert(account_head, "client_id", "account_id", "mode").values(
        sequence=literal(0), chain_hash=literal(GENESIS_HASH), status=literal(AccountStatus.OPEN.value)
    )
)
_INSERT_INSTRUMENT: Final = compiled(
    _insert(instrument, "instrument_id", "kind", "terms", "quantity_places", "collateral_class", "description").on_conflict_do_nothing()
)
_NEW_POLICY: Final = _insert(collateral_policy, "client_id", "account_id", "instrument_id", "policy")
_REPLACE_POLICY: Final = compiled(
    _NEW_POLICY.on_conflict_do_update(constraint=collateral_policy.primary_key, set_={"policy": _NEW_POLICY.excluded.policy})
)
_SNAPSHOT_COLUMNS: Final = ("snapshot_id", "as_of", "content_hash", "levels", "marks", "level_quality", "mark_quality", "pegs")
_INSERT_SNAPSHOT: Final = compiled(_insert(market_snapshot, *_SNAPSHOT_COLUMNS).on_conflict_do_nothing())
_SET_METHODOLOGY: Final = compiled(
    update(account)
    .where(account.c.client_id == bindparam("client_id", type_=Text), account.c.account_id == bindparam("account_id", type_=Text))
    .values(methodology=bindparam("methodology", type_=Text))
)
_GOVERNANCE_COLUMNS: Final = tuple(field.name for field in fields(Governance))
_INSERT_RISK_PARAMETERS: Final = compiled(
    _insert(risk_parameters, "stored_order", "document", *_GOVERNANCE_COLUMNS).on_conflict_do_nothing(
        index_elements=[risk_parameters.c.set_id]
    )
)
_IS_SET: Final = risk_parameters.c.set_id == bindparam("set_id", type_=Text)
_CHANGE_GOVERNANCE: Final = compiled(
    update(risk_parameters)
    .where(_IS_SET, risk_parameters.c.state == bindparam("state_before", type_=Text))
    .where(risk_parameters.c.content_hash == bindparam("content_hash", type_=Text))
    .values(
        {
            name: bindparam(name, type_=risk_parameters.c[name].type)
            for name in _GOVERNANCE_COLUMNS
            if name not in {"set_id", "content_hash"}
        }
    )
)
_MOVE_LAST: Final = compiled(update(risk_parameters).where(_IS_SET).values(stored_order=bindparam("stored_order", type_=BigInteger)))
_ACTIVATION_COUNT: Final = compiled(
    select(func.count().label("activations")).select_from(risk_parameters).where(risk_parameters.c.active_from.is_not(None))
)
_RETIRE: Final = compiled(
    update(risk_parameters)
    .where(risk_parameters.c.set_id == any_(bindparam("retired", type_=ARRAY(Text))))
    .values(state=literal(ParameterState.RETIRED.value))
)


async def _run(connection: Connection, statement: Statement, **values: object) -> bool:
    """Return whether the statement wrote a row."""
    return (await connection.execute(statement.sql, statement.values(values))).rowcount == 1


async def _found(connection: Connection, statement: Statement, **values: object) -> bool:
    return await (await connection.execute(statement.sql, statement.values(values))).fetchone() is not None


async def _row(connection: Connection, statement: Statement, **values: object) -> Row:
    row = await (await connection.execute(statement.sql, statement.values(values))).fetchone()
    if row is None:
        raise LookupError("a row that was in the way a moment ago is gone")
    return row
