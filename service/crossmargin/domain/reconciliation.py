"""What somebody else says that accounts hold, beside what the books say, and where the two part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, unique
from hashlib import sha256
from typing import Final, TypeAlias

from crossmargin.domain.book import check_aware, check_reference
from crossmargin.domain.entry_hash import length_prefixed
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.money import EXACT, check_ledger_decimal, format_decimal

LARGEST_STATEMENT: Final = 5000
"""Lines. More are sent as several statements, of some accounts each."""
LONGEST_NOTE: Final = 1000
_SOURCE: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
HoldingName: TypeAlias = tuple[AccountRef, InstrumentId]
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What a statement says of one holding.

    Attributes:
        quantity: Signed, in units of the instrument, over all books of the account.
        value: What it is worth in the eyes of who says so; kept, never compared. None when nothing is said.
        external_reference: Their own name for it; kept, never interpreted.
    """

    account: AccountRef
    instrument_id: InstrumentId
    quantity: Decimal
    value: Decimal | None = None
    external_reference: str = ""

    def __post_init__(self) -> None:
        check_ledger_decimal(self.quantity, what=f"quantity of {self.instrument_id}")
        if self.value is not None:
            check_ledger_decimal(self.value, what=f"value of {self.instrument_id}")
        check_reference(self.external_reference)

    @property
    def name(self) -> HoldingName:
        """What it speaks of."""
        return self.account, self.instrument_id


@dataclass(frozen=True, slots=True)
class Statement:
    """A custodian's or a venue's list of holdings at a moment.

    Attributes:
        source: Who says so, such as `custodian-one`; statements of one source are a series.
        as_of: Everything that took effect until then is in it.
        accounts: What it is about; holdings of these that it does not list it says are nothing. Sorted, with those of the lines.
        instruments: What it is about; empty for all. A venue lists its contracts only. Sorted.
        tolerance: Largest difference that is none. Zero or more.
    """

    source: str
    as_of: datetime
    lines: tuple[StatementLine, ...]
    accounts: tuple[AccountRef, ...] = ()
    instruments: tuple[InstrumentId, ...] = ()
    tolerance: Decimal = _NOTHING

    def __post_init__(self) -> None:
        check_aware(self.as_of, what="as_of")
        check_ledger_decimal(self.tolerance, what="tolerance")
        object.__setattr__(self, "accounts", tuple(sorted({*self.accounts, *(line.account for line in self.lines)})))
        object.__setattr__(self, "instruments", tuple(sorted(set(self.instruments))))
        _check(
            bool(_SOURCE.fullmatch(self.source)), f"source was {self.source[:80]!r}; expected 1 to 63 of a-z, 0-9 and '-', such as bank-1"
        )
        _check(self.tolerance >= 0, f"tolerance was {self.tolerance}; expected zero or more")
        _check(bool(self.accounts), "the statement has no line and names no account; expected what it is about")
        _check(len(self.lines) <= LARGEST_STATEMENT, f"the statement has {len(self.lines)} lines; expected at most {LARGEST_STATEMENT}")
        self._check_lines()

    @property
    def statement_id(self) -> str:
        """Derived from the content, so that the same statement has the same name."""
        head = [
            self.source,
            self.as_of.astimezone(UTC).isoformat(),
            format_decimal(self.tolerance),
            *map(str, self.accounts),
            *self.instruments,
        ]
        lines = [
            text
            for line in sorted(self.lines, key=lambda line: line.name)
            for text in (
                str(line.account),
                line.instrument_id,
                format_decimal(line.quantity),
                "" if line.value is None else format_decimal(line.value),
                line.external_reference,
            )
        ]
        counts = [str(len(self.accounts)), str(len(self.instruments))]
        return sha256(length_prefixed(text.encode() for text in (*counts, *head, *lines))).hexdigest()[:32]

    def is_about(self, instrument_id: InstrumentId) -> bool:
        """True when the statement would list a holding of the instrument."""
        return not self.instruments or instrument_id in self.instruments

    def _check_lines(self) -> None:
        seen: set[HoldingName] = set()
        for number, line in enumerate(self.lines, start=1):
            _check(line.name not in seen, f"line {number} is the second about {line.instrument_id} of {line.account}; expected one")
            _check(
                self.is_about(line.instrument_id),
                f"line {number} is about {line.instrument_id}, which is none of the instruments that the statement is about",
            )
            seen.add(line.name)


