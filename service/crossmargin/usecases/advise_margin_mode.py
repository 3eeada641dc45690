"""Advise for each position of an account whether to margin it with the rest or to wall it off."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.account import AccountMode
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin_mode import MarginModeAdvice
from crossmargin.engine.margin_mode import margin_mode_advice
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class AdviseMarginMode:
    """Margins an account without each of its positions, and each of them alone. Stores and changes nothing."""

    read_account: ReadAccount
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> MarginModeAdvice:
        """Return the advice; raises what EvaluateMargin raises, and INVALID_ARGUMENT for an account that is isolated already."""
        portfolio = portfolio_of(await self.read_account(account, min_sequence=min_sequence))
        if portfolio.mode is not AccountMode.CROSS:
            expected = "a cross account"
            raise DomainError(
                Reason.INVALID_ARGUMENT,
                f"account was {account}, which is isolated; expected {expected}",
                field="account",
                value=account,
                expected=expected,
            )
        view = await self.current_market()
        return await self.compute.run(lambda: margin_mode_advice(view.known(portfolio), view.market, view.parameters))
