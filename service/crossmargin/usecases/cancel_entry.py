"""Take back what should not have been booked: a busted trade, or a lifecycle event with a wrong rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.book import Entry, EntryKind, append_to_chain, check_reference, reversing_entry
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.lifecycle_event import EVENT_KINDS
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookedEntry, LedgerReader
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.storage_errors import already_cancelled, unknown_entry


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The entry that takes another back, and the account's last sequence, which it is."""

    sequence: int
    replayed: bool


@dataclass(frozen=True, slots=True)
class CancelTrade:
    """Books the reverse of a trade, once. A cancellation is a fact: the venue has busted the trade, or it never was.

    What lifecycle events have paid on the trade since is not touched: they are entries of their own.
    """

    writer: Writer
    ledger: LedgerReader

    async def __call__(self, account: AccountRef, sequence: int, *, reason: str, caller: Caller) -> Cancelled:
        """Return where the reverse is.

        Raises:
            DomainError: UNKNOWN_ACCOUNT; UNKNOWN_ENTRY; NOT_CANCELLABLE for an entry that is no trade; ALREADY_CANCELLED; INVALID_ARGUMENT
                for a reason that is not 1 to 128 printable ASCII characters.
        """
        cancellation = _Cancellation("CancelTrade", "trade", frozenset({EntryKind.TRADE}), EntryKind.TRADE_CANCELLATION)
        return await _cancel(self.writer, self.ledger, cancellation, account, sequence, reason, caller)


@dataclass(frozen=True, slots=True)
class CancelLifecycleEvent:
    """Books the reverse of what a lifecycle event did to one account, once, so that it can be applied again as it should have been."""

    writer: Writer
    ledger: LedgerReader

    async def __call__(self, account: AccountRef, sequence: int, *, reason: str, caller: Caller) -> Cancelled:
        """Return where the reverse is; raises what CancelTrade raises, NOT_CANCELLABLE for an entry that books no lifecycle event."""
        cancellation = _Cancellation("CancelLifecycleEvent", "lifecycle event", EVENT_KINDS, EntryKind.EVENT_CANCELLATION)
        return await _cancel(self.writer, self.ledger, cancellation, account, sequence, reason, caller)


@dataclass(frozen=True, slots=True)
class _Cancellation:
    method: str
    noun: str
    cancellable: frozenset[EntryKind]
    kind: EntryKind


async def _cancel(  # noqa: PLR0917 - the parts of one request, in its order
    writer: Writer,
    ledger: LedgerReader,
    cancellation: _Cancellation,
    account: AccountRef,
    sequence: int,
    reason: str,
    caller: Caller,
) -> Cancelled:
    if not check_reference(reason):
        expected = "1 to 128 printable ASCII characters that say why"
        raise DomainError(Reason.INVALID_ARGUMENT, f"reason was empty; expected {expected}", field="reason", expected=expected)
    seen_at = await ledger.account_sequence(account)
    seen = await ledger.get_entry(account, sequence)

    async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
        head = heads[account].check_open()
        # What was read before the lock counts only if nothing was booked in between.
        found = seen if head.sequence == seen_at else await ledger.get_entry(account, sequence)
        entry = _cancellable(cancellation, account, sequence, found)
        chained = append_to_chain(head, (reversing_entry(entry, cancellation.kind, reason=reason),))
        return Decision(response=str(chained[-1].sequence).encode(), entries=chained)

    content = [str(account), str(sequence), reason]
    outcome = await writer.write(caller.write_request(cancellation.method, content, (account,)), decide)
    return Cancelled(int(outcome.response), outcome.replayed)


def _cancellable(cancellation: _Cancellation, account: AccountRef, sequence: int, found: BookedEntry | None) -> Entry:
    if found is None:
        raise unknown_entry(account, sequence)
    if found.reversed_by is not None:
        raise already_cancelled(account, sequence, found.reversed_by)
    kind = found.entry.entry.kind
    if kind not in cancellation.cancellable:
        raise DomainError(
            Reason.NOT_CANCELLABLE,
            f"entry {sequence} of {account} is of the kind {kind.value}; expected a {cancellation.noun}",
            account=account,
            sequence=sequence,
            kind=kind.value,
        )
    return found.entry
