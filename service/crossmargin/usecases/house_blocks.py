"""What a house run does to some accounts at a time, in whatever process there is room; and what it has not to do again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from crossmargin.domain.breaker import has_entered
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import Band, MarginResult, MarginStamp
from crossmargin.domain.packed_margin import PackedMargin, packed_margin, unpacked_margin
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


@dataclass(frozen=True, slots=True)
class BandedState:
    """An account, and the band that it was in when breakers were last looked at; None when it was not seen then."""

    state: PackedState
    before: Band | None


def parts_of(at: AtMarket, members: Sequence[HouseMember]) -> list[AccountPart | FailedAccount]:
    """Return what each account brings into the totals over all."""
    return [_part_of(at, member) for member in members]


@dataclass(frozen=True, slots=True)
class BlockMargins:
    """The margins of a block of accounts, in their order, or why they have none; packed, because they come from elsewhere.

    Attributes:
        stamp: Of one of them, which shares with all others of a run what is not the account's own; None when there is none.
    """

    stamp: MarginStamp | None
    found: tuple[PackedMargin | Reason, ...]

    def of(self, states: Iterable[PackedState]) -> Iterator[tuple[PackedState, MarginResult | Reason]]:
        """Yield what was found of each account of the block, beside its state."""
        for state, found in zip(states, self.found, strict=True):
            yield state, found if isinstance(found, Reason) else unpacked_margin(found, self._stamp_of(state))

    def _stamp_of(self, state: PackedState) -> MarginStamp:
        assert self.stamp is not None  # noqa: S101 - there is one as soon as there is a margin
        account = state.account
        return replace(self.stamp, account=account.ref, sequence=state.head.sequence, methodology=account.methodology)


def margins_of(view: MarketView, accounts: Sequence[BandedState]) -> BlockMargins:
    """Return the margin of each account in brief, explained of those that have entered a margin call or worse; or why it has none.

    Explaining takes as long again as margining, and of all accounts breakers alone look at what explains them: of those that enter.
    """
    results = [_margin_of(view, account) for account in accounts]
    stamp = next((each.stamp for each in results if isinstance(each, MarginResult)), None)
    return BlockMargins(stamp, tuple(packed_margin(each) if isinstance(each, MarginResult) else each for each in results))


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


def _margin_of(view: MarketView, account: BandedState) -> MarginResult | Reason:
    try:
        portfolio = packed_portfolio(account.state)
        result = view.fresh_brief_margin(portfolio)
        return view.margin(portfolio) if has_entered(account.before, result.band) else result
    except DomainError as error:
        return error.reason
