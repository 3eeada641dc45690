"""Project the utilization of an account, or of every account, to a horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from crossmargin.domain.call_life import MarginCall
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.outlook import DEFAULT_HORIZON, Outlook, Trend, check_horizon, trend_of
from crossmargin.domain.parameter_governance import in_force
from crossmargin.domain.portfolio import Portfolio
from crossmargin.engine.outlook import book_at, figures_of, projected
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.margin import HistoryFilter, MarginHistory
from crossmargin.usecases.ports.margin_call import CallStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock, ComputePool
from crossmargin.usecases.read_accounts import read_accounts
from crossmargin.usecases.storage_errors import no_risk_parameters, sequence_not_reached

_PAGE_SIZE = 5_000


@dataclass(frozen=True, slots=True)
class HorizonView:
    """The market of now, and the same market under the risk parameters in force at a horizon."""

    now: MarketView
    then: MarketView
    at: datetime


@dataclass(frozen=True, slots=True)
class ProjectUtilization:
    """Margins an account as it is known to be at the horizon, and adds the trend of its stored history. Stores nothing.

    Nothing is called or liquidated on what comes out: it warns.
    """

    books: BookReader
    history: MarginHistory
    calls: CallStore
    parameters: ParameterStore
    current_market: CurrentMarket
    compute: ComputePool
    clock: Clock

    async def __call__(self, account: AccountRef, *, horizon: timedelta = DEFAULT_HORIZON, min_sequence: int = 0) -> Outlook:
        """Return the outlook; the trend is that of the stored history of one horizon back.

        Raises:
            DomainError: INVALID_ARGUMENT for a horizon that is none; what EvaluateMargin raises; INSUFFICIENT_HISTORY when there are no
                scenarios under the parameters in force then.
        """
        check_horizon(horizon)
        state = await self.books.account_state(account)
        if state.head.sequence < min_sequence:
            raise sequence_not_reached(account, sequence=state.head.sequence, wanted=min_sequence)
        view = await self.view_at(horizon)
        trend = await self._trend(account, horizon)
        call = await self.calls.last_call(account)
        return await self.compute.run(partial(_outlook, portfolio_of(state), view, trend, call))

    async def every(self, horizon: timedelta = DEFAULT_HORIZON) -> Mapping[AccountRef, Outlook]:
        """Return the outlook of every account that has one: what cannot be read or margined is left out."""
        view = await self.view_at(horizon)
        trends = await self.history.trends(since=self.clock.now() - horizon)
        calls = await self.calls.last_calls()
        found: dict[AccountRef, Outlook] = {}
        read = await read_accounts(self.books, sorted(await self.books.account_sequences()))
        for account, portfolio in read.portfolios.items():
            try:
                work = partial(_outlook, portfolio, view, trends.get(account, Trend()), calls.get(account))
                found[account] = await self.compute.run(work)
            except DomainError:
                # Whoever cannot be margined is reported by the house run, with the reason.
                continue
        return found

    async def view_at(self, horizon: timedelta) -> HorizonView:
        """Return the market, now and under the parameters of the horizon."""
        view = await self.current_market()
        at = view.snapshot.as_of + horizon
        governing = in_force(await self.parameters.activations(), at)
        if governing is None:
            raise no_risk_parameters()
        known = {one.parameters.set_id: one for one in (view, view.previous) if one is not None}
        names = [name for name in (governing.set_id, governing.previous) if name is not None]
        for name in names:
            if name not in known:
                known[name] = await self.current_market.under(await self.parameters.get_parameters(name), view)
        previous = None if governing.previous is None else replace(known[governing.previous], previous=None)
        then = replace(known[governing.set_id], previous=previous, fraction=governing.fraction, house=view.house)
        return HorizonView(view, then, at)

    async def _trend(self, account: AccountRef, horizon: timedelta) -> Trend:
        chosen = HistoryFilter(start=self.clock.now() - horizon)
        points = list(await self.history.list_points(account, chosen, after_run=0, limit=_PAGE_SIZE))
        while points and len(points) % _PAGE_SIZE == 0:
            page = await self.history.list_points(account, chosen, after_run=points[-1].run, limit=_PAGE_SIZE)
            if not page:
                break
            points += page
        return trend_of(points)


def _outlook(portfolio: Portfolio, view: HorizonView, trend: Trend, call: MarginCall | None) -> Outlook:
    now, then = view.now, view.then
    result = now.margin(portfolio)
    book, ends = book_at(portfolio, now.market, view.at)
    same_rules = then.parameters == now.parameters and then.fraction == now.fraction
    known = result if same_rules and not ends else then.margin(book)
    added = trend.over(view.at - now.snapshot.as_of)
    is_due = call is not None and call.is_open and call.due_at <= view.at
    return Outlook(
        stamp=result.stamp,
        at=view.at,
        now=figures_of(result),
        known=figures_of(known),
        trend=added,
        projected=projected(known, added, then.parameters.bands),
        ends=ends,
        parameter_set_id=then.parameters.set_id,
        parameter_fraction=then.fraction,
        call=call if is_due else None,
    )
