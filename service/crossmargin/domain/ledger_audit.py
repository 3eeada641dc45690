"""What an auditor looks at, and what can be wrong with it.

Everything is taken as it is stored, in plain words and numbers: what somebody has tampered with need not be a thing that could ever have
been booked, and the audit has to name it all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, unique
from typing import Final, Protocol, TypeAlias, TypeVar

from crossmargin.domain.account import GENESIS_HASH
from crossmargin.domain.audit_anchor import FIRST_ANCHOR, NO_ANCHOR_HASH, Anchor, AnchoredHead, HeadName, HeadTree, contradictions
from crossmargin.domain.entry_details import parse_details
from crossmargin.domain.entry_hash import PostedLeg, entry_hash
from crossmargin.domain.money import EXACT, format_decimal

Name = TypeVar("Name")
Amounts: TypeAlias = tuple[Decimal, Decimal]
"""Quantity and cost."""
PositionName: TypeAlias = tuple[str, str]
"""Book and instrument."""
NOTHING: Final[Amounts] = (Decimal(0), Decimal(0))
RECORDING_TOLERANCE: Final = timedelta(minutes=5)
"""How far the time of recording may lie outside the anchors around an entry: a transaction takes seconds, a clock is set by less."""


@unique
class FindingKind(Enum):
    """What can be wrong with a ledger."""

    ENTRY_MISSING = "entry missing"
    ENTRY_ALTERED = "entry altered"
    CHAIN_BROKEN = "chain broken"
    ENTRY_UNBALANCED = "entry unbalanced"
    POSTINGS_WITHOUT_ENTRY = "postings without entry"
    DETAILS_WITHOUT_ENTRY = "details without entry"
    HEAD_DIFFERS = "head differs"
    HEAD_MISSING = "head missing"
    POSITION_DIFFERS = "position differs"
    RESERVATION_DIFFERS = "reservation differs"
    UNSETTLED_TRADE_DIFFERS = "unsettled_trade differs"
    SUM_NOT_ZERO = "sum not zero"
    ANCHOR_UNREADABLE = "anchor unreadable"
    ANCHOR_MISSING = "anchor missing"
    ANCHOR_OUT_OF_ORDER = "anchor out of order"
    ANCHOR_CHAIN_BROKEN = "anchor chain broken"
    ANCHOR_SIGNATURE = "anchor signature"
    ANCHOR_ROOT = "anchor root"
    ANCHOR_CONTRADICTION = "anchor contradiction"
    ANCHOR_FORK = "anchor fork"
    ANCHORED_ENTRY_MISSING = "anchored entry missing"
    ANCHORED_ENTRY_DIFFERS = "anchored entry differs"
    RECORDED_OUT_OF_TIME = "recorded out of time"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        message: What it was and what was expected, in a sentence.
        account: Full name, or empty when it is about no single one.
        sequence: Entry of the account, or 0.
        anchor: Number of the anchor, or 0.
    """

    kind: FindingKind
    message: str
    account: str = ""
    sequence: int = 0
    anchor: int = 0


