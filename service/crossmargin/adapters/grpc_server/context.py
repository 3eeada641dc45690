"""What a call says of its caller."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import grpc

from crossmargin.domain.errors import DomainError, Reason

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
LOCAL_PRINCIPAL: Final = "local"
PRINCIPAL_KEY: Final = "x-crossmargin-principal"
_PRINCIPAL: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_PLAIN: Final = [b"insecure"]
_LOOPBACK: Final = ("ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D")


def principal_of(context: Context) -> str:
    """Return the principal of a call.

    In insecure mode, which listens on loopback only, it is whoever is on this machine, under the name that the call's metadata gives
    in `x-crossmargin-principal`, or `local`. So the rule of two persons holds there too, and both names are journalled. Nothing else
    makes that metadata count: not a caller from elsewhere, not one with a certificate.

    Raises:
        DomainError: INVALID_ARGUMENT for a name that is not 1 to 128 printable ASCII characters without spaces.
    """
    transport = context.auth_context().get("transport_security_type", _PLAIN)
    is_local = transport == _PLAIN and context.peer().startswith(_LOOPBACK)
    given = dict(context.invocation_metadata() or ()).get(PRINCIPAL_KEY) if is_local else None
    if given is None:
        return LOCAL_PRINCIPAL
    if not isinstance(given, str) or not _PRINCIPAL.fullmatch(given):
        expected = "1 to 128 printable ASCII characters without spaces"
        shown = repr(given)[:60]
        raise DomainError(Reason.INVALID_ARGUMENT, f"{PRINCIPAL_KEY} was {shown}; expected {expected}", field=PRINCIPAL_KEY, value=shown)
    return given
