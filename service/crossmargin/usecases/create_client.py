"""Create a client."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.domain.account import Client
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports.writing import Decision, Writer


@dataclass(frozen=True, slots=True)
class CreateClient:
    """Creates a client, or returns it when an equal one exists."""

    writer: Writer

    async def __call__(self, client: Client, *, caller: Caller) -> Client:
        """Return the client as stored; ALREADY_EXISTS when its id is taken by another."""

        async def decide(_: object) -> Decision:
            return Decision(response=b"", records=(client,))

        await self.writer.write(caller.write_request("CreateClient", [repr(client)]), decide)
        return client
