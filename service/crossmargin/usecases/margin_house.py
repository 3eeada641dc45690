"""Margin a whole house in account blocks: first what all accounts hold together, then each account with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

from crossmargin.domain.errors import Reason
from crossmargin.domain.house import NO_HOUSE, HouseView
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.engine.house_view import OwnerSum, OwnerTotals, house_of
from crossmargin.engine.revaluation.revalued_market import RevaluedMarket
from crossmargin.usecases.current_market import MarketView
from crossmargin.usecases.house_blocks import BandedState, FailedAccount, blocks_of, margins_of, members_of, parts_of
from crossmargin.usecases.ports.books import PackedState
from crossmargin.usecases.ports.leadership import Leadership, LeadershipLostError
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.taking_turns import taking_turns

B = TypeVar("B")
S = TypeVar("S")
T = TypeVar("T")
States: TypeAlias = Mapping[AccountRef, PackedState]
Failed: TypeAlias = Mapping[AccountRef, Reason]
_Owned: TypeAlias = tuple[PackedState, ...]
_NOBODY: Final[Mapping[AccountRef, Band]] = MappingProxyType({})


@dataclass(slots=True)
class MarginHouse:
    """Remembers one run: what has not moved and stands at the same market is the same, bit for bit, and is not computed again.

    What is found depends neither on blocks nor on the pool nor on what is remembered. Between two blocks it is looked whether this process
    still leads: one that does not need not go on. `states` are in the order of the accounts' names.
    """

    compute: ComputePool
    leadership: Leadership
    _market: RevaluedMarket | None = field(default=None)
    _owners: dict[ClientId, tuple[_Owned, OwnerTotals]] = field(default_factory=dict)
    _view: MarketView | None = field(default=None)
    _margins: dict[AccountRef, tuple[PackedState, MarginResult]] = field(default_factory=dict)

    async def totals(self, states: States, view: MarketView, *, epoch: int) -> HouseView | None:
        """Return what all accounts hold together; None when one could not be looked at: totals over a part would free limits of others.

        Raises:
            LeadershipLostError: Another process leads by now.
        """
        if view.market is not self._market:
            self._market, self._owners = view.market, {}
        owned = {client: tuple(own) for client, own in groupby(states.values(), key=lambda state: state.account.ref.client_id)}
        self._owners = {client: known for client, known in self._owners.items() if owned.get(client) == known[0]}
        moved = members_of([own for client, own in owned.items() if client not in self._owners])
        adding: OwnerSum | None = None
        async with aclosing(self._over(blocks_of(moved), (view.market, view.parameters), parts_of, epoch)) as blocks:
            async for block in blocks:
                for part in block:
                    if isinstance(part, FailedAccount):
                        return None
                    if adding is None or adding.client != part.account.client_id:
                        await self._keep(adding, owned, view)
                        adding = OwnerSum(part.account.client_id, view.market)
                    adding.add(part)
        await self._keep(adding, owned, view)
        return house_of(self._owners[client][1] for client in owned)

    async def margins(
        self, states: States, view: MarketView, *, epoch: int, bands: Mapping[AccountRef, Band] = _NOBODY
    ) -> tuple[dict[AccountRef, MarginResult], Failed]:
        """Return the margin of every account, in the order of `states`, and why others have none.

        They are brief but of accounts that have entered a margin call or worse since they were in `bands`: those are explained.

        Raises:
            LeadershipLostError: Another process leads by now.
        """
        remembered = self._margins if self._view is not None and _are_same(view, self._view) else {}
        self._view, self._margins = view, {}
        async for ref, state in taking_turns(states.items()):
            known = remembered.get(ref)
            if known is not None and known[0] == state:
                self._margins[ref] = known
        del remembered
        moved = [BandedState(state, bands.get(ref)) for ref, state in states.items() if ref not in self._margins]
        failed: dict[AccountRef, Reason] = {}
        asked = blocks_of(moved)
        async with aclosing(self._over(blocks_of(moved), view, margins_of, epoch)) as blocks:
            async for block in blocks:
                for state, found in block.of(each.state for each in next(asked)):
                    if isinstance(found, Reason):
                        failed[state.account.ref] = found
                    else:
                        self._margins[state.account.ref] = (state, found)
        return {ref: self._margins[ref][1] for ref in states if ref in self._margins}, failed

    def forget(self) -> None:
        """Let go of what is remembered: another process leads."""
        self._market, self._owners, self._view, self._margins = None, {}, None, {}

    async def _keep(self, added: OwnerSum | None, owned: Mapping[ClientId, _Owned], view: MarketView) -> None:
        if added is not None:
            work = partial(added.totals, view.parameters)
            # The way to a thread and back takes longer than what is done to an owner of one account, as most are.
            totals = work() if len(owned[added.client]) == 1 else await self.compute.run(work)
            self._owners[added.client] = (owned[added.client], totals)

    async def _over(self, blocks: Iterable[B], shared: S, work: Callable[[S, B], T], epoch: int) -> AsyncGenerator[T]:
        async with aclosing(self.compute.over_blocks(shared, work, blocks)) as results:
            async for result in results:
                if self.leadership.epoch != epoch:
                    raise LeadershipLostError(f"lead {epoch} is over")
                yield result


def _are_same(one: MarketView, other: MarketView) -> bool:
    """Return whether an account that has not moved has the same margin in both."""
    return _depends_on(one) == _depends_on(other)


def _depends_on(view: MarketView) -> tuple[object, ...]:
    # That nothing is known of the others is another thing than to know that they hold nothing: results say which.
    house = None if view.house is NO_HOUSE else view.house.view_id
    return (view.market, view.snapshot, view.parameters, view.previous, view.fraction, house)
