"""What portfolios need in one market, remembered by all that the need depends on."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Final, TypeAlias

from crossmargin.domain.approval import MarginNeed
from crossmargin.domain.portfolio import Portfolio

MOST_KNOWN: Final = 4096
"""Needs of one market; the oldest goes for the next."""
_Key: TypeAlias = tuple[object, ...]


class KnownNeeds:
    """Needs of portfolios under one view of the market, which is never changed.

    Decisions on one account follow one another closely, and each begins with what the one before ended with: the account with its open
    orders, filled or not. A portfolio is known by what it holds, by whom and under which policies, and not by a sequence, so what is
    remembered is never old: other holdings are another portfolio. Threads of the compute pool share it.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, MarginNeed] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, portfolio: Portfolio, compute: Callable[[], MarginNeed]) -> MarginNeed:
        """Return what a portfolio needs, computed if nobody has asked before; what `compute` raises is not remembered."""
        key = _key_of(portfolio)
        known = self._known.get(key)
        if known is None:
            known = compute()
            with self._lock:
                self._known[key] = known
                if len(self._known) > MOST_KNOWN:
                    del self._known[next(iter(self._known))]
        return known


def _key_of(portfolio: Portfolio) -> _Key:
    holdings = tuple((one.instrument_id, one.quantity, one.cost) for one in portfolio.holdings)
    policies = tuple(sorted((name, policy.value) for name, policy in portfolio.policies.items()))
    fractions = tuple(sorted(portfolio.risked_fractions.items()))
    return (portfolio.account, portfolio.mode, portfolio.methodology, holdings, policies, fractions)
