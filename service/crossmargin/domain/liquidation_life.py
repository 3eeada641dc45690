"""The life of a liquidation: from the agreement of two persons to the last fill. Pure steps, each of which is kept.

    approved -> executing -> done
    approved | executing -> abandoned, superseded, cured, expired

Of itself it expires and is cured; that nothing is reported of it any more is noted, and ends nothing.

What is proposed and awaits its second person is a pending request, and has the name that the liquidation has afterwards. An account has at
most one open liquidation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.call_life import check_text
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, InstrumentId, PendingRequestId, SnapshotId
from crossmargin.domain.liquidation import PlannedTrade, part_of
from crossmargin.domain.money import EXACT, exact_sum
from crossmargin.domain.pending_request import Persons
from crossmargin.domain.stress import StressStanding


@unique
class LiquidationState(Enum):
    """Where a liquidation stands."""

    APPROVED = "approved"
    EXECUTING = "executing"
    """Something of it has been traded."""
    DONE = "done"
    """All of it has been traded, whether or not that was enough."""
    ABANDONED = "abandoned"
    """Somebody ended it."""
    SUPERSEDED = "superseded"
    """The market has moved past what it was planned for, or another plan was approved."""
    CURED = "cured"
    """The account came back to the target before all of it was traded."""
    EXPIRED = "expired"
    """Its time was over before all of it had been traded: by the clock, without anybody doing anything."""


OPEN_STATES: Final = frozenset({LiquidationState.APPROVED, LiquidationState.EXECUTING})


@unique
class LiquidationStepKind(Enum):
    """What happened to a liquidation."""

    APPROVED = "approved"
    FILLED = "filled"
    DONE = "done"
    ABANDONED = "abandoned"
    SUPERSEDED = "superseded"
    CURED = "cured"
    EXPIRED = "expired"
    UNREPORTED = "unreported"
    """Nothing was reported of it for too long. It goes on."""


@unique
class FillFlag(Enum):
    """What is to be looked at about a fill. It is booked all the same, because it has happened."""

    BEYOND_LIMIT = "beyond limit"
    """At a worse price than the plan allows."""
    OVERFILLED = "overfilled"
    """More than the plan trades of the instrument."""
    LATE = "late"
    """After the liquidation had ended."""
    TURNED_OVER = "turned over"
    """More than was held of a contract: what was too much has opened a position the other way, which is no part of the liquidation."""


@dataclass(frozen=True, slots=True)
class LiquidationOrder:
    """One order of an approved plan. `filled` is signed like the quantity and may be more; what is beyond the last order is its."""

    trade: PlannedTrade
    filled: Decimal = Decimal(0)

    @property
    def left(self) -> Decimal:
        """What of it is still to be traded; zero when it was overfilled."""
        left = EXACT.subtract(self.trade.quantity, self.filled)
        return left if left * self.trade.quantity > 0 else Decimal(0)


@dataclass(frozen=True, slots=True)
class Liquidation:
    """An approved plan, and what has become of it. Money in base currency.

    Attributes:
        liquidation_id: Name of the pending request that it was.
        snapshot_id, sequence: What it was planned at. approved_snapshot_id: The newer market that it was approved on.
        before, promised: The account there, and what the plan makes of it at that market's marks.
        estimated_cost: What trading away from the marks was expected to cost. cost: What it has cost so far, beside what was expected.
        traded_value: What was traded of it is worth, at its prices.
        standing: The account after the last fills; None before the first, and where it could not be margined.
        reported_at: When something was last reported of it; None before the first fill.
        is_unreported: Whether people have been told since then that nothing is reported.
        last_step: Number of its last step.
    """

    account: AccountRef
    liquidation_id: PendingRequestId
    state: LiquidationState
    orders: tuple[LiquidationOrder, ...]
    target_utilization: Decimal
    snapshot_id: SnapshotId
    sequence: int
    approved_snapshot_id: SnapshotId
    persons: Persons
    approved_at: datetime
    expires_at: datetime
    before: StressStanding
    promised: StressStanding
    estimated_cost: Decimal
    cost: Decimal = Decimal(0)
    traded_value: Decimal = Decimal(0)
    standing: StressStanding | None = None
    reported_at: datetime | None = None
    is_unreported: bool = False
    last_step: int = 0
    ended_at: datetime | None = None

    @property
    def heard_at(self) -> datetime:
        """When anything was last heard of it: the last report, or the approval."""
        return self.reported_at or self.approved_at

    @property
    def is_open(self) -> bool:
        """Return whether more of it may be traded, as far as its state says."""
        return self.state in OPEN_STATES

    @property
    def left(self) -> tuple[PlannedTrade, ...]:
        """What is still to be traded, in the order of the plan, with its share of the cost."""
        return tuple(part_of(order.trade, order.left) for order in self.orders if order.left)

    def at(self, now: datetime) -> Liquidation:
        """Return it as it stands at a moment: expired, if it was open for too long."""
        if not self.is_open or now < self.expires_at:
            return self
        return replace(self, state=LiquidationState.EXPIRED, ended_at=self.expires_at)


@dataclass(frozen=True, slots=True)
class Fill:
    """What was traded of an order.

    Attributes:
        quantity: Signed like the order. price: As the instrument quotes it. sequence: The ledger entry that books it.
        cost: What its price is worse than the one expected, base currency, beside that order's share of the estimate; negative if better.
        value: What was traded is worth at its price, base currency, zero or more. expected_cost: the share of the estimate.
        opened: The part of the quantity that closed nothing, signed like it. It is booked like the rest, and counts neither for the orders
            nor in any of these amounts.
    """

    instrument_id: InstrumentId
    quantity: Decimal
    price: Decimal
    sequence: int
    cost: Decimal
    value: Decimal = Decimal(0)
    expected_cost: Decimal = Decimal(0)
    flags: frozenset[FillFlag] = frozenset()
    opened: Decimal = Decimal(0)

    @property
    def closed(self) -> Decimal:
        """The part of the quantity that closed what was held."""
        return EXACT.subtract(self.quantity, self.opened)


@dataclass(frozen=True, slots=True)
class LiquidationStep:
    """What happened at one moment, and where the liquidation stood after it. Steps are kept for good.

    Attributes:
        number: Of the liquidation, from 1, without gaps.
        by: Who did it: two names for an approval.
        text: Why, where somebody said so or the service knows.
    """

    account: AccountRef
    liquidation_id: PendingRequestId
    number: int
    kind: LiquidationStepKind
    at: datetime
    by: str
    state: LiquidationState
    text: str = ""
    fill: Fill | None = None


@dataclass(frozen=True, slots=True)
class LiquidationChange:
    """A liquidation after a step; both are stored together."""

    liquidation: Liquidation
    step: LiquidationStep


def approved(liquidation: Liquidation) -> LiquidationChange:
    """Return a liquidation that two persons have just agreed to."""
    return _changed(liquidation, LiquidationStepKind.APPROVED, at=liquidation.approved_at, by=str(liquidation.persons))


def filled(liquidation: Liquidation, fill: Fill, price_as_planned: Decimal | None, *, at: datetime, by: str) -> LiquidationChange:
    """Return a liquidation after a fill, which says what is to be looked at about it.

    `price_as_planned` is its price in what the plan is paid in, None where nobody can say what that is; then it counts as beyond its limit.

    Raises:
        DomainError: INVALID_ARGUMENT for what the plan does not trade, or not that way round.
    """
    now = liquidation.at(at)
    orders = _allotted(now, fill)
    is_worse = price_as_planned is None or _is_beyond_limit(now, fill, price_as_planned)
    is_over = any(abs(order.filled) > abs(order.trade.quantity) for order in orders if order.trade.instrument_id == fill.instrument_id)
    flags = {
        FillFlag.BEYOND_LIMIT: is_worse,
        FillFlag.OVERFILLED: is_over,
        FillFlag.LATE: not now.is_open,
        FillFlag.TURNED_OVER: bool(fill.opened),
    }
    expected_cost = _expected_cost(now, fill)
    flagged = replace(fill, expected_cost=expected_cost, flags=frozenset(flag for flag, is_so in flags.items() if is_so))
    state = LiquidationState.EXECUTING if now.is_open else now.state
    after = replace(
        now,
        orders=orders,
        cost=exact_sum((now.cost, expected_cost, fill.cost)),
        traded_value=exact_sum((now.traded_value, fill.value)),
        reported_at=at,
        is_unreported=False,
    )
    return _changed(after, LiquidationStepKind.FILLED, at=at, by=by, state=state, fill=flagged)


def reviewed(
    liquidation: Liquidation, standing: StressStanding | None, outdated: str, *, at: datetime, by: str
) -> LiquidationChange | None:
    """Return what becomes of an open liquidation by itself; None for nothing.

    `standing` is that of the account at the most favourable end of the market, None where it cannot be margined; `outdated` says in words
    why what is left of the plan is not to be done any more, such as where it would end if that is too far above its target; empty if it is.
    """
    if not liquidation.is_open:
        return None
    if not liquidation.left:
        return _ended(liquidation, LiquidationState.DONE, LiquidationStepKind.DONE, at=at, by=by, text=_outcome(liquidation, standing))
    if standing is not None and standing.utilization is not None and standing.utilization <= liquidation.target_utilization:
        text = f"utilization is {standing.utilization}, and {liquidation.target_utilization} was to be reached"
        return _ended(liquidation, LiquidationState.CURED, LiquidationStepKind.CURED, at=at, by=by, text=text)
    if outdated:
        text = f"what is left of it {outdated}; plan again"
        return _ended(liquidation, LiquidationState.SUPERSEDED, LiquidationStepKind.SUPERSEDED, at=at, by=by, text=text)
    return None


def expired(liquidation: Liquidation, *, at: datetime, by: str) -> LiquidationChange | None:
    """Return an open liquidation whose time is over; None for any other."""
    now = liquidation.at(at)
    if not liquidation.is_open or now.is_open:
        return None
    text = f"{_left_in_words(liquidation)}; plan again if the account is still short"
    return _changed(now, LiquidationStepKind.EXPIRED, at=at, by=by, text=text)


def unreported(liquidation: Liquidation, *, report_within: timedelta, at: datetime, by: str) -> LiquidationChange | None:
    """Return an open liquidation with a note that nothing has been reported of it for so long; None for one that has its note already.

    It goes on: what was not reported may have been traded all the same, and only people can find out.
    """
    if not liquidation.at(at).is_open or liquidation.is_unreported or at - liquidation.heard_at < report_within:
        return None
    text = f"nothing was reported for {report_within.total_seconds() / 60:.0f} minutes; {_left_in_words(liquidation)}"
    return _changed(replace(liquidation, is_unreported=True), LiquidationStepKind.UNREPORTED, at=at, by=by, text=text)


def recovered(liquidation: Liquidation, highest: Decimal | None, *, at: datetime, by: str) -> LiquidationChange | None:
    """Return an open liquidation that its account does not need any more, whatever the market really is; None while it may.

    `highest` is utilization at the least favourable end of the market, None infinite. While it may be needed nothing of it is ended, and
    whoever asks before a piece is told to wait as soon as it may not be.
    """
    if not liquidation.at(at).is_open or highest is None or highest > liquidation.target_utilization:
        return None
    text = f"utilization is {highest} at most, and {liquidation.target_utilization} was to be reached; {_left_in_words(liquidation)}"
    return _ended(liquidation, LiquidationState.CURED, LiquidationStepKind.CURED, at=at, by=by, text=text)


def superseded(liquidation: Liquidation, successor: PendingRequestId, *, at: datetime, by: str) -> LiquidationChange:
    """Return an open liquidation that another plan has taken the place of."""
    text = f"liquidation {successor} was approved"
    return _ended(liquidation, LiquidationState.SUPERSEDED, LiquidationStepKind.SUPERSEDED, at=at, by=by, text=text)


def abandoned(liquidation: Liquidation, *, at: datetime, by: str, text: str) -> LiquidationChange:
    """Return a liquidation that somebody has ended, saying why; LIQUIDATION_ENDED for one that has ended already."""
    now = check_open(liquidation, at)
    said = check_text(text, is_required=True)
    return _ended(now, LiquidationState.ABANDONED, LiquidationStepKind.ABANDONED, at=at, by=by, text=said)


def check_open(liquidation: Liquidation, now: datetime) -> Liquidation:
    """Return a liquidation that is open at a moment; LIQUIDATION_ENDED otherwise."""
    if liquidation.at(now).is_open:
        return liquidation
    state = liquidation.at(now).state
    raise DomainError(
        Reason.LIQUIDATION_ENDED,
        f"liquidation {liquidation.liquidation_id} of {liquidation.account} is {state.value}; plan again if the account is still short",
        account=liquidation.account,
        liquidation=liquidation.liquidation_id,
        state=state.value,
    )


def _allotted(liquidation: Liquidation, fill: Fill) -> tuple[LiquidationOrder, ...]:
    """Return the orders with what a fill closed spread over those of its instrument, the first one first; the last has what is too much."""
    own = [place for place, order in enumerate(liquidation.orders) if order.trade.instrument_id == fill.instrument_id]
    if not own or liquidation.orders[own[0]].trade.quantity * fill.quantity <= 0:
        side = "sale" if fill.quantity < 0 else "purchase"
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"fill was a {side} of {fill.instrument_id}, which liquidation {liquidation.liquidation_id} does not plan; book it with "
            "RecordTrades",
            field="fill",
            value=fill.instrument_id,
            liquidation=liquidation.liquidation_id,
        )
    orders, left = list(liquidation.orders), fill.closed
    for place in own:
        room = orders[place].left
        taken = left if place == own[-1] or left.copy_abs() < room.copy_abs() else room
        orders[place] = replace(orders[place], filled=EXACT.add(orders[place].filled, taken))
        left = EXACT.subtract(left, taken)
    return tuple(orders)


def _is_beyond_limit(liquidation: Liquidation, fill: Fill, price: Decimal) -> bool:
    """Return whether a price is worse than the worst limit of the orders of its instrument."""
    limits = [order.trade.limit_price for order in liquidation.orders if order.trade.instrument_id == fill.instrument_id]
    return price < min(limits) if fill.quantity < 0 else price > max(limits)


def _expected_cost(liquidation: Liquidation, fill: Fill) -> Decimal:
    own = [order.trade for order in liquidation.orders if order.trade.instrument_id == fill.instrument_id]
    planned, cost = exact_sum(trade.quantity for trade in own), exact_sum(trade.cost for trade in own)
    share: Decimal = EXACT.divide(EXACT.multiply(cost, fill.closed), planned)
    return share.quantize(Decimal("0.01"), context=EXACT)


def _left_in_words(liquidation: Liquidation) -> str:
    return f"{len(liquidation.left)} of {len(liquidation.orders)} orders are not done"


def _outcome(liquidation: Liquidation, standing: StressStanding | None) -> str:
    ended = "an account that cannot be margined now" if standing is None else f"utilization {_in_words(standing)}"
    promised = _in_words(liquidation.promised)
    return f"ended at {ended}, {promised} was promised; cost {liquidation.cost}, {liquidation.estimated_cost} was expected"


def _in_words(standing: StressStanding) -> str:
    return "infinite" if standing.utilization is None else str(standing.utilization)


def _ended(
    liquidation: Liquidation, state: LiquidationState, kind: LiquidationStepKind, *, at: datetime, by: str, text: str
) -> LiquidationChange:
    return _changed(replace(liquidation, ended_at=at), kind, at=at, by=by, state=state, text=text)


def _changed(
    liquidation: Liquidation,
    kind: LiquidationStepKind,
    *,
    at: datetime,
    by: str,
    state: LiquidationState | None = None,
    text: str = "",
    fill: Fill | None = None,
) -> LiquidationChange:
    after = replace(liquidation, state=state or liquidation.state, last_step=liquidation.last_step + 1)
    step = LiquidationStep(after.account, after.liquidation_id, after.last_step, kind, at, by, after.state, text, fill)
    return LiquidationChange(after, step)
