"""Reads of clients, accounts, positions and entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from sqlalchemy import BigInteger, Integer, Numeric, and_, bindparam, cast, func, literal, select, true, tuple_

from crossmargin.adapters.postgres.asked_accounts import ONE, SEVERAL, account_values
from crossmargin.adapters.postgres.client_scope import is_inside_scope, scope_values
from crossmargin.adapters.postgres.database import Database, Row
from crossmargin.adapters.postgres.exposure_limits import LIMITS_OF, limits_from_row
from crossmargin.adapters.postgres.halt import HALT_OF, HALTS_IN_FORCE, halt_from_row
from crossmargin.adapters.postgres.kept_positions import KeptPositions, Known, PositionsStamp, columns_of
from crossmargin.adapters.postgres.ledger import PostgresLedgerReader, ref_from_row, side_by_side, text_of, together
from crossmargin.adapters.postgres.market import market_version_from_row
from crossmargin.adapters.postgres.packed_states import PACKED_STATES, packed_positions_from_row
from crossmargin.adapters.postgres.reservation import COUNT_OPEN, OVERDUE, RESERVATIONS, reservation_from_row
from crossmargin.adapters.postgres.statements import Question, compiled
from crossmargin.adapters.postgres.tables import account, account_head, client, collateral_policy, entry, position, posting
from crossmargin.domain.account import GENESIS_HASH, Account, AccountHead, AccountMode, AccountStatus, Client
from crossmargin.domain.book import EntryKind, methodology_from_reference, policy_from_reference
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt, scope_of
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, HouseViewId, InstrumentId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.packed_positions import PackedPositions
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import Reservation, ReservationStatus
from crossmargin.usecases.ports.books import AccountState, Books, PackedState
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import sequence_not_reached, unknown_account, unknown_client

CLIENT_BY_ID: Final = compiled(select(client.c.client_id, client.c.display_name).where(client.c.client_id == text_of("client_id")))
_CLIENTS: Final = compiled(
    select(client.c.client_id, client.c.display_name)
    .where(client.c.client_id > text_of("after"), is_inside_scope(client.c.client_id))
    .order_by(client.c.client_id)
    .limit(bindparam("size", type_=Integer))
)

_ACCOUNT: Final = select(
    account.c.client_id, account.c.account_id, account.c.display_name, account.c.mode, account.c.parent_id, account.c.methodology
)
_IS_ACCOUNT: Final = and_(account.c.client_id == text_of("client_id"), account.c.account_id == text_of("account_id"))
ACCOUNT_BY_NAME: Final = compiled(_ACCOUNT.where(_IS_ACCOUNT))
_ACCOUNTS_IN_ORDER: Final = (
    _ACCOUNT.where(
        tuple_(account.c.client_id, account.c.account_id) > tuple_(text_of("after_client"), text_of("after_account")),
        is_inside_scope(account.c.client_id),
    )
    .order_by(account.c.client_id, account.c.account_id)
    .limit(bindparam("size", type_=Integer))
)
_ACCOUNTS: Final = compiled(_ACCOUNTS_IN_ORDER)
_ACCOUNTS_OF_CLIENT: Final = compiled(_ACCOUNTS_IN_ORDER.where(account.c.client_id == text_of("client_id")))

# The driver knows the array type of numeric, not that of the ledger's own decimal type.
_QUANTITY: Final = cast(position.c.quantity, Numeric)
_COST: Final = cast(position.c.cost, Numeric)
_HELD: Final = (
    select(
        together(position.c.book_id, position.c.book_id, position.c.instrument_id).label("book_ids"),
        together(position.c.instrument_id, position.c.book_id, position.c.instrument_id).label("instrument_ids"),
        together(_QUANTITY, position.c.book_id, position.c.instrument_id).label("quantities"),
        together(_COST, position.c.book_id, position.c.instrument_id).label("costs"),
    )
    .where(position.c.client_id == account.c.client_id, position.c.account_id == account.c.account_id)
    .where((_QUANTITY != 0) | (_COST != 0))
    .lateral("held")
)
_CHOSEN: Final = (
    select(
        together(collateral_policy.c.instrument_id, collateral_policy.c.instrument_id).label("policy_instrument_ids"),
        together(collateral_policy.c.policy, collateral_policy.c.instrument_id).label("policies"),
    )
    .where(collateral_policy.c.client_id == account.c.client_id, collateral_policy.c.account_id == account.c.account_id)
    .lateral("chosen")
)
# One statement sees one state of the database, so head, positions and policies belong together without any lock.
_STATES: Final = (
    _ACCOUNT.add_columns(account_head.c.sequence, account_head.c.chain_hash, account_head.c.status, _HELD, _CHOSEN)
    .join_from(
        account, account_head, and_(account_head.c.client_id == account.c.client_id, account_head.c.account_id == account.c.account_id)
    )
    .join(_HELD, true())
    .join(_CHOSEN, true())
)
_ACCOUNT_STATE: Final = compiled(_STATES.where(_IS_ACCOUNT))
_SEQUENCES: Final = compiled(
    select(account_head.c.client_id, account_head.c.account_id, account_head.c.sequence).where(
        account_head.c.status == AccountStatus.OPEN.value
    )
)

BOOK_COLUMNS: Final = (
    *("client_id", "account_id", "display_name", "mode", "parent_id", "methodology", "status"),
    *("sequence", "chain_hash", "positions_epoch", "is_known"),
    *("book_ids", "instrument_ids", "quantities", "costs", "policy_instrument_ids", "policies"),
    *("reservations", "limits", "halts", "decided_at"),
    *("snapshot_id", "parameters_version", "instruments_version", "history_version"),
)
"""What `books_beyond` makes books of."""
_BOOKS_OF_ONE, _BOOKS_OF_SEVERAL = (Question(b"read_books_for", places, (*BOOK_COLUMNS, "house_view_id")) for places in (ONE, SEVERAL))

_IS_PART: Final = and_(
    posting.c.client_id == text_of("client_id"),
    posting.c.account_id == text_of("account_id"),
    posting.c.ledger_account == posting.c.account_id,
    posting.c.sequence <= bindparam("sequence", type_=BigInteger),
)
_QUANTITY_AT: Final = func.sum(cast(posting.c.quantity, Numeric))
_COST_AT: Final = func.sum(cast(posting.c.cost, Numeric))
_POSITIONS_AT: Final = compiled(
    select(posting.c.book_id, posting.c.instrument_id, _QUANTITY_AT.label("quantity"), _COST_AT.label("cost"))
    .where(_IS_PART)
    .group_by(posting.c.book_id, posting.c.instrument_id)
    .having((_QUANTITY_AT != 0) | (_COST_AT != 0))
    .order_by(posting.c.book_id, posting.c.instrument_id)
)
_IS_ENTRY_OF: Final = and_(entry.c.client_id == text_of("client_id"), entry.c.account_id == text_of("account_id"))
_HASH_AT: Final = compiled(select(entry.c.chain_hash).where(_IS_ENTRY_OF, entry.c.sequence == bindparam("sequence", type_=BigInteger)))
_POLICIES_AT: Final = compiled(
    select(entry.c.reference)
    .where(
        _IS_ENTRY_OF,
        entry.c.sequence <= bindparam("sequence", type_=BigInteger),
        entry.c.kind == literal(EntryKind.COLLATERAL_POLICY.value),
    )
    .order_by(entry.c.sequence)
)
_METHODOLOGY_AT: Final = compiled(
    select(entry.c.reference)
    .where(
        _IS_ENTRY_OF,
        entry.c.sequence <= bindparam("sequence", type_=BigInteger),
        entry.c.kind == literal(EntryKind.METHODOLOGY.value),
    )
    .order_by(entry.c.sequence.desc())
    .limit(1)
)


class PostgresBookReader(PostgresLedgerReader):
    """See `BookReader`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)

    async def get_client(self, client_id: ClientId) -> Client:
        """Return a client; UNKNOWN_CLIENT if there is none."""
        row = await self._database.row(CLIENT_BY_ID, client_id=client_id)
        if row is None:
            raise unknown_client(client_id)
        return client_from_row(row)

    async def list_clients(self, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Client]:
        """Return the clients inside a scope, in the order of their ids."""
        rows = await self._database.rows(_CLIENTS, after=page.after or "", size=page.size, **scope_values(scope))
        return [client_from_row(row) for row in rows]

    async def get_account(self, ref: AccountRef) -> Account:
        """Return an account; UNKNOWN_ACCOUNT if there is none."""
        row = await self._database.row(ACCOUNT_BY_NAME, client_id=ref.client_id, account_id=ref.account_id)
        if row is None:
            raise unknown_account(ref)
        return account_from_row(row)

    async def list_accounts(self, client_id: ClientId | None, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Account]:
        """Return accounts of a client, or of all inside a scope, in the order of their full names; `page.after` is a full name."""
        after = AccountRef.parse(page.after) if page.after is not None else None
        start = {
            "after_client": after.client_id if after else "",
            "after_account": after.account_id if after else "",
            "size": page.size,
            **scope_values(scope),
        }
        if client_id is None:
            rows = await self._database.rows(_ACCOUNTS, **start)
        else:
            rows = await self._database.rows(_ACCOUNTS_OF_CLIENT, client_id=client_id, **start)
        return [account_from_row(row) for row in rows]

    async def account_state(self, ref: AccountRef) -> AccountState:
        """Return what an account holds, consistent with one ledger sequence; UNKNOWN_ACCOUNT if there is none."""
        row = await self._database.row(_ACCOUNT_STATE, client_id=ref.client_id, account_id=ref.account_id)
        if row is None:
            raise unknown_account(ref)
        return account_state_from_row(row)

    async def account_states(self, refs: Sequence[AccountRef]) -> Sequence[AccountState]:
        """Return what accounts hold as `account_state` does; unknown ones are left out."""
        return [state.unpacked() for state in await self.packed_states(refs)]

    async def packed_states(self, refs: Sequence[AccountRef]) -> Sequence[PackedState]:
        """Return the same packed; what has not moved since this process last read it is not read again."""
        known, kept = self._database.packed.known(refs), self._database.packed
        names = {"client_ids": [ref.client_id for ref in refs], "account_ids": [ref.account_id for ref in refs]}
        rows = await self._database.rows(PACKED_STATES, **names, **columns_of(known))
        return [packed_state_from_row(row, packed_positions_from_row(row, ref_from_row(row), known, kept)) for row in rows]

    async def account_state_at(self, ref: AccountRef, sequence: int) -> AccountState:
        """Return what an account held as of one of its entries; UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED."""
        now = await self.account_state(ref)
        if now.head.sequence < sequence:
            raise sequence_not_reached(ref, sequence=now.head.sequence, wanted=sequence)
        # Entries are never changed or taken away, so statements one after the other see the same ones.
        at = {"client_id": ref.client_id, "account_id": ref.account_id, "sequence": sequence}
        entry_row = await self._database.row(_HASH_AT, **at)
        held = await self._database.rows(_POSITIONS_AT, **at)
        chosen = [policy_from_reference(ref, row["reference"]) for row in await self._database.rows(_POLICIES_AT, **at)]
        row = await self._database.row(_METHODOLOGY_AT, **at)
        methodology = methodology_from_reference(row["reference"]) if row else Methodology.EXPECTED_SHORTFALL
        return AccountState(
            account=replace(now.account, methodology=methodology),
            head=replace(now.head, sequence=sequence, chain_hash=entry_row["chain_hash"] if entry_row else GENESIS_HASH),
            positions=tuple(
                Position(BookId(row["book_id"]), InstrumentId(row["instrument_id"]), row["quantity"], row["cost"]) for row in held
            ),
            policies={policy.instrument_id: policy.policy for policy in chosen},
        )

    async def read_books(self, *refs: AccountRef) -> Books:
        """Return what a decision on accounts would be made on now; UNKNOWN_ACCOUNT."""
        known = self._database.positions.known(refs)
        question = _BOOKS_OF_ONE if len(refs) == 1 else _BOOKS_OF_SEVERAL
        rows = await self._database.answer(question, account_values(refs, known))
        return books_beyond(known, rows, refs, self._database.positions)

    async def list_reservations(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Reservation]:
        """Return reservations of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        rows = await self._database.rows(
            RESERVATIONS, client_id=ref.client_id, account_id=ref.account_id, after_sequence=after_sequence, size=limit
        )
        if not rows:
            await self.get_account(ref)
        return [reservation_from_row(row) for row in rows]

    async def overdue_reservations(self, *, limit: int) -> Sequence[Reservation]:
        """Return immediate ones whose time is over and whose end is not in the ledger yet."""
        return [reservation_from_row(row) for row in await self._database.rows(OVERDUE, size=limit)]

    async def count_open_reservations(self) -> Mapping[ReservationStatus, int]:
        """Return how many reservations are active, and how many suspect."""
        found = {row["status"]: row["number"] for row in await self._database.rows(COUNT_OPEN)}
        return {status: found.get(status.value, 0) for status in ReservationStatus if status.counts}

    async def halts_in_force(self) -> Sequence[Halt]:
        """Return the halts of now."""
        halts = [halt_from_row(row) for row in await self._database.rows(HALTS_IN_FORCE)]
        return sorted(halts, key=lambda halt: halt.client_id or "")

    async def get_halt(self, client_id: ClientId | None) -> Halt:
        """Return whether a client, or the house, is halted."""
        row = await self._database.row(HALT_OF, scope=scope_of(client_id))
        return Halt(client_id, is_halted=False) if row is None else halt_from_row(row)

    async def get_limits(self, client_id: ClientId, account_id: AccountId | None) -> ExposureLimits:
        """Return the limits of an account, or of a client."""
        row = await self._database.row(LIMITS_OF, client_id=client_id, account_id=account_id or "")
        return ExposureLimits(client_id, account_id) if row is None else limits_from_row(row)

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return the last sequence of every open account."""
        return {ref_from_row(row): row["sequence"] for row in await self._database.rows(_SEQUENCES)}


