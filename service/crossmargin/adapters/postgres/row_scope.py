"""What a transaction tells the database of whoever it works for; row-level security goes by it (see `walls`)."""

from __future__ import annotations

from typing import Final

from crossmargin.domain.client_scope import ClientScope
from crossmargin.usecases.caller import admitted_scope

SET_CLIENTS: Final = b"SELECT set_config('crossmargin.clients', %s, true)"
"""For the transaction at hand alone: on a connection that is lent to the next call nothing of it is left."""
SET_CALLER: Final = b"SELECT set_config('crossmargin.clients', %s, true), set_config('crossmargin.principal', %s, true)"
"""The same, and whose answers the transaction may see and store."""
_EVERYBODY: Final = "*"


def clients_setting(scope: ClientScope | None = None) -> str:
    """Return what the setting says of a scope, that of the work at hand unless one is given.

    >>> clients_setting(ClientScope(frozenset({"beta", "alpha"}))), clients_setting(ClientScope(frozenset()))
    ('alpha,beta', '')
    """
    scope = admitted_scope() if scope is None else scope
    return _EVERYBODY if scope.clients is None else ",".join(sorted(scope.clients))
