"""Follow the margin of an account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

from crossmargin.domain.band_memory import BandState, next_band_state
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.risk_parameters import RiskParameters
from crossmargin.usecases.evaluate_margin import EvaluateMargin
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.margin import MarginHistory
from crossmargin.usecases.ports.market import MarketStore
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock

POLL_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class WatchedMargin:
    """A margin result, and the band as it is remembered: from where the monitor held the account to be, result by result."""

    margin: MarginResult
    state: BandState


@dataclass(frozen=True, slots=True)
class WatchMargin:
    """Yields an account's margin at once, and again whenever its remembered band changes or utilization has moved by a step.

    The account's sequence, the latest snapshot's id and the activations of parameters are polled; margin is computed only when one of
    them has changed. New history or instruments are seen with the next of these.
    """

    evaluate_margin: EvaluateMargin
    books: BookReader
    market: MarketStore
    parameters: ParameterStore
    history: MarginHistory
    clock: Clock

    async def __call__(self, account: AccountRef, *, utilization_step: Decimal) -> AsyncIterator[WatchedMargin]:
        """Yield margin results without end; raises what EvaluateMargin raises, INVALID_ARGUMENT for a step that is not above zero."""
        if utilization_step <= 0:
            raise DomainError(
                Reason.INVALID_ARGUMENT, f"utilization_step was {utilization_step}; expected more than zero", value=utilization_step
            )
        told: WatchedMargin | None = None
        state = await self.history.band_of(account)
        parameters: RiskParameters | None = None
        seen: tuple[object, ...] | None = None
        while True:
            books = await self.books.account_state(account)
            now = (books.head.sequence, books.policies, await self.market.latest_snapshot_id(), await self.parameters.activations())
            if now != seen:
                seen = now
                result = await self.evaluate_margin(account)
                if parameters is None or parameters.set_id != result.stamp.parameter_set_id:
                    parameters = await self.parameters.get_parameters(result.stamp.parameter_set_id)
                state = next_band_state(state, result, parameters)
                watched = WatchedMargin(result, state)
                if told is None or _differs(told, watched, utilization_step):
                    told = watched
                    yield watched
            await self.clock.sleep(POLL_INTERVAL_S)


def _differs(told: WatchedMargin, now: WatchedMargin, step: Decimal) -> bool:
    if told.state.band is not now.state.band or told.state.is_immediate is not now.state.is_immediate:
        return True
    before, after = told.margin.utilization, now.margin.utilization
    if before is None or after is None:
        return before is not after
    return abs(before - after) >= step
