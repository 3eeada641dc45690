"""Write one step of a call's life, under the lock of its account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from crossmargin.domain.account import AccountHead
from crossmargin.domain.call_life import CallChange, MarginCall
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.margin_call import CallReports, CallStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome

Step: TypeAlias = Callable[[MarginCall, datetime], CallChange]


@dataclass(frozen=True, slots=True)
class ChangeCall:
    """What the verbs about one call share. Whoever changes calls of an account holds its lock, so each step follows from the last one."""

    writer: Writer
    calls: CallStore
    reports: CallReports
    clock: Clock

    async def __call__(
        self, verb: str, account: AccountRef, number: int, content: tuple[str, ...], step: Step, *, caller: Caller
    ) -> MarginCall:
        """Return the call as it stands after the step.

        Raises:
            DomainError: UNKNOWN_CALL, UNKNOWN_ACCOUNT; what the step raises; and whatever the write path refuses.
        """
        done: list[CallChange] = []

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            change = step(await self.calls.get_call(account, number), self.clock.now())
            done[:] = [change]
            return Decision(encode_outcome({"notice": change.notice.sequence}), records=(change.call, change.notice))

        request = caller.write_request(verb, [str(account), str(number), *content], (account,))
        outcome = await self.writer.write(request, decide)
        if not outcome.replayed:
            for change in done:
                self.reports.call_changed(change.notice)
        return await self.calls.get_call(account, number)
