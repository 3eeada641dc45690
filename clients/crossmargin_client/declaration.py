"""Turns what was said of a call into a method of both clients.

A function that is marked `@answers` returns a `One`, one that is marked `@yields` a `Many`. In `Client` the function becomes a method with
the same parameters that makes the call and returns its result, or iterates over its items; in `AsyncClient` it is awaited, or iterated
over with `async for`. So each call of the API is written once.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from crossmargin_client.call_kinds import Many, One
from crossmargin_client.connection import AsyncConnection, SyncConnection

Given = ParamSpec("Given")
Result = TypeVar("Result")
Item = TypeVar("Item")


class answers(Generic[Given, Result]):  # noqa: N801 - read as a decorator
    """A method that returns a result."""

    def __init__(self, describe: Callable[Concatenate[Any, Given], One[Result]]) -> None:
        self.describe = describe

        def make(client: SyncConnection, *given: Given.args, **named: Given.kwargs) -> Result:
            return describe(client, *given, **named).make(client)

        async def make_async(client: AsyncConnection, *given: Given.args, **named: Given.kwargs) -> Result:
            return await describe(client, *given, **named).make_async(client)

        self._make = _as_described(make, describe, "{}")
        self._make_async = _as_described(make_async, describe, "{}")

    @overload
    def __get__(self, client: SyncConnection, owner: type[object]) -> Callable[Given, Result]: ...

    @overload
    def __get__(self, client: AsyncConnection, owner: type[object]) -> Callable[Given, Coroutine[Any, Any, Result]]: ...

    @overload
    def __get__(self, client: None, owner: type[SyncConnection]) -> Callable[Concatenate[Any, Given], Result]: ...

    @overload
    def __get__(self, client: None, owner: type[AsyncConnection]) -> Callable[Concatenate[Any, Given], Coroutine[Any, Any, Result]]: ...

    @overload
    def __get__(self, client: None, owner: type[object]) -> Self: ...

    def __get__(self, client: object, owner: type[object]) -> object:
        return _method(self, self._make, self._make_async, client, owner)


class yields(Generic[Given, Item]):  # noqa: N801 - read as a decorator
    """A method that iterates over items."""

    def __init__(self, describe: Callable[Concatenate[Any, Given], Many[Item]]) -> None:
        self.describe = describe

        def make(client: SyncConnection, *given: Given.args, **named: Given.kwargs) -> Iterator[Item]:
            return describe(client, *given, **named).make(client)

        def make_async(client: AsyncConnection, *given: Given.args, **named: Given.kwargs) -> AsyncIterator[Item]:
            return describe(client, *given, **named).make_async(client)

        self._make = _as_described(make, describe, "Iterator[{}]")
        self._make_async = _as_described(make_async, describe, "AsyncIterator[{}]")

    @overload
    def __get__(self, client: SyncConnection, owner: type[object]) -> Callable[Given, Iterator[Item]]: ...

    @overload
    def __get__(self, client: AsyncConnection, owner: type[object]) -> Callable[Given, AsyncIterator[Item]]: ...

    @overload
    def __get__(self, client: None, owner: type[SyncConnection]) -> Callable[Concatenate[Any, Given], Iterator[Item]]: ...

    @overload
    def __get__(self, client: None, owner: type[AsyncConnection]) -> Callable[Concatenate[Any, Given], AsyncIterator[Item]]: ...

    @overload
    def __get__(self, client: None, owner: type[object]) -> Self: ...

    def __get__(self, client: object, owner: type[object]) -> object:
        return _method(self, self._make, self._make_async, client, owner)


def _method(declared: object, make: Callable[..., Any], make_async: Callable[..., Any], client: object, owner: type[object]) -> object:
    if issubclass(owner, SyncConnection):
        made = make
    elif issubclass(owner, AsyncConnection):
        made = make_async
    else:
        return declared
    return made if client is None else MethodType(made, client)


_Made = TypeVar("_Made", bound=Callable[..., Any])


def _as_described(made: _Made, describe: Callable[..., Any], returns: str) -> _Made:
    """Give a function the name, help and parameters of what describes it, so that `help(Client)` says what a caller gets."""
    update_wrapper(made, describe)
    signature = inspect.signature(describe)
    said = str(signature.return_annotation)
    within = said[said.index("[") + 1 : -1]
    made.__signature__ = signature.replace(return_annotation=returns.format(within))  # type: ignore[attr-defined]
    return made
