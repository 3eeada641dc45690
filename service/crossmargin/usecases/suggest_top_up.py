"""Suggest which of what a client has at hand to deliver, so that an account is where it should be at the least cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from crossmargin.domain.book import check_can_be_moved
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.money import check_scale
from crossmargin.domain.top_up import InventoryItem, TopUp, TopUpGoal, TopUpTarget, check_inventory
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.known_instruments import known_instruments
from crossmargin.usecases.ports.books import AccountState, BookReader
from crossmargin.usecases.ports.instrument import InstrumentReader
from crossmargin.usecases.ports.margin_call import CallStore
from crossmargin.usecases.ports.page import Page
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.storage_errors import sequence_not_reached
from crossmargin.usecases.top_up_trial import CalledFor, TopUpTrial, cheapest_top_up

_PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class SuggestTopUp:
    """Looks for the cheapest delivery in the compute pool, and stores nothing.

    What is suggested was margined by the engine, on the account as it would be with everything delivered, and with the totals over all
    accounts as the next house run would find them. Open orders are not counted, as in utilization and bands.
    """

    books: BookReader
    instruments: InstrumentReader
    calls: CallStore
    current_market: CurrentMarket
    compute: ComputePool

    async def __call__(
        self, account: AccountRef, inventory: Sequence[InventoryItem], target: TopUpTarget, *, min_sequence: int = 0
    ) -> TopUp:
        """Return the suggestion; where the inventory does not suffice, what of it brings the account furthest.

        Raises:
            DomainError: INVALID_ARGUMENT for an inventory that is none; UNKNOWN_INSTRUMENT, INVALID_INSTRUMENT or INVALID_DECIMAL for an
                item that could not be deposited; UNKNOWN_ACCOUNT, SEQUENCE_NOT_REACHED, ACCOUNT_CLOSED; UNKNOWN_CALL when a call is to be
                cleared and none is open; what margin raises; the reason of the market data when nobody can say where the account stands.
        """
        check_inventory(inventory)
        known = await known_instruments(self.instruments, (item.instrument_id for item in inventory))
        for item in inventory:
            instrument = check_can_be_moved(known[item.instrument_id], "deposited")
            if item.lot is not None:
                check_scale(item.lot, places=instrument.quantity_places, what=f"lot_size of {item.instrument_id}")
        states = await self._states(account)
        state = states[account]
        if state.head.sequence < min_sequence:
            raise sequence_not_reached(account, sequence=state.head.sequence, wanted=min_sequence)
        state.head.check_open()
        called = await self._called(state) if target.goal is TopUpGoal.OPEN_CALL else None
        view = await self.current_market()
        places = {name: instrument.quantity_places for name, instrument in known.items()}
        trial = partial(TopUpTrial, view, states, account, called=called, places=places)
        return await self.compute.run(lambda: cheapest_top_up(trial(inventory, target)))

    async def _states(self, account: AccountRef) -> Mapping[AccountRef, AccountState]:
        """Return the account and the others of its client, which share limits with it."""
        states = {account: await self.books.account_state(account)}
        others = await self.books.list_accounts(account.client_id, Page(_PAGE_SIZE))
        for other in others:
            if other.ref != account:
                states[other.ref] = await self.books.account_state(other.ref)
        return states

    async def _called(self, state: AccountState) -> CalledFor:
        account = state.account.ref
        call = await self.calls.last_call(account)
        if call is None or not call.is_open:
            raise _no_open_call(account)
        moved = await self.calls.deliveries(account, after_sequence=call.recognised_to, until_sequence=state.head.sequence)
        return CalledFor(call, moved)


def _no_open_call(account: AccountRef) -> DomainError:
    return DomainError(
        Reason.UNKNOWN_CALL,
        f"account {account} has no open margin call; name a utilization, or the initial margin, as the goal",
        account=account,
    )
