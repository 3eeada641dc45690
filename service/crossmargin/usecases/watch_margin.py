"""Follow the margin of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.usecases.evaluate_margin import EvaluateMargin
from crossmargin.usecases.ports import BookReader, Clock, MarketStore, ParameterStore

POLL_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class WatchMargin:
    """Yields an account's margin at once, and again whenever its band changes or utilization has moved by a step.

    The account's sequence, the latest snapshot's id and the activations of parameters are polled; margin is computed only when one of
    them has changed. New history or instruments are seen with the next of these.
    """

    evaluate_margin: EvaluateMargin
    books: BookReader
    market: MarketStore
    parameters: ParameterStore
    clock: Clock

    async def __call__(self, account: AccountRef, *, utilization_step: Decimal) -> AsyncIterator[MarginResult]:
        """Yield margin results without end; raises what EvaluateMargin raises, INVALID_ARGUMENT for a step that is not above zero."""
        if utilization_step <= 0:
            raise DomainError(
                Reason.INVALID_ARGUMENT, f"utilization_step was {utilization_step}; expected more than zero", value=utilization_step
            )
        told: MarginResult | None = None
        seen: tuple[object, ...] | None = None
        while True:
            state = await self.books.account_state(account)
            now = (state.head.sequence, state.policies, await self.market.latest_snapshot_id(), await self.parameters.activations())
            if now != seen:
                seen = now
                result = await self.evaluate_margin(account)
                if told is None or _differs(told, result, utilization_step):
                    told = result
                    yield result
            await self.clock.sleep(POLL_INTERVAL_S)


def _differs(told: MarginResult, result: MarginResult, step: Decimal) -> bool:
    if told.band is not result.band:
        return True
    if told.utilization is None or result.utilization is None:
        return told.utilization is not result.utilization
    return abs(told.utilization - result.utilization) >= step
