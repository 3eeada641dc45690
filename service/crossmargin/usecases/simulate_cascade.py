"""Simulate what a shock would set off: liquidations that move prices, round by round."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from crossmargin.domain.account import Account, AccountMode
from crossmargin.domain.cascade import CascadeRound, CascadeSummary, CascadeTerms
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.stress import AdHocScenario, StressFailure, StressPlan
from crossmargin.engine.cascade import Cascade, CascadeAccount
from crossmargin.engine.stress import StressRun
from crossmargin.engine.stress_library import StressScenario, ad_hoc_scenarios, named_scenarios
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_accounts import read_accounts
from crossmargin.usecases.run_stress import plan_of


@dataclass(frozen=True, slots=True)
class CascadeRequest:
    """What hits the house, and how it goes on. Exactly one of `scenario`, a name of the library, and `ad_hoc`."""

    scenario: str = ""
    ad_hoc: AdHocScenario | None = None
    terms: CascadeTerms = field(default_factory=CascadeTerms)


@dataclass(frozen=True, slots=True)
class SimulateCascade:
    """Runs in the compute pool, a round at a time, over every open account, and stores nothing. To stop it, stop reading it."""

    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, request: CascadeRequest) -> AsyncGenerator[StressPlan | CascadeRound | CascadeSummary]:
        """Yield the plan, the shock as round 0, every round in which accounts fall, and what it came to.

        Said of the levels of the latest snapshot under the parameters in force, as a stress is. The same seed gives the same rounds.

        Raises:
            DomainError: INVALID_ARGUMENT; UNKNOWN_STRESS_SCENARIO; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS.
        """
        view = await self.current_market()
        shock = _shock(request, view)
        read = await read_accounts(self.books, sorted(await self.books.account_sequences()))
        yield plan_of(StressRun(view.market, view.parameters, (shock,)), len(read.portfolios))
        accounts = [CascadeAccount(view.known(each), _core(read.accounts[name])) for name, each in read.portfolios.items()]
        random = np.random.default_rng(request.terms.seed)
        cascade = await self.compute.run(
            partial(Cascade, accounts, view.market, view.parameters, shock.shared_move, request.terms, random=random)
        )
        cascade.failures.extend(StressFailure(name, error.reason, error.message) for name, error in read.failed.items())
        rounds = cascade.rounds()
        while True:
            found = await self.compute.run(partial(next, rounds, None))
            if found is None:
                break
            yield found
        yield cascade.summary()


def _core(account: Account) -> AccountRef | None:
    """Return the core account of a bucket; None for a core."""
    if account.mode is AccountMode.CROSS or account.parent is None:
        return None
    return AccountRef(account.ref.client_id, account.parent)


def _shock(request: CascadeRequest, view: MarketView) -> StressScenario:
    scenarios, parameters = view.market.scenarios, view.parameters
    if bool(request.scenario) == (request.ad_hoc is not None):
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"shock was {'both a name and a move' if request.scenario else 'nothing'}; expected the name of a scenario, or a move",
            field="shock",
            value=request.scenario,
        )
    if request.scenario:
        (found,) = named_scenarios((request.scenario,), scenarios, parameters)
        return found
    assert request.ad_hoc is not None  # noqa: S101 - checked above
    return next(iter(ad_hoc_scenarios((request.ad_hoc,), scenarios, parameters)))
