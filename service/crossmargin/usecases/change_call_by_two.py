"""Write a step of a call's life that takes two persons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crossmargin.domain.account import AccountHead
from crossmargin.domain.call_life import CallChange, MarginCall
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.pending_request import Asked, PendingRequest
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.change_call import ChangeCall
from crossmargin.usecases.ports.writing import Decision
from crossmargin.usecases.refusals import encode_outcome
from crossmargin.usecases.two_persons import TwoPersons, await_second_person


class SpokenStep(Protocol):
    """What becomes of a call when somebody says so."""

    def __call__(self, call: MarginCall, *, at: datetime, by: str, text: str) -> CallChange:
        """Return the call after the step; raises what stands in its way."""
        ...


@dataclass(frozen=True, slots=True)
class ChangeCallByTwo:
    """What the verbs about one call share that one person asks for and another confirms.

    The step is tried for the first person as well, so that nothing is proposed that cannot be done.
    """

    change: ChangeCall
    two_persons: TwoPersons

    async def __call__(
        self, verb: str, words: str, account: AccountRef, number: int, step: SpokenStep, *, text: str, caller: Caller
    ) -> MarginCall | PendingRequest:
        """Return the call as it is now, or what awaits a second person; `words` say what is asked, up to why.

        Raises:
            DomainError: UNKNOWN_CALL, UNKNOWN_ACCOUNT; what the step raises; for a second person what `TwoPersons.confirmation` raises.
        """
        asked = Asked(verb, f"{words}, because {text!r}", account.client_id)
        done: list[CallChange] = []

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            call = await self.change.calls.get_call(account, number)
            step(call, at=self.change.clock.now(), by=caller.principal, text=text)
            confirmation = await self.two_persons.confirmation(asked, caller=caller)
            if confirmation is None:
                return await_second_person(asked, caller=caller)
            change = step(call, at=self.change.clock.now(), by=str(confirmation.persons), text=text)
            done[:] = [change]
            return Decision(encode_outcome({"notice": change.notice.sequence}), records=(change.call, change.notice, confirmation.end))

        content = [str(account), str(number), text]
        outcome = await self.change.writer.write(caller.write_request(verb, content, (account,)), decide)
        if not outcome.replayed:
            for change in done:
                self.change.reports.call_changed(change.notice)
        return await self.two_persons.awaited(outcome) or await self.change.calls.get_call(account, number)
