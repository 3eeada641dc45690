"""The monitor: margin every account whenever the market or the books have moved, and publish what is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.engine.portfolio_margin import compute_margin
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports import BookReader, Clock, ComputePool, Leadership, MarginMetrics

POLL_INTERVAL_S = 0.25


@dataclass(slots=True)
class RunHouse:
    """Runs for ever. Only the leader of all monitors computes and publishes.

    An account whose margin fails is published as failed, with its reason, and never holds up the others.
    """

    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool
    metrics: MarginMetrics
    leadership: Leadership
    clock: Clock

    async def __call__(self) -> None:
        """Poll, and run the house on every change, until cancelled."""
        seen: tuple[object, ...] | None = None
        while True:
            try:
                seen = await self._run_if_moved(seen)
            except DomainError as error:
                # No market, no parameters, no database: counted and tried again, so that the silence is not taken for calm.
                self.metrics.house_failed(error.reason.code)
                seen = None
            await self.clock.sleep(POLL_INTERVAL_S)

    async def _run_if_moved(self, seen: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if not await self.leadership.try_lead():
            self.metrics.withdraw_house()
            return None
        sequences = await self.books.account_sequences()
        view = await self.current_market()
        now = (view, tuple(sorted(sequences.items())))
        if now != seen:
            await self.run_once(sequences, view)
        return now

    async def run_once(self, accounts: Mapping[AccountRef, int], view: MarketView) -> None:
        """Margin the accounts and publish the results."""
        started = self.clock.now()
        results: dict[AccountRef, MarginResult] = {}
        failed: dict[AccountRef, str] = {}
        for account in sorted(accounts):
            try:
                results[account] = await self._margin(account, view)
            except DomainError as error:
                failed[account] = error.reason.code
        duration = self.clock.now() - started
        self.metrics.publish_house(results, failed=failed, duration_s=duration.total_seconds())

    async def _margin(self, account: AccountRef, view: MarketView) -> MarginResult:
        portfolio = portfolio_of(await self.books.account_state(account))
        return await self.compute.run(lambda: compute_margin(portfolio, view.market, view.parameters))
