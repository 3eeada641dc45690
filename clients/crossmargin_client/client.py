"""The synchronous client: every call of the API, typed, with deadlines and safe retries."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc

from crossmargin_client.channels import HEALTH_CHECK, HEALTH_REQUEST, as_is, is_serving
from crossmargin_client.connection import SyncConnection
from crossmargin_client.errors import error_from_call
from crossmargin_client.methods import Methods


class Client(Methods, SyncConnection):
    """A connection to the service.

    Every call has a deadline of `timeout_s` in all. A call that finds the service unavailable or busy is made again within it; a write
    is made again under its own request id, so it happens once. Calls raise a CrossmarginError. Safe to share between threads.

        with Client("127.0.0.1:50051") as client:
            print(client.get_margin("clients/alpha/accounts/core").utilization)

    Args:
        target: host:port, or dns:///name:port to spread calls over every address of the name.
        timeout_s: Deadline of a call, retries included. Importing history has six times as long.
        tls: Files that prove who calls and who answers; None for a plain connection, which a service accepts on its own machine only.
        token: Shown with every call: a text, a `TokenFile`, or what returns the token to use now.
        credentials: TLS made by hand, in place of `tls`.
        principal: Name to act under on a plain connection, where nothing else tells people apart; empty for the service's own name.
        interceptors: Of every call, such as those of `crossmargin_client.tracing`; the first is the outermost.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and every call on it."""
        self._channel.close()

    def is_serving(self) -> bool:
        """Return whether the service says that it is ready for calls."""
        health = self._channel.unary_unary(HEALTH_CHECK, request_serializer=as_is, response_deserializer=as_is)
        try:
            return is_serving(health(HEALTH_REQUEST, timeout=self.timeout_s))
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
