"""What an account would be with something delivered to it, and the search for the cheapest delivery that is enough. Numpy work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property
from typing import Final

from crossmargin.domain.call_life import MarginCall
from crossmargin.domain.call_need import delivered_value
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.identifiers import AccountRef, BookId, InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.market_gate import unknowable
from crossmargin.domain.market_quality import Verdict
from crossmargin.domain.money import CENT, EXACT, exact_sum, round_down_to_cent, round_up_to_cent
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position
from crossmargin.domain.top_up import InventoryItem, ItemUse, TopUp, TopUpLine, TopUpTarget, missing_value, standing_of_margin
from crossmargin.engine.house_view import house_with, totals_with
from crossmargin.engine.moved_holdings import with_assets
from crossmargin.engine.revaluation import required_factors
from crossmargin.engine.top_up import Fractions, Mix, MixSearch, Offer
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import AccountState

_BOOK: Final = BookId("main")
_NOTHING: Final = Decimal(0)
_NOT_BELIEVED: Final = frozenset({Verdict.STALE, Verdict.MISSING})
_MOST_STEPS: Final = Decimal(10) ** 9
"""Into which the quantity of an item is divided at the finest."""
_RAISES: Final = tuple(map(Decimal, ("1.0002", "1.002", "1.02", "1.2", "2")))
"""Times what is missing when the mix is looked at in full: what is asked for on top the next time. What the whole result adds hardly
changes from one mix to the next, so the first is nearly always enough."""
_SURPLUS: Final = Decimal("0.001")
"""Of what was asked for on top: more than is needed by so much is looked at once more."""
_COUNTS: Final = Decimal("0.0001")
"""Of its market value: what more of an item has to bring to be worth a word."""
Delivery = Mapping[InstrumentId, Decimal]


@dataclass(frozen=True, slots=True)
class CalledFor:
    """An open call, and what the ledger has moved since it was last looked at: that counts for it as well."""

    call: MarginCall
    moved: Delivery


class TopUpTrial:
    """One account with something of an inventory delivered to it, and the other accounts of its client beside it."""

    def __init__(
        self,
        view: MarketView,
        states: Mapping[AccountRef, AccountState],
        account: AccountRef,
        inventory: Sequence[InventoryItem],
        target: TopUpTarget,
        *,
        called: CalledFor | None,
        places: Mapping[InstrumentId, int],
    ) -> None:
        self.inventory, self.target, self.called = inventory, target, called
        self._view, self._state = view, states[account]
        self._others = [portfolio_of(state) for ref, state in states.items() if ref != account]
        self._units = {name: Decimal(1).scaleb(-count) for name, count in places.items()}
        self._prices = {item.instrument_id: self._price(item.instrument_id) for item in inventory}
        self.offered = [item for item in inventory if self._prices[item.instrument_id] > 0 and self.most(item) > 0]

    @cached_property
    def before(self) -> MarginResult:
        """The margin as it is."""
        return self._view.margin(self._with({}))

    def most(self, item: InventoryItem) -> Decimal:
        """Return the most of an item that can be delivered."""
        return item.deliverable(self._units[item.instrument_id])

    def is_valued(self, item: InventoryItem) -> bool:
        """Return whether the market has a price for it that can be believed."""
        return self._prices[item.instrument_id] > 0

    def market_value(self, item: InventoryItem, quantity: Decimal) -> Decimal:
        """Return what so much of an item is worth, to the cent downwards."""
        return round_down_to_cent(EXACT.multiply(quantity, self._prices[item.instrument_id]))

    def offers(self) -> list[Offer]:
        """Return what can be delivered as the search is asked about it."""
        return [self._offer(item) for item in self.offered]

    def delivery(self, fractions: Fractions) -> Delivery:
        """Return quantities, each in whole units of its instrument."""
        return {
            item.instrument_id: self._quantity(item, fraction)
            for item, fraction in zip(self.offered, fractions.tolist(), strict=True)
            if fraction > 0
        }

    def gain(self, fractions: Fractions) -> float:
        """Return by how many dollars the account is past the target at the levels of the market; below zero is missing."""
        delivery = self.delivery(fractions)
        missing = self.missing(self.at_levels(delivery), delivery)
        if missing is None:
            raise ValueError("a margin at levels has no ends")
        return -float(missing)

    def at_levels(self, delivery: Delivery) -> MarginResult:
        """Return the margin with a delivery, at the levels of the market. The owner's liquidity charge stays what it was."""
        after = self._with(delivery)
        house = self._view.house
        if house is not NO_HOUSE:
            house = totals_with(house, [self._with({}), *self._others], [after, *self._others], self._view.market)
        return replace(self._view, house=house).margin_at_levels(after)

    def verified(self, delivery: Delivery) -> MarginResult:
        """Return the margin with a delivery, as the house run after it finds it."""
        after, house = self._with(delivery), self._view.house
        if house is not NO_HOUSE:
            before = [self._with({}), *self._others]
            house = house_with(house, before, [after, *self._others], self._view.market, self._view.parameters)
        return replace(self._view, house=house).margin(after)

    def missing(self, result: MarginResult, delivery: Delivery) -> Decimal | None:
        """Return the dollars that a delivery is short of the target; zero or below when it is enough, None when nobody can say."""
        if self.called is None:
            return missing_value(result, self.target)
        moved = dict(self.called.moved)
        for name, quantity in delivery.items():
            moved[name] = exact_sum((moved.get(name, _NOTHING), quantity))
        call = self.called.call
        return call.amount - max(call.met + (delivered_value(moved, result) or _NOTHING), _NOTHING)

    def surely_missing(self, result: MarginResult, delivery: Delivery) -> Decimal:
        """Return what is missing; the reason of the market data when nobody can say."""
        missing = self.missing(result, delivery)
        if missing is None:
            raise unknowable(() if result.quality is None else result.quality.doubted, "top-up")
        return missing

    def _with(self, delivery: Delivery) -> Portfolio:
        added = tuple(Position(_BOOK, name, quantity) for name, quantity in sorted(delivery.items()))
        return portfolio_of(replace(self._state, positions=(*self._state.positions, *added)))

    def _offer(self, item: InventoryItem) -> Offer:
        most = self.most(item)
        value = float(most) * float(self._prices[item.instrument_id])
        step, least = (float(EXACT.divide(quantity, most)) for quantity in (self._step(item), item.minimum_transfer))
        return Offer(value, value * float(item.cost_rate), step, least)

    def _step(self, item: InventoryItem) -> Decimal:
        if item.lot is not None:
            return item.lot
        step = self._units[item.instrument_id]
        while EXACT.divide(self.most(item), step) > _MOST_STEPS:
            step *= 10
        return step

    def _quantity(self, item: InventoryItem, fraction: float) -> Decimal:
        quantity = EXACT.multiply(Decimal(fraction), self.most(item))
        return min(quantity.quantize(self._units[item.instrument_id], rounding=ROUND_HALF_EVEN, context=EXACT), self.most(item))

    def _price(self, name: InstrumentId) -> Decimal:
        """Return dollars for a unit; zero for what cannot be valued, or rests on what is stale or missing."""
        market, snapshot = self._view.market, self._view.snapshot
        row = market.row_of.get(name)
        if row is None:
            return _NOTHING
        known = {each.instrument_id: each for each in market.instruments}
        read = with_assets([known[name]], known)
        qualities = [snapshot.doubted_levels.get(factor) for factor in required_factors(read, snapshot)]
        qualities += [snapshot.doubted_marks.get(each.instrument_id) for each in read]
        if any(quality is not None and quality.verdict in _NOT_BELIEVED for quality in qualities):
            return _NOTHING
        return max(Decimal(float(market.unit_value[row])), _NOTHING)


