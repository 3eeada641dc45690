"""A top-up: which of what a client has at hand to deliver, so that an account is where it should be at the least cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import Enum, unique
from typing import Final

from crossmargin.domain.call_life import MarginCall
from crossmargin.domain.expectation import require_argument
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import Band, MarginResult, MarginStamp
from crossmargin.domain.money import EXACT, check_ledger_decimal, format_decimal, round_up_to_cent

MOST_ITEMS: Final = 20
"""Of an inventory: every one costs a margin at every step of the search."""
MOST_COST_RATE: Final = Decimal(100)
_NOTHING: Final = Decimal(0)


@unique
class TopUpGoal(Enum):
    """What a top-up is to do."""

    INITIAL_MARGIN = "initial margin"
    """Equity covers the initial margin."""
    UTILIZATION = "utilization"
    """Utilization is at most a target."""
    OPEN_CALL = "open call"
    """What is recognised as delivered is all that the open margin call asks for."""


@dataclass(frozen=True, slots=True)
class TopUpTarget:
    """Where a top-up is to bring an account.

    Attributes:
        utilization: Of goal UTILIZATION, above 0 and at most 1; None for the others.
    """

    goal: TopUpGoal
    utilization: Decimal | None = None

    def __post_init__(self) -> None:
        if self.goal is TopUpGoal.UTILIZATION:
            is_fit = self.utilization is not None and self.utilization.is_finite() and 0 < self.utilization <= 1
            require_argument(is_fit, "target_utilization", self.utilization, "above 0 and at most 1")
        else:
            require_argument(self.utilization is None, "target_utilization", self.utilization, f"none for the goal {self.goal.value}")


@dataclass(frozen=True, slots=True)
class InventoryItem:
    """What a client could deliver of one instrument. Quantities in units of the instrument.

    Attributes:
        quantity: Most that can be delivered, more than zero.
        cost_rate: What a dollar of its market value costs the client to deliver: a fraction, zero or more, over a period that is the same
            for all items.
        lot: Deliveries are whole multiples of it; None for the smallest unit of the instrument.
        minimum_transfer: Less than this is not delivered; zero for no such limit.
    """

    instrument_id: InstrumentId
    quantity: Decimal
    cost_rate: Decimal = _NOTHING
    lot: Decimal | None = None
    minimum_transfer: Decimal = _NOTHING

    def __post_init__(self) -> None:
        name = f"of {self.instrument_id}"
        require_argument(
            check_ledger_decimal(self.quantity, what=f"quantity {name}") > 0, f"quantity {name}", self.quantity, "more than zero"
        )
        rate = check_ledger_decimal(self.cost_rate, what=f"cost_rate {name}")
        require_argument(0 <= rate <= MOST_COST_RATE, f"cost_rate {name}", rate, f"a fraction from 0 to {MOST_COST_RATE}")
        if self.lot is not None:
            require_argument(check_ledger_decimal(self.lot, what=f"lot_size {name}") > 0, f"lot_size {name}", self.lot, "more than zero")
        least = check_ledger_decimal(self.minimum_transfer, what=f"minimum_transfer {name}")
        require_argument(least >= 0, f"minimum_transfer {name}", least, "zero or more")

    def deliverable(self, unit: Decimal) -> Decimal:
        """Return the most that can be delivered in whole lots, or in whole `unit`s without one; zero when that is below the minimum."""
        most = _down(self.quantity, self.lot or unit)
        return most if most >= self.minimum_transfer else _NOTHING


@unique
class ItemUse(Enum):
    """Why no more of an item is suggested."""

    SPARE = "spare"
    """There is more of it; what is suggested is enough, and nothing of it or less of it is cheaper."""
    EXHAUSTED = "exhausted"
    """All of it that can be delivered is suggested."""
    COUNTS_NO_MORE = "counts no more"
    """More of it would bring the account no nearer: a limit of collateral is reached, or it adds as much risk as value."""
    NOT_ELIGIBLE = "not eligible"
    """The account owes none of it, and it is no collateral."""
    BELOW_MINIMUM = "below minimum"
    """In whole lots there is less of it than the least that is delivered."""
    NO_VALUE = "no value"
    """The market cannot value it now, or what it is valued from is stale or missing: nothing rests on it."""


@dataclass(frozen=True, slots=True)
class TopUpLine:
    """What is suggested of one item. Money in base currency.

    Attributes:
        quantity: To deliver, in units; zero for nothing. market_value: of it, at the snapshot.
        value_in_equity: What it counts for, after haircuts and limits: its part of what the account then holds of the
            instrument, as a margin call recognises it.
        cost: Market value times the cost rate.
    """

    instrument_id: InstrumentId
    quantity: Decimal
    market_value: Decimal
    value_in_equity: Decimal
    cost: Decimal
    use: ItemUse


@dataclass(frozen=True, slots=True)
class TopUpStanding:
    """How an account stands, base currency. `utilization` None is infinite."""

    equity: Decimal
    maintenance_margin: Decimal
    initial_margin: Decimal
    utilization: Decimal | None
    band: Band

    @property
    def excess(self) -> Decimal:
        """Equity less initial margin."""
        return self.equity - self.initial_margin


@dataclass(frozen=True, slots=True)
class TopUp:
    """What to deliver, and where that brings the account. Money in base currency.

    Attributes:
        stamp: Of the margin before.
        call: The open call that is to be cleared; None for another goal.
        lines: One for each item, in the order of the inventory.
        after: By the engine, on the account with what is to be delivered in it, as the next house run would find it.
        missing_before: Dollars that the target was short of. missing: that it is still short of, zero when it is reached.
        least_cost: No mix of the inventory costs less, as far as collateral bends the way it is counted on to; the cost of `lines` is above
            it by what lots, minimum transfers and rounding cost.
    """

    stamp: MarginStamp
    target: TopUpTarget
    call: MarginCall | None
    before: TopUpStanding
    after: TopUpStanding
    lines: tuple[TopUpLine, ...]
    missing_before: Decimal
    missing: Decimal
    least_cost: Decimal

    @property
    def reaches_target(self) -> bool:
        """Whether the account is where it should be once everything is delivered."""
        return not self.missing

    @property
    def cost(self) -> Decimal:
        """What all that is to be delivered costs."""
        return sum((line.cost for line in self.lines), _NOTHING)

    @property
    def words(self) -> str:
        """What to do and what comes of it, in words; why not, if it does not suffice."""
        delivered = [f"{format_decimal(line.quantity)} {line.instrument_id}" for line in self.lines if line.quantity]
        if not self.missing_before:
            return f"nothing is needed: {self._where(self.before)}"
        if self.reaches_target:
            return f"deliver {_listed(delivered)}: {self._where(self.after)}"
        most = f"{_listed(delivered)} bring it to" if delivered else "nothing of the inventory helps; it stays at"
        return f"the inventory is not enough: {most} {_utilization(self.after)}, and {self.missing:,.2f} USD of value are missing"

    def _where(self, standing: TopUpStanding) -> str:
        if self.call is not None:
            return f"call {self.call.number} of {self.call.outstanding:,.2f} USD is met, {_utilization(standing)}"
        return f"{_utilization(standing)}, excess to the initial margin {standing.excess:,.2f} USD"


def check_inventory(items: Sequence[InventoryItem]) -> None:
    """Return if the items are 1 to MOST_ITEMS, each of another instrument; INVALID_ARGUMENT otherwise."""
    require_argument(1 <= len(items) <= MOST_ITEMS, "inventory", f"{len(items)} items", f"1 to {MOST_ITEMS}")
    names = [item.instrument_id for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    require_argument(twice is None, "inventory", f"{twice} twice", "each instrument once")


def standing_of_margin(result: MarginResult) -> TopUpStanding:
    """Return how an account stands by a margin result."""
    requirement = result.requirement
    return TopUpStanding(result.equity.equity, requirement.maintenance_margin, requirement.initial_margin, result.utilization, result.band)


def missing_value(result: MarginResult, target: TopUpTarget) -> Decimal | None:
    """Return the dollars that an account is short of a target that its margin decides; zero or below when it is there.

    Where market data is doubted it is what is missing at the least favourable end; None when nobody can say.
    """
    if target.utilization is None:
        least = result.least_excess_to_initial
        return None if least is None else -least
    _, worst = result.utilization_range
    equity = result.equity.equity
    at_levels = _share(result.requirement.maintenance_margin, target.utilization) - equity
    if result.quality is None:
        return at_levels
    if worst is None:
        return None
    # At the worst end utilization is `worst`; taken on the equity at the levels, that is so much.
    return max(at_levels, round_up_to_cent(EXACT.multiply(equity, EXACT.divide(worst, target.utilization) - 1)))


def _share(amount: Decimal, fraction: Decimal) -> Decimal:
    return round_up_to_cent(EXACT.divide(amount, fraction))


def _down(amount: Decimal, step: Decimal) -> Decimal:
    return EXACT.subtract(amount, EXACT.remainder(amount, step))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _utilization(standing: TopUpStanding) -> str:
    if standing.utilization is None:
        return "U infinite"
    return f"U = {standing.utilization.quantize(Decimal('0.0001'), rounding=ROUND_CEILING)}"
