"""The ledger's words: facts, entries and postings that sum to zero."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, unique

from crossmargin.domain.account import AccountHead
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.entry_details import NO_DETAILS, EntryDetails
from crossmargin.domain.entry_hash import entry_hash
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import (
    LEDGER_CUSTODIAN,
    LEDGER_STREET,
    AccountRef,
    BookId,
    InstrumentId,
)
from crossmargin.domain.instrument import BondTerms, Instrument, check_trade_price, consideration
from crossmargin.domain.methodology import AccountMethodology, Methodology
from crossmargin.domain.money import EXACT, LEDGER_LIMIT, LEDGER_UNIT, check_ledger_decimal, check_scale, exact_sum, format_decimal
from crossmargin.domain.pending_request import Persons
from crossmargin.domain.position import Position, closed_by, cost_of_part

_NOTHING = Decimal(0)


@unique
class EntryKind(Enum):
    """Why the books moved."""

    TRADE = "trade"
    DEPOSIT = "deposit"
    COLLATERAL_POLICY = "collateral policy"
    """Moves nothing. It is in the ledger so that an account's sequence says under which policies its margin was computed."""
    TRADE_CANCELLATION = "trade cancellation"
    """Takes a trade back: its postings are those of the trade, turned round."""
    EVENT_CANCELLATION = "event cancellation"
    """Takes back what a lifecycle event booked, so that the event can be applied again as it should have been."""
    SETTLEMENT = "settlement"
    """A trade was exchanged with the street on its settle date: what was owed is now with the custodian."""
    FUNDING = "funding"
    COUPON = "coupon"
    CONTRACT_PAYMENT = "contract payment"
    """A period of a swap, or a flow of a contract of cash flows, was paid."""
    VARIATION = "variation"
    """The change in price of a margined contract was paid, and its cost is its mark."""
    EXPIRY = "expiry"
    """An option ended worth nothing."""
    EXERCISE = "exercise"
    """An option was exercised or assigned, for cash or for its underlying."""
    FINAL_SETTLEMENT = "final settlement"
    """A future ended at its final price."""
    DELIVERY = "delivery"
    """The two currencies of a forward were exchanged."""
    FIXING = "fixing"
    """The difference of a non-deliverable forward was paid."""
    MATURITY = "maturity"
    """A bill, bond or note was redeemed, with its last coupon."""
    WITHDRAWAL = "withdrawal"
    TRANSFER = "transfer"
    """Between two accounts of one client: an entry in the ledger of each, with the other as its other side."""
    RESERVATION = "reservation"
    """Moves nothing, as the two that follow: an order was approved, a trade used part of it, it ended."""
    RESERVATION_FILL = "reservation fill"
    RESERVATION_END = "reservation end"
    METHODOLOGY = "methodology"
    """Moves nothing either. It is there so that the sequence says by which methodology."""


@dataclass(frozen=True, slots=True)
class Trade:
    """An executed trade: a fact, booked even when it breaches a limit.

    Attributes:
        quantity: Signed; positive buys.
        price: In the settlement asset, as the instrument quotes it (bonds: dirty, per 100 of face; FX forward: present value per unit).
        settlement: Asset paid for an asset: USD in a BTC/USD trade. None for instruments that name their own.
        executed_at: When it was done, with a time zone.
        reference: The caller's own name for it; kept, never interpreted.
        settle_date: Day on which it is settled with the street; None when that is done at once.
        reservation: Reservation of the order that it fills, by its sequence; None for one that nobody reserved for.
    """

    account: AccountRef
    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    price: Decimal
    executed_at: datetime
    settlement: InstrumentId | None = None
    reference: str = ""
    # Not in the text form, by which a request that was sent before there were settle dates is recognised when it is sent again.
    settle_date: date | None = field(default=None, repr=False)
    reservation: int | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_ledger_decimal(self.quantity, what="quantity")
        check_ledger_decimal(self.price, what="price")
        check_reference(self.reference)
        check_aware(self.executed_at, what="executed_at")
        if self.settle_date is not None and self.settle_date < self.executed_at.astimezone(UTC).date():
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"settle_date was {self.settle_date}, before the trade was executed ({self.executed_at.isoformat()}); "
                "expected that day or a later one",
                field="settle_date",
                value=self.settle_date,
            )
        if not self.quantity:
            raise DomainError(Reason.INVALID_QUANTITY, "quantity was 0; a trade moves something", instrument=self.instrument_id)


