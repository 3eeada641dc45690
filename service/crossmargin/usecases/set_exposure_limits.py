"""Set what a client, or one account of it, may be exposed to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crossmargin.domain.account import AccountHead
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountRef
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.ports import BookReader, Decision, Writer
from crossmargin.usecases.refusals import encode_outcome


@dataclass(frozen=True, slots=True)
class SetExposureLimits:
    """Replaces the limits of one scope as a whole. Who set them is kept with them; the rule of two persons belongs in front of this.

    A halt does not refuse it: nothing is approved meanwhile, and limits are what a halt is often resolved by.
    """

    writer: Writer
    books: BookReader

    async def __call__(self, limits: ExposureLimits, *, caller: Caller) -> ExposureLimits:
        """Return the limits as they are now; UNKNOWN_CLIENT or UNKNOWN_ACCOUNT. What is over them already is flagged, never undone."""
        new = replace(limits, set_by=caller.principal)
        accounts = () if new.account_id is None else (AccountRef(new.client_id, new.account_id),)

        async def decide(_: Mapping[AccountRef, AccountHead]) -> Decision:
            return Decision(encode_outcome({"scope": new.scope}), records=(new,))

        await self.writer.write(caller.write_request("SetLimits", [repr(limits)], accounts), decide)
        return await self.books.get_limits(new.client_id, new.account_id)
