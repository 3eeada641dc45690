"""Accounts that are asked about again and again in one market, each taken apart once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, Position, net_holdings
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.engine.hot_account import Changed, HotAccount, hot_account
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.ports.books import AccountState

MOST_BYTES: Final = 128 * 2**20
"""Of all accounts of one market; those asked about longest ago go for the next."""
MOST_RESULTS: Final = 16
"""Changes of one account whose margins are remembered: an order is weighed, and its preview told."""
_BYTES_OF_AN_ENTRY: Final = 40_000
"""Beside the account itself, with its results."""


@dataclass(slots=True)
class _Entry:
    """What is known of one account.

    Attributes:
        portfolio: What was asked about, at some sequence. account: It taken apart; None where it cannot be.
        positions: That its holdings were netted from, while it is known.
        results: Margins after changes, those asked for latest last: without any it is the same result every time.
    """

    portfolio: Portfolio
    account: HotAccount | None
    positions: tuple[Position, ...] | None = None
    results: OrderedDict[Changed, MarginResult] = field(default_factory=OrderedDict)

    @property
    def weight(self) -> int:
        """Bytes that it takes, nearly."""
        return _BYTES_OF_AN_ENTRY + (0 if self.account is None else self.account.byte_count)


class HotAccounts:
    """Accounts under one view of the market, which is never changed, each as it was last asked about.

    An account is known by what it holds and under which policies, never by a sequence, and what is said of it has the bits of a margin
    that remembers nothing: so nothing that is remembered is ever old. When it holds something else, only what differs is redone. Threads
    of the compute pool share it; two that ask at once may both compute, and find the same.
    """

    def __init__(self, *, most_bytes: int = MOST_BYTES) -> None:
        self._entries: OrderedDict[AccountRef, _Entry] = OrderedDict()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = Lock()

    def __reduce__(self) -> tuple[object, ...]:
        # As of known margins: what is sent to another process with a view is the view.
        return HotAccounts, ()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def byte_count(self) -> int:
        """Bytes that all of them take, nearly."""
        return self._bytes

    def holdings_of(self, ref: AccountRef, positions: tuple[Position, ...]) -> Sequence[Holding]:
        """Return what positions net to: what was netted before, when they are the very ones that it was netted from."""
        with self._lock:
            entry = self._entries.get(ref)
            if entry is not None and entry.positions is positions:
                return entry.portfolio.holdings
        holdings: Sequence[Holding] = net_holdings(positions)
        with self._lock:
            entry = self._entries.get(ref)
            if entry is not None and entry.portfolio.holdings == holdings:
                entry.positions, holdings = positions, entry.portfolio.holdings
        return holdings

    def effort_with(self, state: AccountState, names: Collection[InstrumentId]) -> int | None:
        """Return how many profits a change of some instruments looks at, or None for an account that is not known as it stands."""
        account = state.account
        with self._lock:
            entry = self._entries.get(account.ref)
        if entry is None or entry.account is None or entry.positions is not state.positions:
            return None
        known = entry.portfolio
        if (known.mode, known.methodology, known.policies) != (account.mode, account.methodology, state.policies):
            return None
        return entry.account.effort_with(names)

    def margin_with(
        self, portfolio: Portfolio, changes: Sequence[Position], market: RevaluedMarket, parameters: RiskParameters
    ) -> MarginResult | None:
        """Return the margin of an account with positions on top at the levels of the market, without what explains it.

        None where it cannot be made of parts (see `hot_account`); whoever asks computes it whole.

        Raises:
            DomainError: For something in the changes that cannot be valued.
        """
        entry = self._entry_of(portfolio, market, parameters)
        if entry.account is None:
            return None
        changed = entry.account.holding_with(changes)
        known = self._remembered(entry, changed)
        found = entry.account.margin_holding(changed) if known is None else known
        if found is None:
            return None
        if found.stamp.sequence != portfolio.sequence:
            found = replace(found, stamp=replace(found.stamp, sequence=portfolio.sequence))
        if found is not known:
            self._remember(entry, changed, found)
        return found

    def _entry_of(self, portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> _Entry:
        with self._lock:
            before = self._entries.get(portfolio.account)
            if before is not None:
                self._entries.move_to_end(portfolio.account)
        alike = before is not None and _are_alike(before.portfolio, portfolio)
        if before is not None and alike and _holds_the_same(before.portfolio, portfolio):
            return before
        known = before.account if before is not None and alike else None
        entry = _Entry(portfolio, _taken_apart(known, portfolio, market, parameters))
        with self._lock:
            self._forget(portfolio.account)
            self._entries[portfolio.account] = entry
            self._bytes += entry.weight
            while self._bytes > self._most_bytes and len(self._entries) > 1:
                self._forget(next(iter(self._entries)))
        return entry

    def _remembered(self, entry: _Entry, changed: Changed) -> MarginResult | None:
        with self._lock:
            found = entry.results.get(changed)
            if found is not None:
                entry.results.move_to_end(changed)
            return found

    def _remember(self, entry: _Entry, changed: Changed, result: MarginResult) -> None:
        with self._lock:
            entry.results[changed] = result
            entry.results.move_to_end(changed)
            while len(entry.results) > MOST_RESULTS:
                entry.results.popitem(last=False)

    def _forget(self, ref: AccountRef) -> None:
        entry = self._entries.pop(ref, None)
        if entry is not None:
            self._bytes -= entry.weight


def _are_alike(one: Portfolio, other: Portfolio) -> bool:
    """Return whether two portfolios of one account differ in nothing but what is held, and since which entry."""
    return (one.mode, one.methodology, one.policies, one.risked_fractions) == (
        other.mode,
        other.methodology,
        other.policies,
        other.risked_fractions,
    )


def _holds_the_same(one: Portfolio, other: Portfolio) -> bool:
    return one.holdings is other.holdings or one.holdings == other.holdings


def _taken_apart(known: HotAccount | None, portfolio: Portfolio, market: RevaluedMarket, parameters: RiskParameters) -> HotAccount | None:
    """Return an account taken apart, from what is known of it if little has changed since."""
    try:
        moved = None if known is None else known.moved_to(portfolio)
        return hot_account(portfolio, market, parameters) if moved is None else moved
    except DomainError:
        # Something that it holds has no value: whoever asks is told so, unless the changes take it away.
        return None