@dataclass(frozen=True, slots=True)
class Deposit:
    """Collateral received from the client's custodian: a fact. `quantity` is positive."""

    account: AccountRef
    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    received_at: datetime
    reference: str = ""

    def __post_init__(self) -> None:
        check_ledger_decimal(self.quantity, what="quantity")
        check_reference(self.reference)
        check_aware(self.received_at, what="received_at")
        _check_moves_something(self.quantity, "a deposit", self.instrument_id)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Collateral that is to leave for the client's custodian: a request. `quantity` is positive."""

    account: AccountRef
    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    reference: str = ""

    def __post_init__(self) -> None:
        check_ledger_decimal(self.quantity, what="quantity")
        check_reference(self.reference)
        _check_moves_something(self.quantity, "a withdrawal", self.instrument_id)

    @property
    def words(self) -> str:
        """All that it asks for, in words."""
        what = f"withdraw {format_decimal(self.quantity)} {self.instrument_id} from {self.account}, book {self.book_id}"
        return f"{what}, reference {self.reference!r}" if self.reference else what


@dataclass(frozen=True, slots=True)
class Transfer:
    """Collateral that is to go from one account of a client to another: a request. `quantity` is positive."""

    source: AccountRef
    destination: AccountRef
    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    reference: str = ""

    def __post_init__(self) -> None:
        check_ledger_decimal(self.quantity, what="quantity")
        check_reference(self.reference)
        _check_moves_something(self.quantity, "a transfer", self.instrument_id)


@dataclass(frozen=True, slots=True)
class Posting:
    """One leg of an entry: a change of what a ledger account holds of an instrument.

    Attributes:
        ledger_account: The client's account id, or one of the ledger's own: street, custodian, house.
    """

    ledger_account: str
    book_id: BookId
    instrument_id: InstrumentId
    quantity: Decimal
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that has not been numbered yet. Its postings sum to zero in quantity and cost for every instrument."""

    account: AccountRef
    kind: EntryKind
    effective_at: datetime
    reference: str
    postings: tuple[Posting, ...]
    details: EntryDetails = NO_DETAILS

    def __post_init__(self) -> None:
        sums: dict[InstrumentId, tuple[Decimal, Decimal]] = {}
        for leg in self.postings:
            quantity, cost = sums.get(leg.instrument_id, (_NOTHING, _NOTHING))
            sums[leg.instrument_id] = EXACT.add(quantity, leg.quantity), EXACT.add(cost, leg.cost)
        for instrument_id, (quantity, cost) in sums.items():
            if quantity or cost:
                legs = [leg for leg in self.postings if leg.instrument_id == instrument_id]
                raise ValueError(f"postings of {self.account} do not sum to zero in {instrument_id}: {legs}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A numbered entry in an account's chain. `chain_hash` covers this entry and, through `previous_hash`, all before it."""

    sequence: int
    entry: NewEntry
    previous_hash: bytes
    chain_hash: bytes