def client_from_row(row: Row) -> Client:
    """Return the client that a row of `client` holds."""
    return Client(ClientId(row["client_id"]), row["display_name"])


def account_from_row(row: Row) -> Account:
    """Return the account that a row of `account` holds."""
    parent = AccountId(row["parent_id"]) if row["parent_id"] is not None else None
    return Account(ref_from_row(row), row["display_name"], AccountMode(row["mode"]), parent, Methodology(row["methodology"]))


def account_state_from_row(row: Row) -> AccountState:
    """Return an account's state from a row that holds the account, its head, and its positions and policies side by side."""
    account = account_from_row(row)
    return AccountState(account=account, head=head_from_row(row, account), positions=_positions(row), policies=_policies(row))


def packed_state_from_row(row: Row, positions: PackedPositions) -> PackedState:
    """Return the same with positions that are packed, and not in the row."""
    account = account_from_row(row)
    return PackedState(account, head_from_row(row, account), positions, _policies(row))


def books_from_rows(rows: Sequence[Row], wanted: Sequence[AccountRef], known: Known | None = None) -> Books:
    """Return the books that rows of a question hold, one row an account; UNKNOWN_ACCOUNT for a wanted one that has none.

    A row that is known has no positions: those of `known` are taken.
    """
    states = dict[AccountRef, AccountState]()
    reservations = dict[AccountRef, tuple[Reservation, ...]]()
    for row in rows:
        account = account_from_row(row)
        positions = known[account.ref].positions if known and row["is_known"] else _positions(row)
        states[account.ref] = AccountState(account, head_from_row(row, account), positions, _policies(row))
        reservations[account.ref] = tuple(map(reservation_from_row, row["reservations"] or ()))
    for ref in wanted:
        if ref not in states:
            raise unknown_account(ref)
    first = rows[0]
    view = first.get("house_view_id")
    return Books(
        states=states,
        reservations=reservations,
        limits=tuple(map(limits_from_row, first["limits"] or ())),
        halts=tuple(map(halt_from_row, first["halts"] or ())),
        now=first["decided_at"],
        market_version=market_version_from_row(first),
        house_view_id=None if view is None else HouseViewId(view),
    )


