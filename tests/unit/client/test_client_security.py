"""Clients show a token with every call and take up new files by themselves."""

from __future__ import annotations

import asyncio
import os

import grpc
import pytest

from crossmargin.api.v1 import account_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, PermissionDenied, TlsFiles, TokenFile, Unauthenticated
from crossmargin_client.retries import Reconnections
from crossmargin_client.security import authorization
from tests.access.authority import OMS, Authority, private_pem
from tests.unit.client.scripted_service import Failure, ScriptedService, scripted_service


@pytest.fixture
def shown(monkeypatch):
    """The tokens that calls arrived with."""
    seen = []
    look_up = ScriptedService.service

    def service(self, details):
        seen.append(dict(details.invocation_metadata).get("authorization"))
        return look_up(self, details)

    monkeypatch.setattr(ScriptedService, "service", service)
    return seen


def write(path, text: str, *, at: int) -> None:
    path.write_text(text)
    os.utime(path, ns=(at, at))


def test_a_token_travels_with_every_call_from_wherever_it_comes(shown, tmp_path):
    path, answers = tmp_path / "token", [pb.GetClientResponse(client=pb.Client(client_id="alpha"))] * 5
    write(path, "one\n", at=1)
    with scripted_service() as (service, target):
        service.script(*answers)
        with Client(target, token="text") as client:  # noqa: S106 - of the test
            client.get_client("alpha")
        with Client(target, token=TokenFile(path)) as client:
            client.get_client("alpha")
            write(path, "two\n", at=2)
            client.get_client("alpha")

        async def call() -> None:
            async with AsyncClient(target, token=lambda: "made") as client:
                await client.get_client("alpha")

        asyncio.run(call())
        with Client(target) as client:
            client.get_client("alpha")
    assert shown == ["Bearer text", "Bearer one", "Bearer two", "Bearer made", None]


@pytest.mark.parametrize(
    ("code", "kind"), [(grpc.StatusCode.UNAUTHENTICATED, Unauthenticated), (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied)]
)
def test_a_denial_is_an_exception_of_its_own_and_is_not_tried_again(code, kind):
    with scripted_service() as (service, target):
        service.script(Failure(code, reason=code.name))
        with Client(target) as client, pytest.raises(kind) as denied:
            client.get_client("alpha")
    assert denied.value.reason == code.name
    assert len(service.seen) == 1


class Broken(grpc.RpcError):
    """A stream that ended for who read it."""

    def code(self):
        return grpc.StatusCode.UNAUTHENTICATED

    def details(self):
        return "expected a token"

    def trailing_metadata(self):
        return ()


def test_a_stream_whose_token_is_over_is_opened_once_more():
    connections = Reconnections(60.0)
    connections.heard()
    assert connections.delay_after(Broken()) > 0
    with pytest.raises(Unauthenticated):
        connections.delay_after(Broken())
    connections.heard()
    assert connections.delay_after(Broken()) > 0


def test_when_certificates_are_replaced_the_next_call_goes_over_a_new_connection(tmp_path):
    authority, token = Authority(), ["first"]
    files = TlsFiles(tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "key.pem")

    def renew(at: int) -> None:
        identity = authority.client(OMS)
        for path, content in ((files.ca, authority.pem), (files.certificate, identity.pem), (files.key, private_pem(identity.key))):
            write(path, content.decode(), at=at)

    renew(at=1)
    with Client("127.0.0.1:1", tls=files, token=lambda: token[0]) as client:
        before = client._channel
        assert client._metadata == authorization("first")
        token[0] = "second"
        renew(at=2)
        # The call under way is on the old connection, whose certificate the new token was not made for.
        assert client._metadata == authorization("first")
        assert client._channel is not before
        assert client._metadata == authorization("second")
        files.key.unlink()
        assert client._metadata == authorization("second")