@dataclass(frozen=True, slots=True)
class StoredLeg:
    """One leg as it is stored. `number` is its place among those of its entry, from 1 on."""

    number: int
    ledger_account: str
    book_id: str
    instrument_id: str
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry with its legs, in order, as they are stored.

    Attributes:
        effective_at: None when what is stored is no moment that an entry can have.
        details: What it says beyond its legs (see `EntryDetails`); None for most.
        reverses: The entry it takes back, as it stands beside the details to be looked up by.
        event: The event it books, as it stands there.
    """

    client_id: str
    account_id: str
    sequence: int
    kind: str
    effective_at: datetime | None
    reference: str
    previous_hash: bytes
    chain_hash: bytes
    recorded_at: datetime | None
    legs: tuple[StoredLeg, ...]
    details: str | None = None
    reverses: int | None = None
    event: str | None = None

    @property
    def account(self) -> str:
        """Full name of the account."""
        return f"clients/{self.client_id}/accounts/{self.account_id}"

    @property
    def is_whole(self) -> bool:
        """True when the chain hash is that of what is stored, and what the hash does not hold follows from what it does."""
        # The hash covers the order of the legs, so their numbers have to be the places.
        is_in_order = [leg.number for leg in self.legs] == list(range(1, len(self.legs) + 1))
        return is_in_order and self._is_hashed and self._is_filed_as_it_says

    @property
    def _is_hashed(self) -> bool:
        effective_at = self.effective_at
        if effective_at is None:
            return False
        # An entry of before the time of recording was part of the hash has the other one.
        return any(
            self.chain_hash
            == entry_hash(
                previous=self.previous_hash,
                account=self.account,
                sequence=self.sequence,
                kind=self.kind,
                effective_at=effective_at,
                reference=self.reference,
                postings=self.legs,
                details=self.details or "",
                recorded_at=recorded_at,
            )
            for recorded_at in dict.fromkeys((self.recorded_at, None))
        )

    @property
    def _is_filed_as_it_says(self) -> bool:
        try:
            said = parse_details(self.details or "")
        except (ValueError, AttributeError, TypeError):
            return False
        return self.details != "" and (said.reverses, said.event or None) == (self.reverses, self.event)


@dataclass(frozen=True, slots=True)
class StoredPosition:
    """A position as it is stored."""

    client_id: str
    account_id: str
    book_id: str
    instrument_id: str
    quantity: Decimal
    cost: Decimal


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """What is stored of the entry that an anchor saw, as far as the anchor can tell."""

    chain_hash: bytes
    recorded_at: datetime | None


@dataclass(frozen=True, slots=True)
class UnreadableAnchor:
    """What stands where an anchor should, and what is wrong with it."""

    number: int
    fault: str


@dataclass(slots=True)
class AccountAudit:
    """Follows one account from its first entry to its head.

    Attributes:
        account: Full name.
        positions: What the postings add up to, by book and instrument.
    """

    account: str
    account_id: str
    sequence: int = 0
    chain_hash: bytes = GENESIS_HASH
    recorded_until: datetime | None = None
    positions: dict[PositionName, Amounts] = field(default_factory=dict)

    def follow(self, entry: StoredEntry) -> Iterator[Finding]:
        """Take in the next stored entry, and yield what is wrong with it."""
        if entry.sequence != self.sequence + 1:
            yield self._missing(self.sequence + 1, entry.sequence - 1)
        elif entry.previous_hash != self.chain_hash:
            yield self._finding(
                FindingKind.CHAIN_BROKEN,
                f"entry {entry.sequence} follows {entry.previous_hash.hex()[:16]}; the entry before it has {self.chain_hash.hex()[:16]}",
                entry.sequence,
            )
        if not entry.is_whole:
            yield self._finding(
                FindingKind.ENTRY_ALTERED,
                f"entry {entry.sequence} does not have the hash that it is stored under: it, a posting or its details were changed",
                entry.sequence,
            )
        for instrument, (quantity, cost) in sorted(sums_by_instrument(entry.legs).items()):
            if quantity or cost:
                yield self._finding(
                    FindingKind.ENTRY_UNBALANCED,
                    f"postings of entry {entry.sequence} in {instrument} sum to {_words(quantity, cost)}; expected nothing",
                    entry.sequence,
                )
        yield from self._recorded(entry)
        for leg in entry.legs:
            if leg.ledger_account == self.account_id:
                add_amounts(self.positions, (leg.book_id, leg.instrument_id), (leg.quantity, leg.cost))
        self.sequence, self.chain_hash = entry.sequence, entry.chain_hash

    def end(self, head: AnchoredHead | None, positions: Mapping[PositionName, Amounts], *, now: datetime) -> Iterator[Finding]:
        """Compare what the entries come to with the head and the positions that are stored, and with the time."""
        if self.recorded_until is not None and self.recorded_until > now + RECORDING_TOLERANCE:
            message = f"entry {self.sequence}, or one before it, was recorded at {self.recorded_until.isoformat()}, which is still to come"
            yield self._finding(FindingKind.RECORDED_OUT_OF_TIME, message, self.sequence)
        if head is None:
            yield self._finding(FindingKind.HEAD_MISSING, f"there are {self.sequence} entries and no head", self.sequence)
        elif head.sequence > self.sequence:
            yield self._missing(self.sequence + 1, head.sequence)
        elif (head.sequence, head.chain_hash) != (self.sequence, self.chain_hash):
            yield self._finding(
                FindingKind.HEAD_DIFFERS,
                f"the head is at entry {head.sequence} with {head.chain_hash.hex()[:16]}; "
                f"the last entry is {self.sequence} with {self.chain_hash.hex()[:16]}",
                head.sequence,
            )
        for name in sorted(self.positions.keys() | positions.keys()):
            due, stored = self.positions.get(name, NOTHING), positions.get(name, NOTHING)
            if due != stored:
                yield self._finding(
                    FindingKind.POSITION_DIFFERS,
                    f"position of book {name[0]} in {name[1]} is {_words(*stored)}; its postings sum to {_words(*due)}",
                )

    def _recorded(self, entry: StoredEntry) -> Iterator[Finding]:
        # In the hash it is what the writer was told. It may go back a little, because a transaction that began earlier may book later.
        if entry.recorded_at is None:
            yield self._finding(FindingKind.RECORDED_OUT_OF_TIME, f"entry {entry.sequence} has no time of recording", entry.sequence)
            return
        if self.recorded_until is not None and entry.recorded_at < self.recorded_until - RECORDING_TOLERANCE:
            yield self._finding(
                FindingKind.RECORDED_OUT_OF_TIME,
                f"entry {entry.sequence} was recorded at {entry.recorded_at.isoformat()}, "
                f"one before it at {self.recorded_until.isoformat()}",
                entry.sequence,
            )
        self.recorded_until = max(entry.recorded_at, self.recorded_until or entry.recorded_at)

    def _missing(self, first: int, last: int) -> Finding:
        what = f"entry {first} is missing" if first == last else f"entries {first} to {last} are missing"
        return self._finding(FindingKind.ENTRY_MISSING, what, first)

    def _finding(self, kind: FindingKind, message: str, sequence: int = 0) -> Finding:
        return Finding(kind, message, account=self.account, sequence=sequence)


class SignatureCheck(Protocol):
    """The public keys that anchors are checked with."""

    def is_signed(self, anchor: Anchor) -> bool | None:
        """Return whether the signature is that of the key it names; None when that key is not known."""
        ...


@dataclass(slots=True)
class AnchorAudit:
    """Follows a series of anchors from its first.

    Attributes:
        place: Where the anchors are kept, for messages.
        may_begin_later: True when the series may begin with any checkpoint, as a file does that was begun anew.
    """

    place: str
    signatures: SignatureCheck | None
    may_begin_later: bool = False
    previous: Anchor | None = None
    count: int = 0
    _tree: HeadTree = field(default_factory=HeadTree)

    @property
    def heads(self) -> Mapping[HeadName, AnchoredHead]:
        """Where every account stood by the last anchor."""
        return self._tree.heads

    def follow(self, anchor: Anchor) -> Iterator[Finding]:
        """Take in the next anchor, and yield what is wrong with it."""
        self.count += 1
        yield from self._order(anchor)
        yield from self._signature(anchor)
        yield from self._root(anchor)
        self.previous = anchor

    def _order(self, anchor: Anchor) -> Iterator[Finding]:
        if self.previous is None and self.may_begin_later and anchor.is_checkpoint:
            return
        expected = self.previous.number + 1 if self.previous is not None else FIRST_ANCHOR
        previous_hash = self.previous.content_hash if self.previous is not None else NO_ANCHOR_HASH
        if anchor.number > expected:
            yield self._finding(FindingKind.ANCHOR_MISSING, f"anchors {expected} to {anchor.number - 1} are missing", anchor)
        elif anchor.number < expected:
            yield self._finding(FindingKind.ANCHOR_OUT_OF_ORDER, f"anchor {anchor.number} stands where {expected} belongs", anchor)
        elif anchor.previous_hash != previous_hash:
            yield self._finding(
                FindingKind.ANCHOR_CHAIN_BROKEN,
                f"anchor {anchor.number} follows {anchor.previous_hash.hex()[:16]}; the one before it is {previous_hash.hex()[:16]}",
                anchor,
            )
        if self.previous is not None and anchor.taken_at < self.previous.taken_at - RECORDING_TOLERANCE:
            yield self._finding(FindingKind.ANCHOR_OUT_OF_ORDER, f"anchor {anchor.number} is older than the one before it", anchor)

    def _signature(self, anchor: Anchor) -> Iterator[Finding]:
        if self.signatures is None:
            return
        match self.signatures.is_signed(anchor):
            case None:
                message = f"anchor {anchor.number} names key {anchor.key_id}, which is none of those given"
                yield self._finding(FindingKind.ANCHOR_SIGNATURE, message, anchor)
            case False:
                message = f"anchor {anchor.number} was changed: its signature is not that of key {anchor.key_id}"
                yield self._finding(FindingKind.ANCHOR_SIGNATURE, message, anchor)

    def _root(self, anchor: Anchor) -> Iterator[Finding]:
        known = self._tree.heads
        before = known if anchor.is_checkpoint else {head.name: known[head.name] for head in anchor.changed if head.name in known}
        for message in contradictions(before, {head.name: head for head in anchor.changed}):
            yield self._finding(FindingKind.ANCHOR_CONTRADICTION, f"by anchor {anchor.number} {message}", anchor)
        if anchor.is_checkpoint:
            self._tree = HeadTree(anchor.changed)
        else:
            self._tree.set(anchor.changed)
        stated = (anchor.root, anchor.account_count, anchor.entry_count)
        found = (self._tree.root, len(self._tree.heads), self._tree.entry_count)
        if stated != found:
            yield self._finding(
                FindingKind.ANCHOR_ROOT,
                f"anchor {anchor.number} states root {anchor.root.hex()[:16]} of {anchor.account_count} accounts with {anchor.entry_count} "
                f"entries; its heads have root {found[0].hex()[:16]} of {found[1]} accounts with {found[2]} entries",
                anchor,
            )

    def _finding(self, kind: FindingKind, message: str, anchor: Anchor) -> Finding:
        return Finding(kind, f"{self.place}: {message}", anchor=anchor.number)


def sums_by_instrument(legs: Iterable[PostedLeg]) -> dict[str, Amounts]:
    """Return what legs add up to, by instrument."""
    sums: dict[str, Amounts] = {}
    for leg in legs:
        add_amounts(sums, leg.instrument_id, (leg.quantity, leg.cost))
    return sums


def add_amounts(sums: dict[Name, Amounts], name: Name, amounts: Amounts) -> None:
    """Add a quantity and a cost to a sum, with all their digits."""
    quantity, cost = sums.get(name, NOTHING)
    sums[name] = (EXACT.add(quantity, amounts[0]), EXACT.add(cost, amounts[1]))


def check_anchored_entry(
    head: AnchoredHead, stored: RecordedEntry | None, anchor: Anchor, previous: Anchor | None, *, place: str
) -> Iterator[Finding]:
    """Yield what is wrong with the entry that an anchor saw at the head of an account, as it is stored now."""
    if stored is None:
        message = f"{place}: anchor {anchor.number} saw entry {head.sequence}, which is gone"
        yield Finding(FindingKind.ANCHORED_ENTRY_MISSING, message, head.account, head.sequence, anchor.number)
        return
    if stored.chain_hash != head.chain_hash:
        message = f"{place}: entry {head.sequence} is not the one that anchor {anchor.number} saw: entries up to it were written anew"
        yield Finding(FindingKind.ANCHORED_ENTRY_DIFFERS, message, head.account, head.sequence, anchor.number)
    # A checkpoint also lists heads that the anchor before it had seen already.
    is_new = previous is not None and not anchor.is_checkpoint
    earliest = previous.taken_at - RECORDING_TOLERANCE if previous is not None and is_new else None
    latest = anchor.taken_at + RECORDING_TOLERANCE
    recorded_at = stored.recorded_at
    if recorded_at is None or recorded_at > latest or (earliest is not None and recorded_at < earliest):
        message = (
            f"{place}: entry {head.sequence} says that it was recorded at {recorded_at}; "
            f"anchor {anchor.number} was the first to see it, at {anchor.taken_at}"
        )
        yield Finding(FindingKind.RECORDED_OUT_OF_TIME, message, head.account, head.sequence, anchor.number)


def _words(quantity: Decimal, cost: Decimal) -> str:
    shown = format_decimal(quantity)
    return f"{shown} at cost {format_decimal(cost)}" if cost else shown
