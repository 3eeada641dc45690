"""Halt a client or the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.domain.account import AccountHead
from crossmargin.domain.halt import Halt, check_halt_reason
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.books import BookReader
from crossmargin.usecases.ports.writing import Decision, Writer
from crossmargin.usecases.refusals import encode_outcome


@dataclass(frozen=True, slots=True)
class HaltTrading:
    """Turns the switch, which anybody may alone. It is no request that a halt could refuse: a client of a halted house may be halted too.

    Once a halt has been answered, no request of its client commits any more: the write path waits for those that had begun.
    """

    writer: Writer
    books: BookReader

    async def __call__(self, client_id: ClientId | None, *, reason: str, caller: Caller) -> Halt:
        """Return the switch as it is now, of a client, or with None of the house.

        Raises:
            DomainError: UNKNOWN_CLIENT; INVALID_ARGUMENT for a reason that says nothing; SERVICE_BUSY when requests under way did not end
                in time, so that nothing was halted: ask again.
        """
        halt = Halt(client_id, is_halted=True, reason=check_halt_reason(reason), changed_by=caller.principal)

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            return Decision(encode_outcome({"scope": halt.scope}), records=(halt,))

        await self.writer.write(caller.write_request("Halt", [halt.scope, reason]), decide)
        return await self.books.get_halt(client_id)