def entry_from_trade(trade: Trade, instrument: Instrument, settlement: Instrument | None, *, closing: Position | None = None) -> NewEntry:
    """Return the double entry of a trade: what was bought against what was paid, the street on the other side.

    `settlement` is the instrument of `trade.settlement`. A margined contract moves no money: its cost is posted with it. As far as it
    closes `closing`, what its book holds, that part takes its cost along, and what it has gained is paid; the rest is a new position.

    Raises:
        DomainError: INVALID_PRICE, INVALID_QUANTITY or INVALID_DECIMAL when the instrument cannot trade so; INVALID_INSTRUMENT when an
            asset trade names no settlement asset, another instrument names a wrong one, or a contract that nothing is exchanged for has
            a settle date.
    """
    check_scale(trade.quantity, places=instrument.quantity_places, what=f"quantity of {instrument.instrument_id}")
    check_trade_price(instrument, trade.price)
    paid_in = _settlement_of(trade, instrument, settlement)
    amount = ledger_amount(consideration(instrument, quantity=trade.quantity, price=trade.price))
    closed = closed_by(trade.quantity, closing)
    if instrument.is_margined and closing is not None and closed:
        opened = ledger_amount(consideration(instrument, quantity=EXACT.subtract(trade.quantity, closed), price=trade.price))
        cost = cost_of_part(closing, EXACT.minus(closed))
        gained = EXACT.minus(exact_sum((amount, EXACT.minus(opened), cost)))
        own_cost = EXACT.subtract(opened, cost)
        postings = _mirrored(trade.account, trade.book_id, instrument.instrument_id, trade.quantity, own_cost, LEDGER_STREET)
        if gained:
            postings += _mirrored(trade.account, trade.book_id, paid_in, gained, Decimal(0), LEDGER_STREET)
    elif instrument.is_margined:
        postings = _mirrored(trade.account, trade.book_id, instrument.instrument_id, trade.quantity, amount, LEDGER_STREET)
    else:
        postings = _mirrored(trade.account, trade.book_id, instrument.instrument_id, trade.quantity, Decimal(0), LEDGER_STREET)
        if amount:
            postings += _mirrored(trade.account, trade.book_id, paid_in, EXACT.minus(amount), Decimal(0), LEDGER_STREET)
    details = _trade_details(trade, instrument)
    return NewEntry(trade.account, EntryKind.TRADE, trade.executed_at, trade.reference, postings, details)


def entry_from_deposit(deposit: Deposit, instrument: Instrument) -> NewEntry:
    """Return the double entry of a deposit: the account holds more, the custodian owes it.

    Raises:
        DomainError: INVALID_DECIMAL when the quantity has more places than the instrument allows; INVALID_INSTRUMENT for a contract,
            which cannot be deposited, and for a bond that is never collateral.
    """
    check_can_be_moved(instrument, "deposited")
    check_scale(deposit.quantity, places=instrument.quantity_places, what=f"quantity of {instrument.instrument_id}")
    postings = _mirrored(deposit.account, deposit.book_id, instrument.instrument_id, deposit.quantity, Decimal(0), LEDGER_CUSTODIAN)
    return NewEntry(deposit.account, EntryKind.DEPOSIT, deposit.received_at, deposit.reference, postings)


def entry_from_withdrawal(
    withdrawal: Withdrawal, instrument: Instrument, *, effective_at: datetime, persons: Persons | None = None
) -> NewEntry:
    """Return the double entry of a withdrawal: the account holds less, the custodian has it. Raises what a deposit's raises.

    `persons` are the two who asked for it, where one alone may not.
    """
    check_can_be_moved(instrument, "withdrawn")
    check_scale(withdrawal.quantity, places=instrument.quantity_places, what=f"quantity of {instrument.instrument_id}")
    postings = _mirrored(
        *(withdrawal.account, withdrawal.book_id, instrument.instrument_id),
        *(EXACT.minus(withdrawal.quantity), Decimal(0), LEDGER_CUSTODIAN),
    )
    details = EntryDetails(persons=persons)
    return NewEntry(withdrawal.account, EntryKind.WITHDRAWAL, effective_at, withdrawal.reference, postings, details)


def entries_from_transfer(transfer: Transfer, instrument: Instrument, *, effective_at: datetime) -> tuple[NewEntry, NewEntry]:
    """Return the double entries of a transfer: one in the ledger of its source and one in that of its destination.

    Each has the other account as its other side, and each sums to zero by itself. Raises what a deposit's raises.
    """
    check_can_be_moved(instrument, "transferred")
    check_scale(transfer.quantity, places=instrument.quantity_places, what=f"quantity of {instrument.instrument_id}")

    def side(account: AccountRef, quantity: Decimal, other: AccountRef) -> NewEntry:
        postings = _mirrored(account, transfer.book_id, instrument.instrument_id, quantity, Decimal(0), other.account_id)
        return NewEntry(account, EntryKind.TRANSFER, effective_at, transfer.reference, postings)

    return (
        side(transfer.source, EXACT.minus(transfer.quantity), transfer.destination),
        side(transfer.destination, transfer.quantity, transfer.source),
    )


