"""What accounts hold, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from crossmargin.domain.account import Account, AccountHead, AccountMode, AccountStatus, Client
from crossmargin.domain.book import Entry
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, HouseViewId, InstrumentId
from crossmargin.domain.methodology import Methodology
from crossmargin.domain.packed_positions import PackedPositions
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import Reservation, ReservationStatus
from crossmargin.usecases.ports.market import MarketVersion
from crossmargin.usecases.ports.page import Page


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account's head, positions and policies as of one ledger entry, read together."""

    account: Account
    head: AccountHead
    positions: tuple[Position, ...]
    policies: Mapping[InstrumentId, CollateralPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PackedState:
    """The same with its positions packed: what is read of a whole house, and sent to whoever margins a part of it."""

    account: Account
    head: AccountHead
    positions: PackedPositions
    policies: Mapping[InstrumentId, CollateralPolicy] = field(default_factory=dict)

    def unpacked(self) -> AccountState:
        """Return the state that was packed."""
        return AccountState(self.account, self.head, self.positions.unpacked(), self.policies)

    def __reduce__(self) -> tuple[object, ...]:
        # Texts and numbers: what sends a house elsewhere serves calls as well, and objects of ours take it five times as long.
        account, head = self.account, self.head
        names = (str(account.ref.client_id), str(account.ref.account_id), account.display_name, account.parent and str(account.parent))
        kinds = (account.mode, account.methodology, head.mode, head.status)
        return _sent_state, (names, kinds, head.sequence, head.chain_hash, self.positions.text, dict(self.policies))


def _sent_state(  # noqa: PLR0917 - pickle gives them in their order
    names: tuple[str, str, str, str | None],
    kinds: tuple[AccountMode, Methodology, AccountMode, AccountStatus],
    sequence: int,
    chain_hash: bytes,
    positions: str,
    policies: Mapping[InstrumentId, CollateralPolicy],
) -> PackedState:
    client_id, account_id, display_name, parent = names
    mode, methodology, head_mode, status = kinds
    ref = AccountRef(ClientId(client_id), AccountId(account_id))
    account = Account(ref, display_name, mode, None if parent is None else AccountId(parent), methodology)
    head = AccountHead(ref, head_mode, status, sequence, chain_hash)
    return PackedState(account, head, PackedPositions(positions), policies)


@dataclass(frozen=True, slots=True)
class Books:
    """What a decision is made on, all of one moment.

    Attributes:
        states: The accounts asked for, and with a limit on all accounts of a client together its other accounts too.
        reservations: Of each account in `states`, those that have not ended, and those that were asked for by name; in sequence.
        limits: On these accounts and their clients.
        halts: Of the house and of these clients, where they are halted now; none are looked for when a fact is decided.
        now: The moment, by the clock of the storage.
        market_version: Of the market at that moment.
        house_view_id: Of the latest totals over all accounts at that moment, None when there are none. A decision, which is made on the
            totals at hand, is not told: None.
    """

    states: Mapping[AccountRef, AccountState]
    reservations: Mapping[AccountRef, tuple[Reservation, ...]]
    limits: tuple[ExposureLimits, ...]
    halts: tuple[Halt, ...]
    now: datetime
    market_version: MarketVersion
    house_view_id: HouseViewId | None = None


@dataclass(frozen=True, slots=True)
class BookedEntry:
    """An entry, and what has become of it. `reversed_by` is the sequence of the entry that takes it back, if one does."""

    entry: Entry
    reversed_by: int | None = None


@dataclass(frozen=True, slots=True)
class InstrumentPositions:
    """What the books of an account hold of one instrument, by book, as of a time; `sequence` is the last entry that was looked at."""

    sequence: int
    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class BookedEvent:
    """A lifecycle event that is in an account's books, under the name it is stored by, and when it took effect."""

    account: AccountRef
    name: str
    effective_at: datetime


class LedgerReader(Protocol):
    """Reads of the entries of an account, and of what was held because of them."""

    async def account_sequence(self, ref: AccountRef) -> int:
        """Return the last sequence of an account, open or closed; UNKNOWN_ACCOUNT if there is none. Cheap enough to poll."""
        ...

    async def sequence_recorded_before(self, ref: AccountRef, moment: datetime) -> int:
        """Return the last sequence that was written before a moment of the storage's clock, 0 for none; UNKNOWN_ACCOUNT."""
        ...

    async def list_entries(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Entry]:
        """Return entries of an account in sequence order; UNKNOWN_ACCOUNT if there is no such account."""
        ...

    async def get_entry(self, ref: AccountRef, sequence: int) -> BookedEntry | None:
        """Return an entry of an account; None when the account, which may not exist, has none of this number."""
        ...

    async def list_trades(
        self, ref: AccountRef, *, book_id: BookId | None, instrument_id: InstrumentId | None, after_sequence: int, limit: int
    ) -> Sequence[BookedEntry]:
        """Return entries of trades in sequence order, of one book or of all, in one instrument or in all; UNKNOWN_ACCOUNT."""
        ...

    async def event_entries(self, ref: AccountRef, event: str) -> Sequence[BookedEntry]:
        """Return the entries of an account that book the lifecycle event of this name, oldest first."""
        ...

    async def event_counts(self, ref: AccountRef, events: Sequence[str]) -> Sequence[int]:
        """Return how often an account has booked each of these lifecycle events, those times included that were taken back since."""
        ...

    async def booked_events(self, instrument_id: InstrumentId, *, since: datetime) -> Sequence[BookedEvent]:
        """Return the events of an instrument that took effect since a time and have not been taken back, in all accounts, by account."""
        ...

    async def unsettled_trades(self, ref: AccountRef, *, settle_date: date, limit: int | None = None) -> Sequence[Entry]:
        """Return the oldest trades, at most so many, that settle by this day and have been neither settled nor cancelled, in order."""
        ...

    async def instrument_positions(self, ref: AccountRef, instrument_id: InstrumentId, *, until: datetime) -> InstrumentPositions:
        """Return what was held at a time: the sum of the entries that took effect by then, whenever they were booked; UNKNOWN_ACCOUNT."""
        ...

    async def withdrawn_alone(self, client_id: ClientId, *, since: datetime) -> Mapping[InstrumentId, Decimal]:
        """Return what has left all accounts of a client since a time, by withdrawals that one person asked for and no second one."""
        ...

    async def accounts_with(self, instrument_id: InstrumentId) -> Sequence[AccountRef]:
        """Return the accounts that hold an instrument or ever held it, in the order of their names."""
        ...


class BookReader(LedgerReader, Protocol):
    """Reads of clients, accounts and what they hold."""

    async def get_client(self, client_id: ClientId) -> Client:
        """Return a client; UNKNOWN_CLIENT if there is none."""
        ...

    async def list_clients(self, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Client]:
        """Return the clients inside a scope, in the order of their ids."""
        ...

    async def get_account(self, ref: AccountRef) -> Account:
        """Return an account; UNKNOWN_ACCOUNT if there is none."""
        ...

    async def list_accounts(self, client_id: ClientId | None, page: Page, *, scope: ClientScope = WHOLE_HOUSE) -> Sequence[Account]:
        """Return accounts of a client, or of all inside a scope, in the order of their full names; `page.after` is a full name."""
        ...

    async def account_state(self, ref: AccountRef) -> AccountState:
        """Return what an account holds, consistent with one ledger sequence; UNKNOWN_ACCOUNT if there is none."""
        ...

    async def account_state_at(self, ref: AccountRef, sequence: int) -> AccountState:
        """Return what an account held as of one of its entries, added up from the postings up to it; 0 is before the first.

        Raises:
            DomainError: UNKNOWN_ACCOUNT; SEQUENCE_NOT_REACHED when there is no such entry yet.
        """
        ...

    async def read_books(self, *refs: AccountRef) -> Books:
        """Return what a decision on accounts would be made on now, as of one moment, without any lock; UNKNOWN_ACCOUNT."""
        ...

    async def account_states(self, refs: Sequence[AccountRef]) -> Sequence[AccountState]:
        """Return what accounts hold as `account_state` does, each consistent with one ledger sequence; unknown ones are left out."""
        ...

    async def packed_states(self, refs: Sequence[AccountRef]) -> Sequence[PackedState]:
        """Return the same packed, in the order of their names. What has not moved since it was last asked for need not be read again."""
        ...

    async def list_reservations(self, ref: AccountRef, *, after_sequence: int, limit: int) -> Sequence[Reservation]:
        """Return reservations of an account in sequence order, ended ones included; UNKNOWN_ACCOUNT if there is no such account."""
        ...

    async def overdue_reservations(self, *, limit: int) -> Sequence[Reservation]:
        """Return immediate ones whose time is over and whose end is not in the ledger yet, of any account: what the reaper tidies."""
        ...

    async def count_open_reservations(self) -> Mapping[ReservationStatus, int]:
        """Return how many reservations of all accounts are active, and how many are suspect, by the storage's clock."""
        ...

    async def halts_in_force(self) -> Sequence[Halt]:
        """Return the halts of now, that of the house first, those of clients by their names."""
        ...

    async def get_halt(self, client_id: ClientId | None) -> Halt:
        """Return whether a client, or with None the house, is halted; what was never halted is not, whether or not it exists."""
        ...

    async def get_limits(self, client_id: ClientId, account_id: AccountId | None) -> ExposureLimits:
        """Return the limits of an account, or with None of a client; what was never limited has none."""
        ...

    async def account_sequences(self) -> Mapping[AccountRef, int]:
        """Return the last sequence of every open account: what the monitor polls."""
        ...
