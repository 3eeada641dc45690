"""Margin calls, and who learns of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from crossmargin.domain.call_agreement import Agreements
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.identifiers import AccountRef, ClientId, InstrumentId
from crossmargin.usecases.ports.page import Page


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which margin calls to list; what is None chooses all.

    Attributes:
        account: Of this account only; it is one of the client's. only_open: Those alone of which something is still to come.
    """

    client_id: ClientId | None = None
    account: AccountRef | None = None
    only_open: bool = False


@dataclass(frozen=True, slots=True)
class EntrySpan:
    """Entries of an account after one and up to another, by their sequence."""

    after: int
    until: int


class CallStore(Protocol):
    """Margin calls, what happened to them, and what was agreed about them. They are written by decisions (see `Record`)."""

    async def get_call(self, ref: AccountRef, number: int) -> MarginCall:
        """Return a call as it stands; UNKNOWN_CALL."""
        ...

    async def last_call(self, ref: AccountRef) -> MarginCall | None:
        """Return the last call of an account, open or closed; None when it never had one."""
        ...

    async def last_calls(self) -> Mapping[AccountRef, MarginCall]:
        """Return the last call of every account that ever had one."""
        ...

    async def list_calls(self, chosen: CallFilter, page: Page) -> Sequence[MarginCall]:
        """Return calls in the order of account and number; `page.after` is a `call_key`."""
        ...

    async def list_notices(
        self, ref: AccountRef, *, after_sequence: int, limit: int, call_number: int | None = None
    ) -> Sequence[CallNotice]:
        """Return notices of an account, of all of its calls or of one, in the order of their numbers; UNKNOWN_ACCOUNT."""
        ...

    async def deliveries(self, ref: AccountRef, *, after_sequence: int, until_sequence: int) -> Mapping[InstrumentId, Decimal]:
        """Return what deposits and transfers between two entries brought in, less what was taken out; what nets to nothing is there too."""
        ...

    async def deliveries_of(self, spans: Mapping[AccountRef, EntrySpan]) -> Mapping[AccountRef, Mapping[InstrumentId, Decimal]]:
        """Return the same for many accounts, each between two entries of its own, with one read; an account without any is left out."""
        ...

    async def agreements(self) -> Agreements:
        """Return every agreement that was ever set, by client and account."""
        ...


def call_key(call: MarginCall) -> str:
    """Return what margin calls are listed in the order of.

    Client and account keep their own order, whatever their lengths, and numbers of one account theirs.
    """
    return f"{call.account.client_id} {call.account.account_id} {call.number:012d}"


class CallReports(Protocol):
    """Where people learn of margin calls."""

    def calls_seen(self, calls: Sequence[MarginCall]) -> None:
        """Publish the calls that are open. Of the process that leads."""
        ...

    def withdraw_calls(self) -> None:
        """Stop publishing open calls: this process no longer leads."""
        ...

    def call_changed(self, notice: CallNotice) -> None:
        """Count what this process has just done to a call."""
        ...
