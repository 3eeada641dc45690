"""A real secure server over the use cases on memory, on files of a test's own authority."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import grpc

from crossmargin.adapters.grpc_server.call_limits import CallBudget
from crossmargin.adapters.grpc_server.secure_access import SecureFiles, secure_access
from crossmargin.adapters.grpc_server.server import build_server
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.usecases.use_cases import UseCases
from tests.access.authority import AUDIENCE, ISSUER, Files
from tests.integration.grpc_rig import RecordedRpcs


def access_of(files: Files, audit: list[AuditEvent], **changes: Any):
    folder = files.folder
    names = ("server.pem", "server-key.pem", "ca.pem", "allow-list.toml", "token-keys.json")
    access, _ = secure_access(
        SecureFiles(*(folder / name for name in names)),
        issuer=ISSUER,
        audience=AUDIENCE,
        longest_token_s=900,
        longest_connection_s=600,
        budget=CallBudget(),
        record=audit.append,
        clock=SystemClock(),
    )
    return replace(access, **changes)


@asynccontextmanager
async def secure_server(use_cases: UseCases, files: Files, audit: list[AuditEvent], **changes: Any) -> AsyncIterator[str]:
    """Yield the address of a server; `changes` are of its access."""
    access = access_of(files, audit, **changes)
    server = build_server(use_cases, address="127.0.0.1:0", access=access, metrics=RecordedRpcs())
    address = f"127.0.0.1:{await server.start()}"
    try:
        yield address
    finally:
        await server.stop(0)


def channel_of(address: str, files: Files, identity) -> grpc.aio.Channel:
    return grpc.aio.secure_channel(address, identity.channel_credentials(files.authority.pem))


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)
