"""What a call says of its caller."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import grpc

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
LOCAL_PRINCIPAL: Final = "local"


def principal_of(context: Context) -> str:  # noqa: ARG001 - the one place that will read the peer's identity
    """Return the principal of a call. In insecure mode, which listens on loopback only, there is one: whoever is on this machine."""
    return LOCAL_PRINCIPAL
