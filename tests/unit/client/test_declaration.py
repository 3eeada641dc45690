"""A method that is said once is one of both clients: for whoever calls it, and for whoever asks for help."""

from __future__ import annotations

import inspect

from crossmargin_client import AsyncClient, Client
from crossmargin_client.methods import Methods


def returned(method):
    return inspect.signature(method).return_annotation


def test_help_says_what_a_caller_of_either_client_gets():
    assert returned(Client.get_margin) == "margin_service_pb2.Margin"
    assert returned(AsyncClient.get_margin) == "margin_service_pb2.Margin"
    assert returned(Client.list_trades) == "Iterator[book_service_pb2.BookedTrade]"
    assert returned(AsyncClient.list_trades) == "AsyncIterator[book_service_pb2.BookedTrade]"


def test_what_has_one_result_is_awaited_in_the_asyncio_client_alone():
    assert inspect.iscoroutinefunction(AsyncClient.get_margin)
    assert not inspect.iscoroutinefunction(Client.get_margin)


def test_every_method_keeps_its_name_and_its_help():
    declared = [name for name in dir(Methods) if not name.startswith("_")]
    assert len(declared) >= 86
    for kind in (Client, AsyncClient):
        assert {name for name in declared if getattr(kind, name).__name__ != name or not getattr(kind, name).__doc__} == set()


def test_a_method_of_an_instance_makes_its_call_through_that_instance():
    with Client("127.0.0.1:1") as one, Client("127.0.0.1:1") as other:
        assert one.get_margin.__self__ is one
        assert other.get_margin.__self__ is other
