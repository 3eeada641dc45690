"""Margin one account by every methodology, side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.methodology import Methodology
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class MethodologyMargin:
    """The margin by one methodology, or the error that says why there is none."""

    methodology: Methodology
    outcome: MarginResult | DomainError


@dataclass(frozen=True, slots=True)
class MethodologyComparison:
    """The same holdings at the same market by every methodology; `selected` is the account's own."""

    selected: Methodology
    margins: tuple[MethodologyMargin, ...]


@dataclass(frozen=True, slots=True)
class CompareMethodologies:
    """Margins what an account holds now by every methodology. Stores nothing."""

    read_account: ReadAccount
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> MethodologyComparison:
        """Return the margins in the order of `Methodology`.

        Raises:
            DomainError: What EvaluateMargin raises, but for a methodology that is not available: that is an outcome.
        """
        portfolio = portfolio_of(await self.read_account(account, min_sequence=min_sequence))
        view = await self.current_market()

        def margin(methodology: Methodology) -> MethodologyMargin:
            try:
                return MethodologyMargin(methodology, view.margin(replace(portfolio, methodology=methodology)))
            except DomainError as error:
                if error.reason is not Reason.METHODOLOGY_UNAVAILABLE:
                    raise
                return MethodologyMargin(methodology, error)

        margins = await self.compute.run(lambda: tuple(margin(methodology) for methodology in Methodology))
        return MethodologyComparison(portfolio.methodology, margins)
