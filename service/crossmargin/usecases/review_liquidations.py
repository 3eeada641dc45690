"""See what becomes of open liquidations by themselves: the account recovers, the time is over, nothing is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import TypeAlias

from crossmargin.domain.account import AccountHead
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, PendingRequestId
from crossmargin.domain.liquidation_life import Liquidation, LiquidationChange, expired, recovered, unreported
from crossmargin.domain.liquidation_parameters import LiquidationParameters
from crossmargin.domain.margin import MarginResult
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.evaluate_margin import packed_portfolio
from crossmargin.usecases.liquidation_gate import left_behind
from crossmargin.usecases.passed_over import PassedOver
from crossmargin.usecases.ports.books import PackedState
from crossmargin.usecases.ports.liquidation import LiquidationReports, LiquidationStore, OpenLiquidation
from crossmargin.usecases.ports.runtime import Clock, ComputePool
from crossmargin.usecases.ports.writing import Decision, UnderLead, Writer
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.review_calls import MONITOR, AccountSeen

_Step: TypeAlias = Callable[[Liquidation, datetime], LiquidationChange | None]


@dataclass(slots=True)
class ReviewLiquidations:
    """Ends what is needed no longer or is over, and notes what nobody reports of. It trades nothing and approves of nothing.

    Every step is written by itself, under the account's lock and only while this process leads, and is decided on the liquidation as it is
    then: what a leader who died did not write is written by the next one, and nothing is written twice.
    """

    writer: Writer
    liquidations: LiquidationStore
    reports: LiquidationReports
    compute: ComputePool
    clock: Clock
    _outdated: frozenset[PendingRequestId] = field(default=frozenset())
    _rules: LiquidationParameters | None = field(default=None)

    async def __call__(
        self, seen: Mapping[AccountRef, AccountSeen], held: Mapping[AccountRef, PackedState], view: MarketView, *, epoch: int
    ) -> None:
        """Look at every open liquidation with what a house run found of its account, and what that holds.

        One ends when its account is at the target at the least favourable end of the market. Where what is left of one would miss its
        target by now, or goes further than it must, nothing is ended, because the market may come back; people are told, and
        `GetLiquidation` says not to go on.

        Raises:
            LeadershipLostError: Another process leads by now.
            DomainError: SERVICE_BUSY, STORAGE_UNAVAILABLE, or what an account refused, once the others were looked at (see `PassedOver`).
        """
        self._rules = view.parameters.liquidation
        held_up, open_now = PassedOver(), await self.liquidations.open_liquidations()
        outdated = set(self._outdated) & {found.liquidation_id for found in open_now}
        for found in open_now:
            account = seen.get(found.account)
            # Of one that could not be margined, or written, what was known is still all that is.
            if account is not None:
                with held_up.one_account():
                    step = partial(_recovered, account.result)
                    ended = await self._write(found, epoch, step, margined_at=account.result.stamp.sequence)
                    looks_outdated = partial(_is_outdated, found, held[found.account], account.result, view)
                    is_outdated = ended is None and await self.compute.run(looks_outdated)
                    (outdated.add if is_outdated else outdated.discard)(found.liquidation_id)
        self._outdated = frozenset(outdated)
        held_up.check()

    async def look_at_clock(self, *, epoch: int) -> Sequence[OpenLiquidation]:
        """Expire what is over, note what nothing is reported of, and return what is open then; raises what a review raises.

        How long is too long without a report is what the parameters of the last house run say; before the first one nobody is told.
        """
        steps: list[_Step] = [_expired] if self._rules is None else [_expired, partial(_unreported, self._rules)]
        held_up = PassedOver()
        for found in await self.liquidations.open_liquidations():
            with held_up.one_account():
                for step in steps:
                    await self._write(found, epoch, step)
        held_up.check()
        left = await self.liquidations.open_liquidations()
        return [OpenLiquidation(each, each.liquidation_id in self._outdated) for each in left]

    async def _write(self, found: Liquidation, epoch: int, step: _Step, *, margined_at: int | None = None) -> LiquidationChange | None:
        """Take a step, if it is due; one that rests on a margin only while nothing, such as a fill, was booked in the account since."""
        if step(found, self.clock.now()) is None:
            return None
        done: list[LiquidationChange] = []

        async def decide(heads: Mapping[AccountRef, AccountHead]) -> Decision:
            known = await self.liquidations.get_liquidation(found.account, found.liquidation_id)
            has_moved = margined_at is not None and heads[found.account].sequence != margined_at
            change = None if has_moved else step(known, self.clock.now())
            done[:] = [] if change is None else [change]
            written = () if change is None else (change.liquidation, change.step)
            return Decision(encode_outcome({"changed": change is not None}), records=(UnderLead(epoch), *written))

        # Whether it was written before is not told by the key but by the liquidation itself, which is read under the lock.
        key = f"{found.account}/{found.liquidation_id}/steps/{found.last_step + 1}/{epoch}/{self.clock.now().isoformat()}"
        request = Caller(MONITOR, sha256(key.encode()).hexdigest()).write_request("ReviewLiquidation", [key], (found.account,))
        await self.writer.write(request, decide)
        for change in done:
            self.reports.liquidation_stepped(change.step)
        return done[0] if done else None


def _recovered(result: MarginResult, known: Liquidation, at: datetime) -> LiquidationChange | None:
    _, high = result.utilization_range
    return recovered(known, high, at=at, by=MONITOR)


def _expired(known: Liquidation, at: datetime) -> LiquidationChange | None:
    return expired(known, at=at, by=MONITOR)


def _unreported(rules: LiquidationParameters, known: Liquidation, at: datetime) -> LiquidationChange | None:
    return unreported(known, report_within=rules.report_within, at=at, by=MONITOR)


def _is_outdated(found: Liquidation, held: PackedState, result: MarginResult, view: MarketView) -> bool:
    portfolio = packed_portfolio(held)
    try:
        return bool(left_behind(found.left, portfolio, view, result, target_utilization=found.target_utilization))
    except DomainError:
        # What cannot be valued is reported by the house run, with the reason.
        return False
