"""Say of a break what is behind it, or that it is settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.identifiers import AccountRef, InstrumentId
from crossmargin.domain.reconciliation import Break, BreakState
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.reconciliation import ReconciliationStore
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class NoteBreak:
    """Adds a note; earlier ones stay. The books are not changed by it: a mistake there is corrected by a reversing entry."""

    writer: Writer
    store: ReconciliationStore
    clock: Clock

    async def __call__(
        self, statement_id: str, account: AccountRef, instrument_id: InstrumentId, state: BreakState, note: str, *, caller: Caller
    ) -> Break:
        """Return the break with its new note.

        Raises:
            DomainError: UNKNOWN_BREAK; BREAK_CLOSED; INVALID_ARGUMENT for an empty note; ALREADY_EXISTS when
                somebody else noted meanwhile.
        """

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            found = await self.store.get_break(statement_id, account, instrument_id)
            noted = found.noted(state, note, by=caller.principal, at=self.clock.now())
            return Decision(response=str(noted.number).encode(), records=(noted,))

        content = [statement_id, str(account), instrument_id, state.value, note]
        await self.writer.write(caller.write_request("NoteBreak", content), decide)
        return await self.store.get_break(statement_id, account, instrument_id)
