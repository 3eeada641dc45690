"""Say what a set of risk parameters would do to every account, before it is in force."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef, RiskParameterSetId
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import ComputePool

_CALLED = frozenset({Band.MARGIN_CALL, Band.LIQUIDATION})


@dataclass(frozen=True, slots=True)
class ShadowedAccount:
    """One account under the parameters in force and under the others, at one snapshot and one ledger entry.

    Attributes:
        done: How many accounts are done, this one included. total: How many there are.
        in_force: None when its margin fails under the parameters in force; `shadow` under the others. `reason` then says why.
    """

    account: AccountRef
    done: int
    total: int
    in_force: MarginResult | None
    shadow: MarginResult | None
    reason: Reason | None

    @property
    def is_called(self) -> bool:
        """True when it would be called, or worse, and is not now."""
        return _is_in(self.shadow, _CALLED) and not _is_in(self.in_force, _CALLED)

    @property
    def is_liquidated(self) -> bool:
        """True when it would be liquidated and is not now."""
        worst = frozenset({Band.LIQUIDATION})
        return _is_in(self.shadow, worst) and not _is_in(self.in_force, worst)


@dataclass(slots=True)
class ShadowSummary:
    """What the others would do to all accounts together. Totals are of the accounts that have a margin under both, base currency."""

    in_force_set_id: RiskParameterSetId
    shadow_set_id: RiskParameterSetId
    called: list[AccountRef] = field(default_factory=list)
    liquidated: list[AccountRef] = field(default_factory=list)
    failed: list[AccountRef] = field(default_factory=list)
    maintenance_before: Decimal = Decimal(0)
    maintenance_after: Decimal = Decimal(0)
    initial_before: Decimal = Decimal(0)
    initial_after: Decimal = Decimal(0)

    def add(self, one: ShadowedAccount) -> None:
        """Count one account."""
        if one.in_force is None or one.shadow is None:
            self.failed.append(one.account)
            return
        self.maintenance_before += one.in_force.requirement.maintenance_margin
        self.maintenance_after += one.shadow.requirement.maintenance_margin
        self.initial_before += one.in_force.requirement.initial_margin
        self.initial_after += one.shadow.requirement.initial_margin
        self.called += [one.account] * one.is_called
        self.liquidated += [one.account] * one.is_liquidated


@dataclass(frozen=True, slots=True)
class ShadowParameters:
    """Margins every open account twice, in the compute pool, and stores nothing."""

    parameters: ParameterStore
    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(self, set_id: RiskParameterSetId) -> AsyncIterator[ShadowedAccount | ShadowSummary]:
        """Yield every account in the order of their names, then the summary.

        Raises:
            DomainError: UNKNOWN_RISK_PARAMETERS; NO_MARKET_SNAPSHOT, NO_RISK_PARAMETERS, INSUFFICIENT_HISTORY.
        """
        parameters = await self.parameters.get_parameters(set_id)
        view = await self.current_market()
        shadow = await self.current_market.under(parameters, view)
        summary = ShadowSummary(view.parameters.set_id, set_id)
        accounts = sorted(await self.books.account_sequences())
        for done, account in enumerate(accounts, start=1):
            one = await self._account(account, view, shadow, done=done, total=len(accounts))
            summary.add(one)
            yield one
        yield summary

    async def _account(self, account: AccountRef, view: MarketView, shadow: MarketView, *, done: int, total: int) -> ShadowedAccount:
        portfolio = portfolio_of(await self.books.account_state(account))

        def margin(market: MarketView) -> MarginResult | Reason:
            try:
                return market.margin(portfolio)
            except DomainError as error:
                return error.reason

        now, then = await self.compute.run(lambda: (margin(view), margin(shadow)))
        return ShadowedAccount(
            account,
            done,
            total,
            in_force=now if isinstance(now, MarginResult) else None,
            shadow=then if isinstance(then, MarginResult) else None,
            reason=next((one for one in (now, then) if isinstance(one, Reason)), None),
        )


def _is_in(result: MarginResult | None, bands: frozenset[Band]) -> bool:
    return result is not None and result.band in bands
