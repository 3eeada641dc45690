"""Set what an account is margined by."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crossmargin.domain.account import Account
from crossmargin.domain.book import append_to_chain, entry_from_methodology
from crossmargin.domain.halt import halted
from crossmargin.domain.methodology import AccountMethodology
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.parameters_in_force import ParametersInForce
from crossmargin.usecases.ports.books import BookReader, Books
from crossmargin.usecases.ports.risk_parameters import ParameterStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_refusal, sequence_or_refusal


@dataclass(frozen=True, slots=True)
class MethodologySet:
    """The account with its methodology, and the entry of the change; 0 when nothing was written."""

    account: Account
    sequence: int


@dataclass(frozen=True, slots=True)
class SetMethodology:
    """Stores a methodology, replacing an earlier one, and enters the change in the account's ledger."""

    writer: Writer
    books: BookReader
    parameters: ParameterStore
    in_force: ParametersInForce
    clock: Clock

    async def __call__(self, chosen: AccountMethodology, *, validate_only: bool = False, caller: Caller) -> MethodologySet:
        """Return the account as it is after the change. `validate_only` checks everything and writes nothing.

        Raises:
            DomainError: UNKNOWN_ACCOUNT, ACCOUNT_CLOSED, HALTED; NO_RISK_PARAMETERS, and METHODOLOGY_UNAVAILABLE when the parameters in
                force, or those that they are taking over from, do not say enough of the methodology.
        """
        state = await self.books.account_state(chosen.account)
        account = replace(state.account, methodology=chosen.methodology)
        await self._check_available(chosen)
        if validate_only:
            state.head.check_open()
            return MethodologySet(account, sequence=0)

        async def decide(books: Books) -> Decision:
            if books.halts:
                return Decision(encode_refusal(halted(books.halts[0])))
            entry = entry_from_methodology(chosen, effective_at=self.clock.now())
            chained = append_to_chain(books.states[chosen.account].head.check_open(), (entry,))
            return Decision(response=str(chained[-1].sequence).encode(), entries=chained, records=(chosen,))

        request = caller.write_request("SetMethodology", [repr(chosen)], (chosen.account,), is_fact=False)
        outcome = await self.writer.decide(request, decide)
        return MethodologySet(account, sequence_or_refusal(outcome.response))

    async def _check_available(self, chosen: AccountMethodology) -> None:
        governing = await self.in_force()
        for set_id in (governing.set_id, governing.previous):
            if set_id is not None:
                (await self.parameters.get_parameters(set_id)).check_methodology(chosen.methodology)
