"""One account in one view of the market, asked about several times for one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from crossmargin.domain.margin import MarginResult
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Position
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import AccountState


@dataclass(frozen=True, slots=True)
class AskedAccount:
    """What an account holds, and what it needs with positions on top: what was said once for an answer is not looked for again."""

    view: MarketView
    held: Portfolio
    _said: dict[tuple[Position, ...], MarginResult] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, view: MarketView, state: AccountState) -> Self:
        """Return an account as its state is, netted once for as long as its positions stand."""
        return cls(view, portfolio_of(state, view.hot.holdings_of(state.account.ref, state.positions)))

    def margin_with(self, changes: Sequence[Position] = ()) -> MarginResult:
        """Return `brief_margin_with` of the account."""
        key = tuple(changes)
        if key not in self._said:
            self._said[key] = self.view.brief_margin_with(self.held, key)
        return self._said[key]
