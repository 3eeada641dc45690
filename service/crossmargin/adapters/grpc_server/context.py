"""What a call says of its caller."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeAlias

import grpc

from crossmargin.adapters.grpc_server.denial import Cause, unauthenticated
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import ClientId, PendingRequestId
from crossmargin.domain.role import ALL_ROLES, Role
from crossmargin.domain.source_scope import EVERY_SOURCE
from crossmargin.usecases.caller import ADMITTED, Caller

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Identify: TypeAlias = Callable[[Context], Caller]
"""Returns who calls, proved; raises a denial when it cannot be."""

LOCAL_PRINCIPAL: Final = "local"
PRINCIPAL_KEY: Final = "x-crossmargin-principal"
ROLES_KEY: Final = "x-crossmargin-roles"
CLIENTS_KEY: Final = "x-crossmargin-clients"
_PRINCIPAL: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_PLAIN: Final = [b"insecure"]
_LOOPBACK: Final = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D")


def caller_of(_: Context, request_id: str = "", confirms: PendingRequestId | None = None) -> Caller:
    """Return whom the call at hand was let in for, with the request id of a write, and what it is the second person's agreement to."""
    caller = ADMITTED.get()
    return replace(caller, request_id=request_id, confirms=confirms) if request_id else caller


def local_caller(context: Context) -> Caller:
    """Return the caller in insecure mode, which listens on loopback only: whoever is on this machine, in every role, for the whole house.

    The call's metadata may name him in `x-crossmargin-principal`, so that the rule of two persons holds there too and both names are
    journalled, and may make him less: `x-crossmargin-roles: trader,risk`, `x-crossmargin-clients: alpha,beta`.

    Raises:
        DomainError: UNAUTHENTICATED for a call from elsewhere, or one with a certificate; INVALID_ARGUMENT for a name that is not 1 to 128
            printable ASCII characters without spaces, an unknown role, or a client id that cannot be one.
    """
    transport = context.auth_context().get("transport_security_type", _PLAIN)
    if transport != _PLAIN or not context.peer().startswith(_LOOPBACK):
        raise unauthenticated(Cause.NOT_LOCAL)
    given = dict(context.invocation_metadata() or ())
    return Caller(
        _principal(given.get(PRINCIPAL_KEY)),
        roles=_roles(given.get(ROLES_KEY)),
        scope=_scope(given.get(CLIENTS_KEY)),
        sources=EVERY_SOURCE,
    )


def _principal(given: str | bytes | None) -> str:
    if given is None:
        return LOCAL_PRINCIPAL
    if not isinstance(given, str) or not _PRINCIPAL.fullmatch(given):
        raise _bad_metadata(PRINCIPAL_KEY, given, "1 to 128 printable ASCII characters without spaces")
    return given


def _roles(given: str | bytes | None) -> frozenset[Role]:
    if given is None:
        return ALL_ROLES
    try:
        return frozenset(map(Role, _listed(ROLES_KEY, given)))
    except ValueError:
        raise _bad_metadata(ROLES_KEY, given, "some of " + ", ".join(role.value for role in Role)) from None


def _scope(given: str | bytes | None) -> ClientScope:
    if given is None:
        return WHOLE_HOUSE
    try:
        return ClientScope(frozenset(map(ClientId, _listed(CLIENTS_KEY, given))))
    except DomainError:
        raise _bad_metadata(CLIENTS_KEY, given, "ids of clients, with commas between") from None


def _listed(key: str, given: str | bytes) -> list[str]:
    if isinstance(given, bytes):
        raise _bad_metadata(key, given, "text")
    return [word.strip() for word in given.split(",") if word.strip()]


def _bad_metadata(key: str, given: object, expected: str) -> DomainError:
    shown = repr(given)[:60]
    return DomainError(Reason.INVALID_ARGUMENT, f"{key} was {shown}; expected {expected}", field=key, value=shown, expected=expected)
