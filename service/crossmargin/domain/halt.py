"""A halt: while it lasts requests are refused and facts are booked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import ClientId

LONGEST_REASON: Final = 200


@dataclass(frozen=True, slots=True)
class Halt:
    """Whether requests are refused, and who said so.

    Attributes:
        client_id: The client it is about; None for the whole house.
        reason: Why it was changed last, for people; empty if it never was.
        changed_by: Who changed it last, `alice and bob` where two had to; empty if nobody did.
        changed_at: When, by the clock of the storage; None if never.
    """

    client_id: ClientId | None
    is_halted: bool
    reason: str = ""
    changed_by: str = ""
    changed_at: datetime | None = None

    @property
    def scope(self) -> str:
        """What it is about: `house`, or `clients/alpha`."""
        return scope_of(self.client_id)

    @property
    def words(self) -> str:
        """All that somebody asks for who wants it, in words."""
        return f"{'halt' if self.is_halted else 'resume'} {self.scope}, because {self.reason!r}"


def scope_of(client_id: ClientId | None) -> str:
    """Return the name of what a halt is about.

    >>> scope_of(ClientId("alpha"))
    'clients/alpha'
    """
    return "house" if client_id is None else f"clients/{client_id}"


def check_halt_reason(reason: str) -> str:
    """Return why somebody halts or resumes, if it says anything: 1 to 200 printable characters; INVALID_ARGUMENT otherwise."""
    if not 1 <= len(reason.strip()) <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise DomainError(
            Reason.INVALID_ARGUMENT,
            f"reason was {reason[:60]!r}; expected 1 to {LONGEST_REASON} printable characters that tell others why",
            field="reason",
            value=reason[:60],
        )
    return reason


def halted(halt: Halt) -> DomainError:
    """Return the error for a request while its client or the house is halted."""
    what = "the house" if halt.client_id is None else f"client {halt.client_id}"
    why = f" ({halt.reason})" if halt.reason else ""
    return DomainError(
        Reason.HALTED,
        f"{what} is halted{why}: facts are booked, requests are refused until it is resumed",
        scope=halt.scope,
        halt_reason=halt.reason,
        changed_by=halt.changed_by,
    )
