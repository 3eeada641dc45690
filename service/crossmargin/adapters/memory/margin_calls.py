"""Margin calls, their notices, and what was agreed about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from crossmargin.adapters.memory.database import Contents, MemoryDatabase
from crossmargin.domain.call_agreement import Agreements, CallAgreement
from crossmargin.domain.call_life import CallNotice, MarginCall
from crossmargin.domain.call_need import DELIVERIES
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.money import exact_sum
from crossmargin.usecases.ports.margin_call import CallFilter, EntrySpan, call_key
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.storage_errors import unknown_account, unknown_call, unknown_client


class MemoryCallStore:
    """See `CallStore`."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    async def get_call(self, ref: AccountRef, number: int) -> MarginCall:
        """Return a call as it stands; UNKNOWN_CALL."""
        if (ref, number) not in self._database.contents.calls:
            raise unknown_call(ref, number)
        return self._database.contents.calls[ref, number]

    async def last_call(self, ref: AccountRef) -> MarginCall | None:
        """Return the last call of an account."""
        return (await self.last_calls()).get(ref)

    async def last_calls(self) -> Mapping[AccountRef, MarginCall]:
        """Return the last call of every account that ever had one."""
        return {call.account: call for _, call in sorted(self._database.contents.calls.items())}

    async def list_calls(self, chosen: CallFilter, page: Page) -> Sequence[MarginCall]:
        """Return calls in the order of account and number."""
        calls = self._database.contents.calls
        found = [call for _, call in sorted(calls.items()) if _is_chosen(call, chosen)]
        after = None if page.after is None else page.after.split(" ")
        rest = [call for call in found if after is None or call_key(call).split(" ") > after]
        return rest[: page.size]

    async def list_notices(
        self, ref: AccountRef, *, after_sequence: int, limit: int, call_number: int | None = None
    ) -> Sequence[CallNotice]:
        """Return notices of an account in the order of their numbers; UNKNOWN_ACCOUNT."""
        contents = self._database.contents
        if ref not in contents.accounts:
            raise unknown_account(ref)
        every = sorted((sequence, notice) for (account, sequence), notice in contents.call_notices.items() if account == ref)
        return [notice for sequence, notice in every if sequence > after_sequence and call_number in {None, notice.call_number}][:limit]

    async def deliveries(self, ref: AccountRef, *, after_sequence: int, until_sequence: int) -> Mapping[InstrumentId, Decimal]:
        """Return what deposits and transfers between two entries brought in, less what was taken out."""
        moved: dict[InstrumentId, Decimal] = {}
        for (account, sequence), numbered in self._database.contents.entries.items():
            if account == ref and after_sequence < sequence <= until_sequence and numbered.entry.kind in DELIVERIES:
                for leg in numbered.entry.postings:
                    if leg.ledger_account == ref.account_id:
                        moved[leg.instrument_id] = exact_sum((moved.get(leg.instrument_id, Decimal(0)), leg.quantity))
        return moved

    async def deliveries_of(self, spans: Mapping[AccountRef, EntrySpan]) -> Mapping[AccountRef, Mapping[InstrumentId, Decimal]]:
        """Return the same for many accounts."""
        found = {}
        for ref, span in spans.items():
            moved = await self.deliveries(ref, after_sequence=span.after, until_sequence=span.until)
            if moved:
                found[ref] = moved
        return found

    async def agreements(self) -> Agreements:
        """Return every agreement that was ever set."""
        return dict(self._database.contents.call_agreements)


def store_call_record(staged: Contents, new: CallAgreement | MarginCall | CallNotice, now: datetime) -> bool:
    """Store a call in place of what it was, an agreement in place of the one before, or a notice; False for a second open call."""
    if isinstance(new, CallAgreement):
        return _store_agreement(staged, new, now)
    if new.account not in staged.accounts:
        raise unknown_account(new.account)
    if isinstance(new, CallNotice):
        return staged.call_notices.setdefault((new.account, new.sequence), new) == new
    others = [call for call in staged.calls.values() if call.account == new.account and call.number != new.number and call.is_open]
    if new.is_open and others:
        return False
    staged.calls[new.account, new.number] = new
    return True


def _store_agreement(staged: Contents, new: CallAgreement, now: datetime) -> bool:
    if new.client_id not in staged.clients:
        raise unknown_client(new.client_id)
    staged.call_agreements[new.client_id, new.account_id] = replace(new, set_at=now)
    return True


def _is_chosen(call: MarginCall, chosen: CallFilter) -> bool:
    return (
        chosen.client_id in {None, call.account.client_id}
        and chosen.account in {None, call.account}
        and (call.is_open or not chosen.only_open)
    )
