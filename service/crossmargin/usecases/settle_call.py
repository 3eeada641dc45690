"""Recognise at once what was delivered for a margin call, without waiting for the next house run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.band_memory import next_band_state
from crossmargin.domain.call_agreement import agreement_of
from crossmargin.domain.call_life import CallChange, MarginCall, check_open
from crossmargin.domain.call_need import delivered_value
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call import ChangeCall
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.evaluate_margin import portfolio_of
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.margin import MarginHistory
from crossmargin.usecases.ports.runtime import ComputePool
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.review_calls import AccountSeen, JudgedAccount


@dataclass(frozen=True, slots=True)
class SettleCall:
    """Holds the ledger against the call. Nobody's word meets a call: only what was booked does, and it raises or escalates nothing."""

    change: ChangeCall
    books: BookReader
    current_market: CurrentMarket
    history: MarginHistory
    compute: ComputePool

    async def __call__(self, account: AccountRef, number: int, *, caller: Caller) -> MarginCall:
        """Return the call as it stands once what is in the ledger was recognised; unchanged when nothing was.

        Raises:
            DomainError: UNKNOWN_CALL, UNKNOWN_ACCOUNT; WRONG_CALL_STATE for a closed one; what margin raises; and whatever the write path
                refuses.
        """
        call = check_open(await self.change.calls.get_call(account, number), "settle")
        judged = await self._judged(account)
        until = judged.seen.result.stamp.sequence
        moved = await self.change.calls.deliveries(account, after_sequence=call.recognised_to, until_sequence=until)
        step = judged.review_step(call, delivered_value(moved, judged.seen.result), may_press=False, by=caller.principal)
        done: list[CallChange] = []

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            change = step(await self.change.calls.get_call(account, number), self.change.clock.now())
            done[:] = [] if change is None else [change]
            return Decision(encode_outcome({"changed": change is not None}), records=() if change is None else (change.call, change.notice))

        outcome = await self.change.writer.write(caller.write_request("SettleCall", [str(account), str(number)], (account,)), decide)
        if not outcome.replayed:
            for change in done:
                self.change.reports.call_changed(change.notice)
        return await self.change.calls.get_call(account, number)

    async def _judged(self, account: AccountRef) -> JudgedAccount:
        portfolio, view = portfolio_of(await self.books.account_state(account)), await self.current_market()
        result = await self.compute.run(lambda: view.margin(portfolio))
        state = next_band_state(await self.history.band_of(account), result, view.parameters)
        agreement = agreement_of(account, await self.change.calls.agreements())
        return JudgedAccount(AccountSeen(result, state, portfolio.mode), agreement, view.parameters)