def cheapest_top_up(trial: TopUpTrial) -> TopUp:
    """Return the cheapest delivery that was found to reach the target, margined in full; the one that comes nearest, if none does.

    The search margins the account at the levels of the market. Where the whole result says that more is missing, at the worst end of what
    is doubted or by the owner's liquidity charge, it is asked for so much more.
    """
    missing_before = trial.surely_missing(trial.before, {})
    mix: Mix | None = None
    delivery: Delivery = {}
    result = trial.before
    if missing_before > 0 and trial.offered:
        mix, delivery, result = _searched(trial)
    missing = trial.surely_missing(result, delivery)
    lines = tuple(_line(trial, item, delivery, result, is_reached=missing <= 0) for item in trial.inventory)
    cost = sum((line.cost for line in lines), _NOTHING)
    return TopUp(
        stamp=trial.before.stamp,
        target=trial.target,
        call=None if trial.called is None else trial.called.call,
        before=standing_of_margin(trial.before),
        after=standing_of_margin(result),
        lines=lines,
        missing_before=max(missing_before, _NOTHING),
        missing=max(missing, _NOTHING),
        least_cost=min(cost, round_down_to_cent(Decimal(mix.bound))) if mix is not None else cost,
    )


@dataclass(frozen=True, slots=True)
class _Tried:
    """A delivery that was margined in full: found for a gain of `required` at the levels, and `missing` of the target in truth."""

    required: Decimal
    delivery: Delivery
    result: MarginResult
    missing: Decimal


