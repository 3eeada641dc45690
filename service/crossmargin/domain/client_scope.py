"""Whose books somebody may see and move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crossmargin.domain.identifiers import ClientId


@dataclass(frozen=True, slots=True)
class ClientScope:
    """The clients that a caller is let in to; None for the whole house.

    >>> own = ClientScope(frozenset({ClientId("alpha")}))
    >>> own.covers("alpha"), own.covers("beta"), own.is_whole_house
    (True, False, False)
    >>> WHOLE_HOUSE.covers("beta"), own.within(WHOLE_HOUSE) == own
    (True, True)
    """

    clients: frozenset[ClientId] | None

    @property
    def is_whole_house(self) -> bool:
        """True when no client is shut off, and neither is what concerns all of them."""
        return self.clients is None

    def covers(self, client_id: str) -> bool:
        """Return whether a client's books are inside."""
        return self.clients is None or client_id in self.clients

    def within(self, other: ClientScope) -> ClientScope:
        """Return what is inside both."""
        if self.clients is None:
            return other
        return self if other.clients is None else ClientScope(self.clients & other.clients)


WHOLE_HOUSE: Final = ClientScope(None)
NO_CLIENT: Final = ClientScope(frozenset())