@dataclass(frozen=True, slots=True)
class HeldThen:
    """What an account held at a moment, over its books.

    Attributes:
        sequence: Last entry that had taken effect by then; 0 for none.
    """

    sequence: int
    quantities: Mapping[InstrumentId, Decimal]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The last time that a series of statements agreed with the books about a holding.

    Attributes:
        sequence: Last entry of the account that was in it: what parts the two came after.
    """

    as_of: datetime
    sequence: int


@unique
class BreakKind(Enum):
    """How a statement and the books part."""

    MISSING_HERE = "missing here"
    MISSING_THERE = "missing there"
    QUANTITY_DIFFERS = "quantity differs"


@unique
class BreakState(Enum):
    """What a person has said of a break."""

    OPEN = "open"
    EXPLAINED = "explained"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class BreakNote:
    """What a person says of a break. Notes are only ever added; the last one says where the break stands."""

    statement_id: str
    account: AccountRef
    instrument_id: InstrumentId
    number: int
    state: BreakState
    note: str
    noted_by: str
    noted_at: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """One holding, as a statement and as the books have it.

    Attributes:
        stated: None when the statement does not list it.
        kind: How they part; None when they agree.
        last_agreed: When they last agreed in an earlier statement of the source; None when they never did, or do now.
    """

    account: AccountRef
    instrument_id: InstrumentId
    stated: Decimal | None
    held: Decimal
    kind: BreakKind | None
    value: Decimal | None = None
    external_reference: str = ""
    last_agreed: Agreement | None = None

    @property
    def name(self) -> HoldingName:
        """What it is about."""
        return self.account, self.instrument_id


@dataclass(frozen=True, slots=True)
class ReconciledStatement:
    """A statement with everything that was compared, as it is stored. Nothing in it is ever changed.

    Attributes:
        sequences: Up to which entry of each account it was compared.
    """

    statement: Statement
    sequences: Mapping[AccountRef, int]
    comparisons: tuple[Comparison, ...]
    reconciled_by: str


@dataclass(frozen=True, slots=True)
class Break:
    """A stored comparison that does not agree, and what was said of it."""

    statement_id: str
    source: str
    as_of: datetime
    comparison: Comparison
    sequence: int
    note: BreakNote | None = None

    @property
    def state(self) -> BreakState:
        """Where it stands."""
        return self.note.state if self.note is not None else BreakState.OPEN

    @property
    def key(self) -> str:
        """Its place in lists: oldest first, then by name. Sorts as text."""
        ref = self.comparison.account
        moment = self.as_of.astimezone(UTC).isoformat(timespec="microseconds")
        return f"{moment} {self.statement_id} {ref.client_id} {ref.account_id} {self.comparison.instrument_id}"

    def noted(self, state: BreakState, note: str, *, by: str, at: datetime) -> BreakNote:
        """Return the next note of this break.

        Raises:
            DomainError: BREAK_CLOSED when it is closed; INVALID_ARGUMENT for a note that says nothing.
        """
        ref, instrument = self.comparison.name
        if self.state is BreakState.CLOSED:
            raise DomainError(
                Reason.BREAK_CLOSED,
                f"the break in {instrument} of {ref} in statement {self.statement_id} is closed; "
                "a later statement shows whether it is back",
                statement=self.statement_id,
                account=ref,
                instrument=instrument,
            )
        if not note.strip() or len(note) > LONGEST_NOTE or not note.isprintable():
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"note was {note[:60]!r}; expected 1 to {LONGEST_NOTE} printable characters that say why",
                field="note",
                value=note[:60],
            )
        number = self.note.number + 1 if self.note is not None else 1
        return BreakNote(self.statement_id, ref, instrument, number, state, note, by, at)


def compare(statement: Statement, held: Mapping[AccountRef, HeldThen]) -> tuple[Comparison, ...]:
    """Return every holding that the statement or the books have, compared, by account and instrument."""
    lines = {line.name: line for line in statement.lines}
    here = {
        (ref, instrument): quantity
        for ref in statement.accounts
        for instrument, quantity in held[ref].quantities.items()
        if quantity and statement.is_about(instrument)
    }
    return tuple(
        _compared(name, lines.get(name), here.get(name, _NOTHING), statement.tolerance) for name in sorted(lines.keys() | here.keys())
    )


def with_agreements(comparisons: tuple[Comparison, ...], agreements: Mapping[HoldingName, Agreement]) -> tuple[Comparison, ...]:
    """Return the comparisons, those that part with when they last agreed."""
    return tuple(
        comparison if comparison.kind is None else replace(comparison, last_agreed=agreements.get(comparison.name))
        for comparison in comparisons
    )


def _compared(name: HoldingName, line: StatementLine | None, held: Decimal, tolerance: Decimal) -> Comparison:
    stated = line.quantity if line is not None else None
    difference = EXACT.subtract(held, stated or _NOTHING)
    kind = None if difference.copy_abs() <= tolerance else _kind(stated, held)
    value, reference = (line.value, line.external_reference) if line is not None else (None, "")
    return Comparison(*name, stated, held, kind, value, reference)


def _kind(stated: Decimal | None, held: Decimal) -> BreakKind:
    if not held:
        return BreakKind.MISSING_HERE
    return BreakKind.QUANTITY_DIFFERS if stated else BreakKind.MISSING_THERE


def _check(is_so: bool, message: str) -> None:  # noqa: FBT001 - what has to be so
    if not is_so:
        raise DomainError(Reason.INVALID_STATEMENT, message)
