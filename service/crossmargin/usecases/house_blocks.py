"""What a house run does to some accounts at a time, in whatever process there is room; and what it has not to do again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.house_view import AccountPart, account_part
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.evaluate_margin import packed_portfolio
from crossmargin.usecases.ports.books import PackedState

T = TypeVar("T")
BLOCK_ACCOUNTS: Final = 8
"""Accounts worked on at once: some hundredths of a second, so that a preview behind a block waits no longer, and long enough that handing
a block over does not count. Nothing that is found depends on it."""
AtMarket: TypeAlias = tuple[RevaluedMarket, RiskParameters]


@dataclass(frozen=True, slots=True)
class FailedAccount:
    """An account of a block that could not be worked on, and why. Those beside it were."""

    account: AccountRef
    reason: Reason


@dataclass(frozen=True, slots=True)
class HouseMember:
    """An account, and whether its owner has no other one."""

    state: PackedState
    is_only: bool


def parts_of(at: AtMarket, members: Sequence[HouseMember]) -> list[AccountPart | FailedAccount]:
    """Return what each account brings into the totals over all."""
    return [_part_of(at, member) for member in members]


def margins_of(view: MarketView, states: Sequence[PackedState]) -> list[MarginResult | FailedAccount]:
    """Return the margin of each account, or why it has none."""
    return [_margin_of(view, state) for state in states]


def blocks_of(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield items in blocks, in their order."""
    left = iter(items)
    while block := list(islice(left, BLOCK_ACCOUNTS)):
        yield block


def members_of(owners: Iterable[Sequence[PackedState]]) -> Iterator[HouseMember]:
    """Yield the accounts of some owners, each with what it has to know of the others."""
    for accounts in owners:
        for state in accounts:
            yield HouseMember(state, is_only=len(accounts) == 1)


def _part_of(at: AtMarket, member: HouseMember) -> AccountPart | FailedAccount:
    try:
        return account_part(packed_portfolio(member.state), *at, is_only=member.is_only)
    except DomainError as error:
        return FailedAccount(member.state.account.ref, error.reason)


def _margin_of(view: MarketView, state: PackedState) -> MarginResult | FailedAccount:
    try:
        return view.margin(packed_portfolio(state))
    except DomainError as error:
        return FailedAccount(state.account.ref, error.reason)
