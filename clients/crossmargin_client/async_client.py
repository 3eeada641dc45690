"""The asynchronous client: the methods of the synchronous one, on asyncio."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import grpc

from crossmargin_client.channels import HEALTH_CHECK, HEALTH_REQUEST, as_is, is_serving
from crossmargin_client.connection import AsyncConnection
from crossmargin_client.errors import error_from_call
from crossmargin_client.methods import Methods


class AsyncClient(Methods, AsyncConnection):
    """A connection to the service for use in one event loop.

    Parameters, deadlines, retries and errors are those of `Client`. Its methods are awaited; lists and streams are asynchronous iterators.

        async with AsyncClient("127.0.0.1:50051") as client:
            print((await client.get_margin("clients/alpha/accounts/core")).utilization)
    """

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection and every call on it."""
        await self._channel.close()

    async def is_serving(self) -> bool:
        """Return whether the service says that it is ready for calls."""
        health = self._channel.unary_unary(HEALTH_CHECK, request_serializer=as_is, response_deserializer=as_is)
        try:
            return is_serving(await health(HEALTH_REQUEST, timeout=self.timeout_s))
        except grpc.RpcError as failure:
            raise error_from_call(failure) from None
