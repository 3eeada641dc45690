"""Hold what accounts could be exposed to against their limits and those of their client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from crossmargin.domain.errors import DomainError
from crossmargin.domain.exposure_limits import ExposureLimits, LimitUsage, limit_exceeded, order_usage, usage_of
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.position import Position
from crossmargin.domain.reservation import fill_blocks
from crossmargin.engine.exposure_usage import HoldingRange, exposure_usage, notional_of
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.ports.books import Books

Changes: TypeAlias = Mapping[AccountRef, Sequence[Position]]


def limit_usages(books: Books, market: RevaluedMarket, changes: Changes, *, with_open_orders: bool = True) -> tuple[LimitUsage, ...]:
    """Return the limits on the accounts with what is used of each, were they to hold `changes` as well. Numpy work.

    With open orders, an order counts as far as it makes an exposure larger.

    Raises:
        DomainError: For an instrument that the market could not value.
    """
    return tuple(
        usage
        for limits in books.limits
        for usage in usage_of(limits, exposure_usage(_range(limits, books, market, changes, with_open_orders=with_open_orders), market))
    )


def exposure_refusal(books: Books, market: RevaluedMarket, changes: Changes) -> DomainError | None:
    """Return why accounts may not come to hold `changes` as well for their limits; None if they may. Numpy work.

    What brings no limit nearer is never held up.
    """
    before = limit_usages(books, market, {})
    after = limit_usages(books, market, changes)
    for was, becomes in zip(before, after, strict=True):
        if becomes.is_breached and becomes.used > was.used:
            return limit_exceeded(becomes)
    return None


def order_refusal(books: Books, market: RevaluedMarket, account: AccountRef, order: Sequence[Position]) -> DomainError | None:
    """Return why an order whose whole fill changes positions by `order` may not go ahead for its limits; None if it may. Numpy work."""
    for limits in books.limits:
        used = order_usage(limits, notional_of(order[0], market))
        if used is not None and used.is_breached:
            return limit_exceeded(used)
    return exposure_refusal(books, market, {account: order})


def _range(limits: ExposureLimits, books: Books, market: RevaluedMarket, changes: Changes, *, with_open_orders: bool) -> HoldingRange:
    covered = sorted(books.states) if limits.account_id is None else [AccountRef(limits.client_id, limits.account_id)]
    positions = [position for ref in covered for position in (*books.states[ref].positions, *changes.get(ref, ()))]
    return HoldingRange.of(positions, _blocks(books, covered) if with_open_orders else (), market)


def _blocks(books: Books, covered: Sequence[AccountRef]) -> Iterator[Sequence[Position]]:
    for ref in covered:
        yield from fill_blocks(books.reservations[ref])
