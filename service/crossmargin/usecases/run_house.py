"""The monitor: margin every account when the market or the books have moved, store and publish it, call margin, end liquidations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from crossmargin.domain.band_memory import BandState, next_band_state
from crossmargin.domain.errors import DomainError, ErrorKind, Reason
from crossmargin.domain.house import NO_HOUSE
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.margin_history import MarginPoint, margin_point
from crossmargin.domain.peg import PegStanding
from crossmargin.usecases.current_market import CurrentMarket, MarketView
from crossmargin.usecases.margin_house import MarginHouse
from crossmargin.usecases.ports.books import BookReader, PackedState
from crossmargin.usecases.ports.leadership import Leadership, LeadershipLostError
from crossmargin.usecases.ports.margin import MarginHistory, MarginMetrics
from crossmargin.usecases.ports.runtime import Clock, ComputePool
from crossmargin.usecases.read_states import read_states
from crossmargin.usecases.review_calls import AccountSeen, ReviewCalls
from crossmargin.usecases.review_liquidations import ReviewLiquidations
from crossmargin.usecases.taking_turns import taking_turns
from crossmargin.usecases.watch_breakers import WatchBreakers

POLL_INTERVAL_S = 0.25
PASSING_KINDS: Final = frozenset({ErrorKind.UNAVAILABLE, ErrorKind.EXHAUSTED})


@dataclass(slots=True)
class RunHouse:
    """Runs for ever. Only the leader of all monitors computes, stores and publishes.

    An account whose margin fails is published as failed, with its reason, and never holds up the others; it stays in the band it was in.
    What is stored of a run is stored as a whole, and only while this process leads: a leader that was held up and comes back when another
    one leads stores nothing, and publishes nothing.
    """

    books: BookReader
    current_market: CurrentMarket
    compute: ComputePool
    metrics: MarginMetrics
    leadership: Leadership
    history: MarginHistory
    clock: Clock
    calls: ReviewCalls
    liquidations: ReviewLiquidations
    breakers: WatchBreakers | None = None
    _house: MarginHouse = field(init=False)

    def __post_init__(self) -> None:
        self._house = MarginHouse(self.compute, self.leadership)

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
            except LeadershipLostError:
                self._rest()
                seen = None
            await self.clock.sleep(POLL_INTERVAL_S)

    async def _run_if_moved(self, seen: tuple[object, ...] | None) -> tuple[object, ...] | None:
        if not await self.leadership.try_lead():
            self._rest()
            return None
        self.metrics.lead_house()
        sequences = await self.books.account_sequences()
        view = await self.current_market()
        # Without the totals that the run itself records, or every run would ask for another one.
        now = (replace(view, house=NO_HOUSE), dict(sequences), self.calls.last_schedule())
        if now == seen:
            return seen
        reasons = await self.run_once(sequences, view)
        # What failed for want of storage would fail no more, so the same house is run again.
        return None if any(reason.kind in PASSING_KINDS for reason in reasons) else now

    async def run_once(self, accounts: Mapping[AccountRef, int], view: MarketView) -> frozenset[Reason]:
        """Margin the accounts, store and publish the results, and return the reasons why accounts failed.

        Raises:
            LeadershipLostError: Another process leads by now; nothing is stored or published.
            DomainError: SERVICE_BUSY or STORAGE_UNAVAILABLE.

        First the totals over all accounts are worked out and recorded, so that the margins of this run rest on them, and so does every
        margin computed from now on.
        """
        started, epoch = self.clock.now(), self.leadership.epoch
        read = await read_states(self.books, sorted(accounts))
        states, failed = read.states, dict(read.failed)
        # Totals over a part of the accounts would free limits that others use up.
        known = view if failed else await self._with_totals(states, view, epoch)
        banded = {} if self.breakers is None else self.breakers.bands
        results, refused = await self._house.margins(states, known, epoch=epoch, bands=banded)
        failed |= refused
        bands = await self._store(results, known, epoch)
        duration = self.clock.now() - started
        codes = {account: reason.code for account, reason in failed.items()}
        pegs = _standings(view)
        self.metrics.publish_house(results, bands=bands, failed=codes, pegs=pegs, duration_s=duration.total_seconds())
        if self.breakers is not None:
            await self.breakers(list(results.values()), view.parameters.market_quality.breakers)
        # After the breakers, which may have paused calls at this very run.
        seen = {account: AccountSeen(result, bands[account], states[account].account.mode) for account, result in results.items()}
        try:
            await self.calls(seen, known.parameters, epoch=epoch)
        except DomainError:
            # Calls that are held up hold up no liquidation. The run is made again, for both.
            await self.liquidations(seen, states, known, epoch=epoch)
            raise
        await self.liquidations(seen, states, known, epoch=epoch)
        return frozenset(failed.values())

    async def _with_totals(self, states: Mapping[AccountRef, PackedState], view: MarketView, epoch: int) -> MarketView:
        """Return the view with new totals, recorded; with those of before where an account, which fails then, could not be looked at."""
        house = await self._house.totals(states, view, epoch=epoch)
        if house is None:
            return view
        await self.current_market.market.record_house_view(house, epoch=epoch)
        return replace(view, house=house)

    async def _store(self, results: Mapping[AccountRef, MarginResult], view: MarketView, epoch: int) -> Mapping[AccountRef, BandState]:
        before = await self.history.bands()
        after: dict[AccountRef, BandState] = {}
        points: list[MarginPoint] = []
        async for account, result in taking_turns(results.items()):
            after[account] = next_band_state(before.get(account), result, view.parameters)
            points.append(margin_point(result, before.get(account), after[account]))
        await self.history.record_run(points, epoch=epoch)
        return after

    def _rest(self) -> None:
        self.metrics.withdraw_house()
        self._house.forget()
        if self.breakers is not None:
            self.breakers.forget()


def _standings(view: MarketView) -> Mapping[InstrumentId, PegStanding]:
    rules = view.parameters.charges.depeg
    return {name: peg.standing(view.snapshot.as_of, rules) for name, peg in view.snapshot.pegs.items()}
