"""Verify everything that is stored of the ledger: chains, heads, positions, reservations, unsettled trades, sums and anchors."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, TypeAlias, TypeVar

from crossmargin.domain.audit_anchor import Anchor, AnchoredHead, HeadName
from crossmargin.domain.ledger_audit import (
    AccountAudit,
    Amounts,
    AnchorAudit,
    Finding,
    FindingKind,
    PositionName,
    SignatureCheck,
    StoredEntry,
    StoredPosition,
    UnreadableAnchor,
    add_amounts,
    check_anchored_entry,
)
from crossmargin.domain.money import format_decimal
from crossmargin.usecases.ports.ledger_audit import LedgerView

FINDING_LIMIT: Final = 10_000
"""Findings kept; more are counted. Whoever has ten thousand does not need the next to know that the ledger is not to be trusted."""
_IN_FLIGHT: Final = timedelta(minutes=1)
"""An anchor is read, signed and stored within this time; while it is, the file may be ahead of a view of the database."""
_PINS_AT_ONCE: Final = 1000
T = TypeVar("T")
OfAccount = TypeVar("OfAccount", AnchoredHead, StoredEntry, StoredPosition)


@dataclass(frozen=True, slots=True)
class LedgerVerdict:
    """What a verification came to.

    Attributes:
        taken_at: The moment of the view, by the clock of the database.
        finding_count: All of them; `findings` holds the first ones.
        anchors_in_database: Anchors read there, and their last number.
        anchors_in_file: Anchors read from the file, and their last number; None without a file.
        signatures_checked: False when no public key was given, so that whoever can write to the database could have made the anchors too.
    """

    taken_at: datetime
    account_count: int
    entry_count: int
    posting_count: int
    anchors_in_database: int
    last_anchor: Anchor | None
    anchors_in_file: int | None
    signatures_checked: bool
    finding_count: int
    findings: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        """True when nothing was found."""
        return not self.finding_count


Report: TypeAlias = Callable[[int, int], None]
"""Called with how many entries were looked at, and how many there are."""


@dataclass(slots=True)
class VerifyLedger:
    """Looks at one view of the ledger. `anchor_file` yields the anchors that were kept outside the database, in the order of the file."""

    view: LedgerView
    signatures: SignatureCheck | None = None
    anchor_file: Iterator[Anchor | UnreadableAnchor] | None = None
    report: Report = lambda _done, _total: None
    _findings: list[Finding] = field(default_factory=list)
    _finding_count: int = 0
    _accounts: int = 0
    _entries: int = 0
    _postings: int = 0
    _details: int = 0
    _total: int = 0
    _sums: dict[str, Amounts] = field(default_factory=dict)
    _names: set[HeadName] = field(default_factory=set)

    async def __call__(self) -> LedgerVerdict:
        """Return what was found. Memory grows with the number of accounts and not with that of entries."""
        await self._check_accounts()
        await self._check_projections()
        await self._check_sums()
        inside = AnchorAudit("database", self.signatures)
        outside = AnchorAudit("file", self.signatures, may_begin_later=True)
        await self._check_anchors(inside, outside)
        return LedgerVerdict(
            taken_at=self.view.taken_at,
            account_count=self._accounts,
            entry_count=self._entries,
            posting_count=self._postings,
            anchors_in_database=inside.count,
            last_anchor=inside.previous,
            anchors_in_file=outside.count if self.anchor_file is not None else None,
            signatures_checked=self.signatures is not None,
            finding_count=self._finding_count,
            findings=tuple(self._findings),
        )

    def _found(self, *findings: Finding) -> None:
        self._finding_count += len(findings)
        self._findings.extend(findings[: FINDING_LIMIT - len(self._findings)])

    async def _check_accounts(self) -> None:
        heads = _AheadOfAccounts(self.view.heads())
        entries = _AheadOfAccounts(self.view.entries())
        positions = _AheadOfAccounts(self.view.positions())
        async for batch in self.view.heads():
            self._total += sum(head.sequence for head in batch)
        while True:
            following = (await heads.peek(), await entries.peek(), await positions.peek())
            names = [(each.client_id, each.account_id) for each in following if each is not None]
            if not names:
                return
            await self._check_account(min(names), heads, entries, positions)

    async def _check_account(
        self,
        name: HeadName,
        heads: _AheadOfAccounts[AnchoredHead],
        entries: _AheadOfAccounts[StoredEntry],
        positions: _AheadOfAccounts[StoredPosition],
    ) -> None:
        self._accounts += 1
        audit = AccountAudit(f"clients/{name[0]}/accounts/{name[1]}", name[1])
        while (entry := await entries.next_of(name)) is not None:
            self._found(*audit.follow(entry))
            self._entries += 1
            self._postings += len(entry.legs)
            self._details += entry.details is not None
            for leg in entry.legs:
                add_amounts(self._sums, leg.instrument_id, (leg.quantity, leg.cost))
            if not self._entries % 1000:
                self.report(self._entries, self._total)
        held: dict[PositionName, Amounts] = {}
        while (position := await positions.next_of(name)) is not None:
            held[position.book_id, position.instrument_id] = (position.quantity, position.cost)
        head = await heads.next_of(name)
        if head is not None:
            self._names.add(name)
        self._found(*audit.end(head, held, now=self.view.taken_at))

    async def _check_projections(self) -> None:
        async for differences in self.view.projection_differences():
            self._found(*(difference.finding() for difference in differences))

    async def _check_sums(self) -> None:
        self.report(self._entries, max(self._total, self._entries))
        for instrument, (quantity, cost) in sorted(self._sums.items()):
            if quantity or cost:
                message = (
                    f"all postings in {instrument}, those of street, custodian and house included, sum to {format_decimal(quantity)} "
                    f"at cost {format_decimal(cost)}; expected nothing"
                )
                self._found(Finding(FindingKind.SUM_NOT_ZERO, message))
        stored = await self.view.posting_count()
        if stored != self._postings:
            message = f"{stored} postings are stored; the entries have {self._postings}"
            self._found(Finding(FindingKind.POSTINGS_WITHOUT_ENTRY, message))
        stored = await self.view.details_count()
        if stored != self._details:
            message = f"details of {stored} entries are stored; {self._details} of the entries have any"
            self._found(Finding(FindingKind.DETAILS_WITHOUT_ENTRY, message))

    async def _check_anchors(self, inside: AnchorAudit, outside: AnchorAudit) -> None:
        stored = _Ahead(self.view.anchors())
        written = _Ahead(_batches(self.anchor_file or iter(())))
        pins = _Pins(self.view)
        while True:
            here, there = await stored.peek(), await written.peek()
            if here is None and there is None:
                break
            if there is None or (here is not None and here.number < there.number):
                await self._follow(inside, await stored.take(), pins)
            elif here is None or there.number < here.number:
                await self._only_in_file(outside, await written.take(), pins, is_after_database=here is None)
            else:
                await self._in_both(inside, outside, await stored.take(), await written.take(), pins)
        self._found(*await pins.rest())
        for audit in (inside, outside):
            self._check_accounts_are_there(audit)

    def _check_accounts_are_there(self, audit: AnchorAudit) -> None:
        for name, head in audit.heads.items():
            if name not in self._names:
                message = f"{audit.place}: the account was anchored at entry {head.sequence} and has no head"
                self._found(Finding(FindingKind.HEAD_MISSING, message, head.account, head.sequence))

    async def _follow(self, audit: AnchorAudit, anchor: Anchor | UnreadableAnchor, pins: _Pins) -> None:
        if isinstance(anchor, UnreadableAnchor):
            self._found(Finding(FindingKind.ANCHOR_UNREADABLE, f"{audit.place}: {anchor.fault}", anchor=anchor.number))
            return
        previous = audit.previous
        self._found(*audit.follow(anchor))
        self._found(*await pins.add(anchor, previous, audit.place))

    async def _only_in_file(self, audit: AnchorAudit, anchor: Anchor | UnreadableAnchor, pins: _Pins, *, is_after_database: bool) -> None:
        if isinstance(anchor, Anchor):
            if anchor.taken_at > self.view.taken_at:
                return  # taken after the moment that is looked at
            # The heads were read before the view was, so the entries are in it; the anchor itself may have been stored a moment later.
            is_in_flight = is_after_database and anchor.taken_at > self.view.taken_at - _IN_FLIGHT
            is_repeated = audit.previous is not None and anchor.number <= audit.previous.number
            if not is_in_flight and not is_repeated:
                message = f"anchor {anchor.number} is in the file and not in the database: it was taken out, or an old copy is in use"
                self._found(Finding(FindingKind.ANCHOR_MISSING, message, anchor=anchor.number))
        await self._follow(audit, anchor, pins)

    async def _in_both(
        self,
        inside: AnchorAudit,
        outside: AnchorAudit,
        stored: Anchor | UnreadableAnchor,
        written: Anchor | UnreadableAnchor,
        pins: _Pins,
    ) -> None:
        await self._follow(inside, stored, pins)
        if stored == written and isinstance(written, Anchor):
            self._found(*outside.follow(written))
            return
        if isinstance(stored, Anchor) and isinstance(written, Anchor):
            message = f"anchor {written.number} in the file is not the one in the database"
            self._found(Finding(FindingKind.ANCHOR_FORK, message, anchor=written.number))
        await self._follow(outside, written, pins)


class _Ahead(Generic[T]):
    """Items of batches one by one, the next of which can be looked at before it is taken."""

    def __init__(self, batches: AsyncIterator[Sequence[T]]) -> None:
        self._batches = batches
        self._items: deque[T] = deque()

    async def peek(self) -> T | None:
        """Return the next item, or None at the end."""
        while not self._items:
            batch = await anext(self._batches, None)
            if batch is None:
                return None
            self._items.extend(batch)
        return self._items[0]

    async def take(self) -> T:
        """Return the next item, which is there, and go on."""
        await self.peek()
        return self._items.popleft()


class _AheadOfAccounts(_Ahead[OfAccount]):
    """Items that each belong to an account, in the order of accounts."""

    async def next_of(self, name: HeadName) -> OfAccount | None:
        """Return the next item if it is of this account, and go on; None otherwise."""
        item = await self.peek()
        return await self.take() if item is not None and (item.client_id, item.account_id) == name else None


class _Pins:
    """Entries that anchors saw, looked up many at a time."""

    def __init__(self, view: LedgerView) -> None:
        self._view = view
        self._waiting: list[tuple[AnchoredHead, Anchor, Anchor | None, str]] = []

    async def add(self, anchor: Anchor, previous: Anchor | None, place: str) -> list[Finding]:
        """Take in the heads of an anchor, and return what is wrong with those that have been looked up meanwhile."""
        self._waiting += [(head, anchor, previous, place) for head in anchor.changed if head.sequence > 0]
        return await self.rest() if len(self._waiting) >= _PINS_AT_ONCE else []

    async def rest(self) -> list[Finding]:
        """Return what is wrong with those that wait."""
        waiting, self._waiting = self._waiting, []
        stored = await self._view.recorded([head for head, *_ in waiting]) if waiting else ()
        return [
            finding
            for (head, anchor, previous, place), entry in zip(waiting, stored, strict=True)
            for finding in check_anchored_entry(head, entry, anchor, previous, place=place)
        ]


async def _batches(items: Iterator[T]) -> AsyncIterator[Sequence[T]]:
    for item in items:
        yield (item,)
