"""Stress accounts: one, or all of the house, in scenarios by name or made up, and the other way round until something breaks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, RiskParameterSetId
from crossmargin.domain.portfolio import Portfolio
from crossmargin.domain.stress import (
    AdHocScenario,
    BreakLine,
    NamedScenario,
    ReverseStress,
    ScenarioOutcome,
    StressFailure,
    StressKind,
    StressPlan,
    StressProgress,
)
from crossmargin.engine.reverse_stress import reverse_stress
from crossmargin.engine.stress import PreparedAccount, StressedBlock, StressRun, outcome_of, prepared, stressed_block
from crossmargin.engine.stress_library import (
    ALL_AGAINST_NAME,
    NO_DIVERSIFICATION_NAME,
    StressScenario,
    ad_hoc_scenarios,
    library,
    named_scenarios,
)
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.read_accounts import read_accounts

Account = TypeVar("Account", Portfolio, PreparedAccount)
BLOCK_ACCOUNTS: Final = 20
"""Accounts that the compute pool works on at once: some tenths of a second, so that others wait no longer and a cancelled run ends. It
does not depend on the number of workers, so that the same accounts are added up in the same order everywhere."""
DEFAULT_SHOWN: Final = 20
MOST_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class StressRequest:
    """What to stress, and how.

    Attributes:
        account: None for all accounts of the house.
        scenarios: Names of the library; empty for all of it, unless something else is asked for.
        ad_hoc: Made up by the caller. correlation: Both correlation stresses.
        accounts_shown, positions_shown: How many each outcome names.
    """

    account: AccountRef | None = None
    scenarios: tuple[str, ...] = ()
    ad_hoc: tuple[AdHocScenario, ...] = ()
    correlation: bool = False
    accounts_shown: int = DEFAULT_SHOWN
    positions_shown: int = DEFAULT_SHOWN


@dataclass(frozen=True, slots=True)
class RunStress:
    """Runs in the compute pool, some accounts at a time, and stores nothing. To stop it, stop reading it."""

    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool

    async def library(self) -> tuple[RiskParameterSetId, tuple[NamedScenario, ...]]:
        """Return the parameters in force and their named scenarios; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS, INSUFFICIENT_HISTORY."""
        view = await self.current_market()
        return view.parameters.set_id, library(view.market.scenarios, view.parameters)

    async def __call__(self, request: StressRequest) -> AsyncGenerator[StressPlan | StressProgress | ScenarioOutcome]:
        """Yield the plan, how far the run is, and the outcome of each scenario as soon as it is there, in the order of the plan.

        Everything is said of the levels of the latest snapshot, and of the parameters in force: of their end while they come into force
        by degrees. What all accounts hold together is what the latest house run found.

        Raises:
            DomainError: INVALID_ARGUMENT; UNKNOWN_STRESS_SCENARIO; UNKNOWN_ACCOUNT; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS.
        """
        _check(request)
        view = await self.current_market()
        run = StressRun(view.market, view.parameters, _scenarios(request, view))
        portfolios, lost = await portfolios_of(self.books, request.account, view)
        total = (1 + len(run.scenarios)) * len(portfolios)
        yield plan_of(run, len(portfolios))
        accounts: list[PreparedAccount] = []
        failures: list[StressFailure] = list(lost)
        done = 0
        async with aclosing(self.compute.over_blocks(run, prepared, _blocks(portfolios))) as ready:
            async for block in ready:
                accounts += [one for one in block if isinstance(one, PreparedAccount)]
                failures += [one for one in block if isinstance(one, StressFailure)]
                done += len(block)
                yield StressProgress(done, total)
        # One stream of blocks over all scenarios, so that no worker waits at the end of one for the others.
        blocks = _blocks(accounts)
        work = [(place, block) for place in range(len(run.scenarios)) for block in blocks]
        found: list[StressedBlock] = []
        place = 0
        async with aclosing(self.compute.over_blocks(run, stressed_block, work)) as results:
            async for result in results:
                found.append(result)
                done += len(result.accounts) + len(result.failures)
                yield StressProgress(done, total)
                if len(found) == len(blocks):
                    yield await self._outcome(run.scenarios[place], found, failures, request)
                    found, place = [], place + 1
        for scenario in run.scenarios[place:]:  # nothing could be stressed, and that is an outcome too
            yield await self._outcome(scenario, [], failures, request)

    async def reverse(self, account: AccountRef | None, line: BreakLine) -> AsyncGenerator[StressPlan | StressProgress | ReverseStress]:
        """Yield the plan, how far the run is, and the most plausible move that breaks each account. Errors as above."""
        view = await self.current_market()
        run = StressRun(view.market, view.parameters, ())
        portfolios, lost = await portfolios_of(self.books, account, view)
        yield plan_of(run, len(portfolios))
        for failure in lost:
            yield ReverseStress.not_searched(failure, line)
        work = [(portfolio, line) for portfolio in portfolios]
        done = 0
        async with aclosing(self.compute.over_blocks(run, _reversed, work)) as results:
            async for result in results:
                done += 1
                yield result
                yield StressProgress(done, len(portfolios))

    async def _outcome(
        self, scenario: StressScenario, blocks: Sequence[StressedBlock], failures: Sequence[StressFailure], request: StressRequest
    ) -> ScenarioOutcome:
        return await self.compute.run(
            partial(
                outcome_of,
                scenario,
                blocks,
                failures=failures,
                account_count=request.accounts_shown,
                position_count=request.positions_shown,
            )
        )


async def portfolios_of(books: BookReader, account: AccountRef | None, view: MarketView) -> tuple[list[Portfolio], list[StressFailure]]:
    """Return one account, or all open ones in the order of their names, with what the house holds; and those that cannot be read.

    Raises:
        DomainError: UNKNOWN_ACCOUNT for the one account.
    """
    if account is not None:
        return [view.known(portfolio_of(await books.account_state(account)))], []
    read = await read_accounts(books, sorted(await books.account_sequences()))
    failures = [StressFailure(name, error.reason, error.message) for name, error in read.failed.items()]
    return [view.known(portfolio) for portfolio in read.portfolios.values()], failures


def plan_of(run: StressRun, account_count: int) -> StressPlan:
    """Return what a run is about to do, and what its numbers depend on."""
    market, parameters = run.market, run.parameters
    return StressPlan(
        scenarios=tuple(scenario.name for scenario in run.scenarios),
        accounts=account_count,
        snapshot_id=market.snapshot_id,
        as_of=market.as_of,
        parameter_set_id=parameters.set_id,
        parameters_hash=parameters.content_hash,
        scenario_set_hash=market.scenarios.content_hash,
        engine_version=market.kernels.engine_version,
    )


def _scenarios(request: StressRequest, view: MarketView) -> tuple[StressScenario, ...]:
    scenarios, parameters = view.market.scenarios, view.parameters
    found: list[StressScenario] = []
    if request.scenarios or not (request.ad_hoc or request.correlation):
        found += named_scenarios(request.scenarios, scenarios, parameters)
    found += ad_hoc_scenarios(request.ad_hoc, scenarios, parameters)
    if request.correlation or not (request.scenarios or request.ad_hoc):
        found += [
            StressScenario(NO_DIVERSIFICATION_NAME, StressKind.NO_DIVERSIFICATION, None),
            StressScenario(ALL_AGAINST_NAME, StressKind.ALL_AGAINST, None),
        ]
    return tuple(found)


def _blocks(accounts: Sequence[Account]) -> list[Sequence[Account]]:
    return [(accounts[start : start + BLOCK_ACCOUNTS]) for start in range(0, len(accounts), BLOCK_ACCOUNTS)]


def _reversed(run: StressRun, work: tuple[Portfolio, BreakLine]) -> ReverseStress:
    portfolio, line = work
    (account,) = prepared(run, [portfolio])
    if isinstance(account, StressFailure):
        return ReverseStress.not_searched(account, line)
    try:
        return reverse_stress(account, run.market, run.parameters, line)
    except DomainError as error:
        return ReverseStress.not_searched(StressFailure(portfolio.account, error.reason, error.message), line)


def _check(request: StressRequest) -> None:
    for name, count in (("accounts_shown", request.accounts_shown), ("positions_shown", request.positions_shown)):
        if not 0 <= count <= MOST_SHOWN:
            expected = f"0 to {MOST_SHOWN}"
            raise DomainError(
                Reason.INVALID_ARGUMENT, f"{name} was {count}; expected {expected}", field=name, value=count, expected=expected
            )