def books_beyond(known: Known, rows: Sequence[Row], wanted: Sequence[AccountRef], kept: KeptPositions) -> Books:
    """Return the books that rows hold, beyond what was known when they were asked for; keep what they say anew.

    UNKNOWN_ACCOUNT for a wanted one that has no row. Not for facts, whose rows have no positions.
    """
    books = books_from_rows(rows, wanted, known)
    for row in rows:
        if not row["is_known"]:
            ref = ref_from_row(row)
            kept.keep(ref, PositionsStamp(row["sequence"], row["chain_hash"], row["positions_epoch"]), books.states[ref].positions)
    return books


def head_from_row(row: Row, account: Account) -> AccountHead:
    """Return the head that a row of `account_head` holds, as it was locked where the row says when."""
    return AccountHead(
        account.ref,
        account.mode,
        AccountStatus(row["status"]),
        sequence=row["sequence"],
        chain_hash=row["chain_hash"],
        locked_at=row.get("locked_at"),
    )


def _positions(row: Row) -> tuple[Position, ...]:
    held = side_by_side(row, "book_ids", "instrument_ids", "quantities", "costs")
    return tuple(Position(BookId(book), InstrumentId(instrument), quantity, cost) for book, instrument, quantity, cost in held)


def _policies(row: Row) -> Mapping[InstrumentId, CollateralPolicy]:
    chosen = side_by_side(row, "policy_instrument_ids", "policies")
    return {InstrumentId(instrument): CollateralPolicy(policy) for instrument, policy in chosen}
