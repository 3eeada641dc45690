"""What portfolios need in one market, remembered by all that it depends on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import Final, TypeAlias

from crossmargin.domain.margin import MarginResult
from crossmargin.domain.portfolio import Portfolio

MOST_HOLDINGS: Final = 200_000
"""Holdings of all portfolios remembered in one market, some 300 bytes each; the oldest portfolio goes for the next."""
_OWN_WEIGHT: Final = 20
"""What a result without holdings weighs, in holdings."""
_Key: TypeAlias = tuple[object, ...]


class KnownMargins:
    """Margins of portfolios under one view of the market, which is never changed.

    Decisions on one account follow one another closely, and each begins with what the one before ended with: the account with its open
    orders, filled or not. A portfolio is known by what it holds, by whom and under which policies, and not by a sequence, so what is
    remembered is never old: other holdings are another portfolio. Threads of the compute pool share it.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, MarginResult] = {}
        self._weight = 0
        self._lock = Lock()

    def __reduce__(self) -> tuple[object, ...]:
        # What is sent to another process with a view is the view: there they remember their own.
        return KnownMargins, ()

    def __len__(self) -> int:
        return len(self._known)

    def of(self, portfolio: Portfolio, compute: Callable[[], MarginResult]) -> MarginResult:
        """Return the margin of a portfolio, computed if nobody has asked before; what `compute` raises is not remembered."""
        key = _key_of(portfolio)
        known = self._known.get(key)
        if known is None:
            known = compute()
            self._remember(key, known, len(portfolio.holdings))
        if known.stamp.sequence == portfolio.sequence:
            return known
        return replace(known, stamp=replace(known.stamp, sequence=portfolio.sequence))

    def _remember(self, key: _Key, result: MarginResult, holding_count: int) -> None:
        with self._lock:
            if key not in self._known:
                self._weight += holding_count + _OWN_WEIGHT
            self._known[key] = result
            while self._weight > MOST_HOLDINGS and len(self._known) > 1:
                oldest = next(iter(self._known))
                del self._known[oldest]
                self._weight -= len(_holdings_in(oldest)) + _OWN_WEIGHT


def _key_of(portfolio: Portfolio) -> _Key:
    holdings = tuple((one.instrument_id, one.quantity, one.cost) for one in portfolio.holdings)
    policies = tuple(sorted((name, policy.value) for name, policy in portfolio.policies.items()))
    fractions = tuple(sorted(portfolio.risked_fractions.items()))
    return (holdings, portfolio.account, portfolio.mode, portfolio.methodology, policies, fractions)


def _holdings_in(key: _Key) -> tuple[object, ...]:
    holdings = key[0]
    assert isinstance(holdings, tuple)  # noqa: S101 - as `_key_of` made it
    return holdings