def _searched(trial: TopUpTrial) -> tuple[Mix, Delivery, MarginResult]:
    search = MixSearch(trial.offers(), trial.gain)
    first = search.solve()
    tried = _tried(trial, first, _NOTHING)
    short, mix = tried, first
    for factor in _RAISES:
        if tried.missing <= 0 or mix.gain < tried.required:
            break
        short = tried
        required = short.required + short.missing * factor + CENT
        mix = search.solve(float(required))
        tried = _tried(trial, mix, required)
    if tried.missing < -_SURPLUS * tried.required and short is not tried:
        # What the whole result adds was taken for too much: somewhere between the two it is what it is.
        required = short.required + (tried.required - short.required) * short.missing / (short.missing - tried.missing) + CENT
        closer = _tried(trial, search.solve(float(required)), required)
        tried = closer if closer.missing <= 0 else tried
    return first, tried.delivery, tried.result


def _tried(trial: TopUpTrial, mix: Mix, required: Decimal) -> _Tried:
    delivery = trial.delivery(mix.fractions)
    result = trial.verified(delivery)
    return _Tried(required, delivery, result, trial.surely_missing(result, delivery))


def _line(trial: TopUpTrial, item: InventoryItem, delivery: Delivery, result: MarginResult, *, is_reached: bool) -> TopUpLine:
    name, quantity = item.instrument_id, delivery.get(item.instrument_id, _NOTHING)
    value = trial.market_value(item, quantity)
    return TopUpLine(
        instrument_id=name,
        quantity=quantity,
        market_value=value,
        value_in_equity=_counted(result, name, quantity) if quantity else _NOTHING,
        cost=round_up_to_cent(EXACT.multiply(value, item.cost_rate)),
        use=_use(trial, item, delivery, is_reached=is_reached),
    )


def _counted(result: MarginResult, name: InstrumentId, quantity: Decimal) -> Decimal:
    """Return what a part of a holding adds to equity: as much for a unit as any unit of it; of a debt that it pays off all it is worth."""
    is_held = any(line.instrument_id == name and line.quantity for line in result.equity.lines)
    return delivered_value({name: quantity}, result) or _NOTHING if is_held else _NOTHING


def _use(trial: TopUpTrial, item: InventoryItem, delivery: Delivery, *, is_reached: bool) -> ItemUse:
    name, most = item.instrument_id, trial.most(item)
    if not trial.is_valued(item):
        return ItemUse.NO_VALUE
    if not most:
        return ItemUse.BELOW_MINIMUM
    if delivery.get(name) == most:
        return ItemUse.EXHAUSTED
    fuller = {**delivery, name: most}
    result = trial.at_levels(fuller)
    if name not in delivery and _is_not_eligible(result, name):
        return ItemUse.NOT_ELIGIBLE
    if is_reached:
        return ItemUse.SPARE
    gained = trial.surely_missing(trial.at_levels(delivery), delivery) - trial.surely_missing(result, fuller)
    rest = trial.market_value(item, EXACT.subtract(most, delivery.get(name, _NOTHING)))
    return ItemUse.SPARE if gained > _COUNTS * rest else ItemUse.COUNTS_NO_MORE


def _is_not_eligible(result: MarginResult, name: InstrumentId) -> bool:
    line = next((line for line in result.equity.lines if line.instrument_id == name), None)
    return line is not None and line.policy is not None and not line.risked and not line.pledged
