"""Margin calls, their notices, and what was agreed about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from psycopg import errors
from sqlalchemy import ARRAY, BigInteger, Boolean, Numeric, Table, Text, any_, bindparam, cast, func, not_, or_, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on, insert

from crossmargin.adapters.postgres.database import Connection, Database, Row
from crossmargin.adapters.postgres.statements import Statement, compiled
from crossmargin.adapters.postgres.tables import account, call_agreement, call_notice, entry, margin_call, posting
from crossmargin.domain.call_agreement import Agreements, CallAgreement
from crossmargin.domain.call_life import CallNotice, CallState, CallTrigger, MarginCall, NoticeKind
from crossmargin.domain.call_need import DELIVERIES
from crossmargin.domain.holidays import HolidayCalendar
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId, SnapshotId
from crossmargin.domain.margin_call import CallTerms
from crossmargin.usecases.ports.margin_call import CallFilter, EntrySpan
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import unknown_account, unknown_call, unknown_client

_CLIENT: Final = bindparam("client_id", type_=Text)
_ACCOUNT: Final = bindparam("account_id", type_=Text)
_KEY: Final = (margin_call.c.client_id, margin_call.c.account_id, margin_call.c.number)


_CALLS: Final = select(margin_call)
_CALL: Final = compiled(
    _CALLS.where(
        margin_call.c.client_id == _CLIENT,
        margin_call.c.account_id == _ACCOUNT,
        margin_call.c.number == bindparam("number", type_=BigInteger),
    )
)
_LAST_CALLS: Final = compiled(_CALLS.ext(distinct_on(*_KEY[:2])).order_by(*_KEY[:2], margin_call.c.number.desc()))
_LAST_CALL: Final = compiled(
    _CALLS.where(margin_call.c.client_id == _CLIENT, margin_call.c.account_id == _ACCOUNT).order_by(margin_call.c.number.desc()).limit(1)
)
_AFTER: Final = tuple_(
    bindparam("after_client", type_=Text(collation="C")),
    bindparam("after_account", type_=Text(collation="C")),
    bindparam("after_number", type_=BigInteger),
)
_LIST: Final = compiled(
    _CALLS.where(
        or_(_CLIENT.is_(None), margin_call.c.client_id == _CLIENT),
        or_(_ACCOUNT.is_(None), margin_call.c.account_id == _ACCOUNT),
        or_(not_(bindparam("only_open", type_=Boolean)), margin_call.c.closed_at.is_(None)),
        tuple_(*_KEY) > _AFTER,
    )
    .order_by(*_KEY)
    .limit(bindparam("size", type_=BigInteger))
)
_CALL_NUMBER: Final = bindparam("call_number", type_=BigInteger)
_NOTICES: Final = compiled(
    select(call_notice)
    .where(
        call_notice.c.client_id == _CLIENT,
        call_notice.c.account_id == _ACCOUNT,
        call_notice.c.sequence > bindparam("after_sequence", type_=BigInteger),
        or_(_CALL_NUMBER.is_(None), call_notice.c.call_number == _CALL_NUMBER),
    )
    .order_by(call_notice.c.sequence)
    .limit(bindparam("size", type_=BigInteger))
)
_EXISTS: Final = compiled(select(account.c.account_id).where(account.c.client_id == _CLIENT, account.c.account_id == _ACCOUNT))
# One row for each account that is asked about: the same statement for one of them and for thousands.
_SPAN: Final = (
    func.unnest(
        bindparam("clients", type_=ARRAY(Text)),
        bindparam("accounts", type_=ARRAY(Text)),
        bindparam("after_sequences", type_=ARRAY(BigInteger)),
        bindparam("until_sequences", type_=ARRAY(BigInteger)),
    )
    .table_valued("client_id", "account_id", "after_sequence", "until_sequence", name="span")
    .render_derived()
)
_DELIVERIES: Final = compiled(
    select(
        entry.c.client_id,
        entry.c.account_id,
        posting.c.instrument_id,
        cast(func.sum(posting.c.quantity), Numeric).label("quantity"),
    )
    .select_from(
        _SPAN.join(
            entry,
            (entry.c.client_id == _SPAN.c.client_id)
            & (entry.c.account_id == _SPAN.c.account_id)
            & (entry.c.sequence > _SPAN.c.after_sequence)
            & (entry.c.sequence <= _SPAN.c.until_sequence),
        ).join(
            posting,
            (entry.c.client_id == posting.c.client_id)
            & (entry.c.account_id == posting.c.account_id)
            & (entry.c.sequence == posting.c.sequence),
        )
    )
    .where(
        entry.c.kind == any_(bindparam("kinds", type_=ARRAY(Text))),
        posting.c.ledger_account == posting.c.account_id,
    )
    .group_by(entry.c.client_id, entry.c.account_id, posting.c.instrument_id)
)
_KINDS: Final = sorted(kind.value for kind in DELIVERIES)
_AGREEMENTS: Final = compiled(select(call_agreement))


def _upsert(table: Table, *left_out: str) -> Statement:
    names = [column.name for column in table.columns if column.name not in left_out]
    new = insert(table).values({name: bindparam(name, type_=table.c[name].type) for name in names})
    keys = {column.name for column in table.primary_key.columns}
    replaced: dict[str, Any] = {name: new.excluded[name] for name in names if name not in keys}
    return compiled(new.on_conflict_do_update(constraint=table.primary_key, set_=replaced | {name: func.now() for name in left_out}))


_STORE_CALL: Final = _upsert(margin_call)
_STORE_AGREEMENT: Final = _upsert(call_agreement, "set_at")
_STORE_NOTICE: Final = compiled(
    insert(call_notice).values({column.name: bindparam(column.name, type_=column.type) for column in call_notice.columns})
)


class PostgresCallStore:
    """See `CallStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_call(self, ref: AccountRef, number: int) -> MarginCall:
        """Return a call as it stands; UNKNOWN_CALL."""
        row = await self._database.row(_CALL, **_name(ref), number=number)
        if row is None:
            raise unknown_call(ref, number)
        return _call(row)

    async def last_call(self, ref: AccountRef) -> MarginCall | None:
        """Return the last call of an account."""
        row = await self._database.row(_LAST_CALL, **_name(ref))
        return None if row is None else _call(row)

    async def last_calls(self) -> Mapping[AccountRef, MarginCall]:
        """Return the last call of every account that ever had one."""
        return {call.account: call for call in map(_call, await self._database.rows(_LAST_CALLS))}

    async def list_calls(self, chosen: CallFilter, page: Page) -> Sequence[MarginCall]:
        """Return calls in the order of account and number."""
        client_id, account_id, number = (page.after or "  0").split(" ")
        rows = await self._database.rows(
            _LIST,
            client_id=chosen.account.client_id if chosen.account else chosen.client_id,
            account_id=chosen.account.account_id if chosen.account else None,
            only_open=chosen.only_open,
            after_client=client_id,
            after_account=account_id,
            after_number=int(number),
            size=page.size,
        )
        return list(map(_call, rows))

    async def list_notices(
        self, ref: AccountRef, *, after_sequence: int, limit: int, call_number: int | None = None
    ) -> Sequence[CallNotice]:
        """Return notices of an account in the order of their numbers; UNKNOWN_ACCOUNT."""
        rows = await self._database.rows(_NOTICES, **_name(ref), call_number=call_number, after_sequence=after_sequence, size=limit)
        if not rows and await self._database.row(_EXISTS, **_name(ref)) is None:
            raise unknown_account(ref)
        return list(map(_notice, rows))

    async def deliveries(self, ref: AccountRef, *, after_sequence: int, until_sequence: int) -> Mapping[InstrumentId, Decimal]:
        """Return what deposits and transfers between two entries brought in, less what was taken out."""
        return (await self.deliveries_of({ref: EntrySpan(after_sequence, until_sequence)})).get(ref, {})

    async def deliveries_of(self, spans: Mapping[AccountRef, EntrySpan]) -> Mapping[AccountRef, Mapping[InstrumentId, Decimal]]:
        """Return the same for many accounts, with one read."""
        if not spans:
            return {}
        rows = await self._database.rows(
            _DELIVERIES,
            clients=[ref.client_id for ref in spans],
            accounts=[ref.account_id for ref in spans],
            after_sequences=[span.after for span in spans.values()],
            until_sequences=[span.until for span in spans.values()],
            kinds=_KINDS,
        )
        found: dict[AccountRef, dict[InstrumentId, Decimal]] = {}
        for row in rows:
            found.setdefault(_ref(row), {})[InstrumentId(row["instrument_id"])] = row["quantity"]
        return found

    async def agreements(self) -> Agreements:
        """Return every agreement that was ever set."""
        found = map(_agreement, await self._database.rows(_AGREEMENTS))
        return {(agreed.client_id, agreed.account_id): agreed for agreed in found}


async def store_call_record(connection: Connection, new: CallAgreement | MarginCall | CallNotice) -> bool:
    """Store a call in place of what it was, an agreement in place of the one before, or a notice; False for a second open call."""
    match new:
        case CallAgreement():
            statement, values = _STORE_AGREEMENT, _agreement_values(new)
        case MarginCall():
            statement, values = _STORE_CALL, _call_values(new)
        case CallNotice():
            statement, values = _STORE_NOTICE, _notice_values(new)
    try:
        return (await connection.execute(statement.sql, statement.values(values))).rowcount == 1
    except errors.UniqueViolation:
        return False
    except errors.ForeignKeyViolation:
        if isinstance(new, CallAgreement):
            raise unknown_client(new.client_id) from None
        raise unknown_account(new.account) from None


def _name(ref: AccountRef) -> dict[str, Any]:
    return {"client_id": ref.client_id, "account_id": ref.account_id}


def _ref(row: Row) -> AccountRef:
    return AccountRef(ClientId(row["client_id"]), AccountId(row["account_id"]))


def _call(row: Row) -> MarginCall:
    return MarginCall(
        account=_ref(row),
        number=row["number"],
        state=CallState(row["state"]),
        trigger=CallTrigger(row["trigger"]),
        amount=row["amount"],
        met=row["met"],
        is_provisional=row["is_provisional"],
        issued_at=row["issued_at"],
        due_at=row["due_at"],
        sequence=row["sequence"],
        recognised_to=row["recognised_to"],
        snapshot_id=SnapshotId(row["snapshot_id"]),
        utilization=row["utilization"],
        last_notice=row["last_notice"],
        closed_at=row["closed_at"],
    )


def _call_values(call: MarginCall) -> dict[str, Any]:
    names = {column.name for column in margin_call.columns} - {"client_id", "account_id", "state", "trigger"}
    values = {name: getattr(call, name) for name in names}
    return {**_name(call.account), **values, "state": call.state.value, "trigger": call.trigger.value}


def _notice(row: Row) -> CallNotice:
    return CallNotice(
        account=_ref(row),
        sequence=row["sequence"],
        call_number=row["call_number"],
        kind=NoticeKind(row["kind"]),
        at=row["noticed_at"],
        by=row["noticed_by"],
        state=CallState(row["state"]),
        amount=row["amount"],
        met=row["met"],
        due_at=row["due_at"],
        reason=row["reason"],
        text=row["words"],
    )


def _notice_values(notice: CallNotice) -> dict[str, Any]:
    return {
        **_name(notice.account),
        "sequence": notice.sequence,
        "call_number": notice.call_number,
        "kind": notice.kind.value,
        "noticed_at": notice.at,
        "noticed_by": notice.by,
        "state": notice.state.value,
        "amount": notice.amount,
        "met": notice.met,
        "due_at": notice.due_at,
        "reason": notice.reason,
        "words": notice.text,
    }


def _agreement(row: Row) -> CallAgreement:
    return CallAgreement(
        client_id=ClientId(row["client_id"]),
        account_id=AccountId(row["account_id"]) if row["account_id"] else None,
        terms=CallTerms(row["threshold"], row["minimum_transfer_amount"], row["rounding_unit"]),
        cut_off=row["cut_off"],
        due_days=row["due_days"],
        due_time=row["due_time"],
        on_business_days=row["on_business_days"],
        calendar=HolidayCalendar(row["calendar"]),
        set_by=row["set_by"],
        set_at=row["set_at"],
    )


def _agreement_values(agreed: CallAgreement) -> dict[str, Any]:
    return {
        "client_id": agreed.client_id,
        "account_id": agreed.account_id or "",
        "threshold": agreed.terms.threshold,
        "minimum_transfer_amount": agreed.terms.minimum_transfer_amount,
        "rounding_unit": agreed.terms.rounding_unit,
        "cut_off": agreed.cut_off,
        "due_days": agreed.due_days,
        "due_time": agreed.due_time,
        "on_business_days": agreed.on_business_days,
        "calendar": agreed.calendar.value,
        "set_by": agreed.set_by,
    }
