"""Compute the margin of an account at the latest snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.position import Holding, net_holdings
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.ports.books import AccountState, PackedState
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_account import ReadAccount


@dataclass(frozen=True, slots=True)
class EvaluateMargin:
    """Margins what an account holds now."""

    read_account: ReadAccount
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, account: AccountRef, *, min_sequence: int = 0) -> MarginResult:
        """Return the margin result.

        Raises:
            DomainError: UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS; and the reason why an instrument
                that is held cannot be valued: it is never left out.
        """
        portfolio = portfolio_of(await self.read_account(account, min_sequence=min_sequence))
        view = await self.current_market()
        return await self.compute.run(lambda: view.margin(portfolio))


def portfolio_of(state: AccountState, holdings: Sequence[Holding] | None = None) -> Portfolio:
    """Return an account's state as the engine is asked about it; `holdings` are those its positions net to, where they are at hand."""
    account = state.account
    return Portfolio(
        account.ref,
        account.mode,
        state.head.sequence,
        net_holdings(state.positions) if holdings is None else holdings,
        state.policies,
        methodology=account.methodology,
    )


def packed_portfolio(state: PackedState) -> Portfolio:
    """Return `portfolio_of` a state that is packed, without unpacking it."""
    account = state.account
    holdings = state.positions.netted()
    return Portfolio(account.ref, account.mode, state.head.sequence, holdings, state.policies, methodology=account.methodology)