def check_can_be_moved(instrument: Instrument, verb: str) -> Instrument:
    """Return the instrument if it can be delivered by itself; INVALID_INSTRUMENT for a contract, and a bond that is never collateral."""
    is_eligible_bond = isinstance(instrument.terms, BondTerms) and instrument.collateral_class is not None
    if not (instrument.is_asset or is_eligible_bond):
        raise DomainError(
            Reason.INVALID_INSTRUMENT,
            f"{instrument.instrument_id} cannot be {verb}: it is a {type(instrument.terms).__name__}; "
            "expected cash, a stablecoin, a coin, or a bond with a collateral class",
            instrument=instrument.instrument_id,
        )
    return instrument


def reversing_entry(numbered: Entry, kind: EntryKind, *, reason: str) -> NewEntry:
    """Return the entry that takes another back: its postings turned round, its number in the details, the reason as reference.

    It takes effect at the moment of the entry that it takes back, so that what was held at a time is as if the entry never was.
    """
    turned = tuple(
        Posting(leg.ledger_account, leg.book_id, leg.instrument_id, EXACT.minus(leg.quantity), EXACT.minus(leg.cost))
        for leg in numbered.entry.postings
    )
    details = EntryDetails(reverses=numbered.sequence)
    return NewEntry(numbered.entry.account, kind, numbered.entry.effective_at, check_reference(reason), turned, details)


def entry_from_settlement(trade: Entry, *, event: str, effective_at: datetime) -> NewEntry:
    """Return the entry that settles a trade: what the street owed is now with the custodian. The account's own positions stay."""
    street = [leg for leg in trade.entry.postings if leg.ledger_account == LEDGER_STREET]
    postings: list[Posting] = []
    for leg in street:
        postings.append(Posting(LEDGER_STREET, leg.book_id, leg.instrument_id, EXACT.minus(leg.quantity)))
        postings.append(Posting(LEDGER_CUSTODIAN, leg.book_id, leg.instrument_id, leg.quantity))
    details = EntryDetails(event=event)
    return NewEntry(trade.entry.account, EntryKind.SETTLEMENT, effective_at, trade.entry.reference, tuple(postings), details)


def entry_from_policy(policy: AccountCollateralPolicy, *, effective_at: datetime) -> NewEntry:
    """Return the entry of a change of collateral policy: no postings, and a reference such as `BTC pledged`."""
    return NewEntry(policy.account, EntryKind.COLLATERAL_POLICY, effective_at, f"{policy.instrument_id} {policy.policy.value}", ())


def policy_from_reference(account: AccountRef, reference: str) -> AccountCollateralPolicy:
    """Return the policy that the reference of a COLLATERAL_POLICY entry says; the inverse of `entry_from_policy`."""
    instrument_id, _, policy = reference.rpartition(" ")
    return AccountCollateralPolicy(account, InstrumentId(instrument_id), CollateralPolicy(policy))


def entry_from_methodology(chosen: AccountMethodology, *, effective_at: datetime) -> NewEntry:
    """Return the entry of a change of methodology: no postings, and a reference such as `span_grid`."""
    return NewEntry(chosen.account, EntryKind.METHODOLOGY, effective_at, chosen.methodology.value, ())


def methodology_from_reference(reference: str) -> Methodology:
    """Return the methodology that the reference of a METHODOLOGY entry says; the inverse of `entry_from_methodology`."""
    return Methodology(reference)


def append_to_chain(head: AccountHead, entries: tuple[NewEntry, ...]) -> tuple[Entry, ...]:
    """Return the entries numbered and hashed as they follow `head`, in the order given, as recorded when the head was locked.

    Raises:
        ValueError: An entry is of another account than `head`.
    """
    chained: list[Entry] = []
    sequence, previous = head.sequence, head.chain_hash
    for entry in entries:
        if entry.account != head.ref:
            raise ValueError(f"an entry of {entry.account} does not belong in the chain of {head.ref}")
        sequence += 1
        current = _hash_of(sequence, previous, entry, head.locked_at)
        chained.append(Entry(sequence, entry, previous, current))
        previous = current
    return tuple(chained)


def ledger_amount(value: Decimal) -> Decimal:
    """Return an amount of money as the ledger holds it: to 18 places, banker's rounding, beyond any currency's own unit.

    Raises:
        DomainError: INVALID_DECIMAL for 1e20 and more.
    """
    fits = value.copy_abs() < LEDGER_LIMIT
    return check_ledger_decimal(EXACT.quantize(value, LEDGER_UNIT).normalize(EXACT) if fits else value, what="amount")


def check_reference(reference: str) -> str:
    """Return a caller's reference if it is at most 128 printable ASCII characters; INVALID_ARGUMENT otherwise."""
    if len(reference) > 128 or not reference.isascii() or not (reference.isprintable() or not reference):
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"reference was {reference[:140]!r}; expected at most 128 printable ASCII characters",
            value=reference[:140],
        )
    return reference


def check_aware(moment: datetime, *, what: str) -> datetime:
    """Return a moment if it carries a time zone; INVALID_TIMESTAMP otherwise, because a naive time means nothing."""
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise DomainError(
            Reason.INVALID_TIMESTAMP,
            f"{what} was {moment.isoformat()} without a time zone; expected one, such as {moment.isoformat()}+00:00",
            field=what,
            value=moment.isoformat(),
        )
    return moment


def _trade_details(trade: Trade, instrument: Instrument) -> EntryDetails:
    # An entry of a trade that settles at once has the bytes, and so the hash, that it always had.
    if trade.settle_date is None:
        return NO_DETAILS
    if instrument.is_margined:
        raise DomainError(
            Reason.INVALID_INSTRUMENT,
            f"{instrument.instrument_id} is a margined contract, of which nothing is delivered against money; the trade had the "
            f"settle_date {trade.settle_date}; leave it out",
            instrument=instrument.instrument_id,
            value=trade.settle_date,
        )
    return EntryDetails(settle_date=trade.settle_date)


def _check_moves_something(quantity: Decimal, what: str, instrument_id: InstrumentId) -> None:
    if quantity <= 0:
        raise DomainError(
            Reason.INVALID_QUANTITY, f"quantity was {quantity}; {what} is more than zero", instrument=instrument_id, value=quantity
        )


def _settlement_of(trade: Trade, instrument: Instrument, settlement: Instrument | None) -> InstrumentId:
    if not instrument.is_asset:
        if trade.settlement is not None and trade.settlement != instrument.settlement:
            raise DomainError(
                Reason.INVALID_INSTRUMENT,
                f"{instrument.instrument_id} settles in {instrument.settlement}; the trade said {trade.settlement}",
                instrument=instrument.instrument_id,
                value=trade.settlement,
                expected=instrument.settlement,
            )
        return instrument.settlement
    if settlement is None or not settlement.is_asset or settlement.instrument_id == instrument.instrument_id:
        raise DomainError(
            Reason.INVALID_INSTRUMENT,
            f"a trade in {instrument.instrument_id} must name another asset it is paid in, such as USD; it named {trade.settlement}",
            instrument=instrument.instrument_id,
            value=trade.settlement,
        )
    return settlement.instrument_id


def _mirrored(  # noqa: PLR0917 - a posting has these parts, in this order
    account: AccountRef, book_id: BookId, instrument_id: InstrumentId, quantity: Decimal, cost: Decimal, other_side: str
) -> tuple[Posting, ...]:
    return (
        Posting(account.account_id, book_id, instrument_id, quantity, cost),
        Posting(other_side, book_id, instrument_id, EXACT.minus(quantity), EXACT.minus(cost)),
    )


def _hash_of(sequence: int, previous: bytes, entry: NewEntry, recorded_at: datetime | None) -> bytes:
    return entry_hash(
        previous=previous,
        account=str(entry.account),
        sequence=sequence,
        kind=entry.kind.value,
        effective_at=entry.effective_at,
        reference=entry.reference,
        postings=entry.postings,
        details=entry.details.text(),
        recorded_at=recorded_at,
    )
