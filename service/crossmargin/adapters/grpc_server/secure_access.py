"""Everything that stands in front of calls outside insecure mode, made from files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from crossmargin.adapters.grpc_server.allow_list import parse_allow_list
from crossmargin.adapters.grpc_server.call_limits import CallBudget, CallLimits
from crossmargin.adapters.grpc_server.secure_caller import SecureCaller
from crossmargin.adapters.grpc_server.server import Access
from crossmargin.adapters.grpc_server.server_credentials import ServerTls
from crossmargin.adapters.grpc_server.tokens import TokenVerifier, parse_token_keys
from crossmargin.adapters.grpc_server.watched_file import WatchedFile
from crossmargin.domain.audit_event import AuditEvent
from crossmargin.usecases.ports.runtime import Clock


@dataclass(frozen=True, slots=True)
class SecureFiles:
    """Where it is; each file is read again when it has changed."""

    certificate: Path
    key: Path
    client_ca: Path
    allow_list: Path
    token_keys: Path


def secure_access(
    files: SecureFiles,
    *,
    issuer: str,
    audience: str,
    longest_token_s: float,
    longest_connection_s: float,
    budget: CallBudget,
    record: Callable[[AuditEvent], None],
    clock: Clock,
) -> tuple[Access, Callable[[], datetime]]:
    """Return mutual TLS with tokens, and what tells when the server's own certificate ends.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file does not say what it should; the message says which.
    """
    tls = ServerTls(files.certificate, files.key, files.client_ca)
    allow_list = WatchedFile(files.allow_list, parse_allow_list)
    keys = WatchedFile(files.token_keys, parse_token_keys)
    tokens = TokenVerifier(lambda: keys.value, issuer=issuer, audience=audience, longest_s=longest_token_s, now=clock.now)
    identify = SecureCaller(lambda: allow_list.value, tokens, clock.now)
    access = Access(
        identify,
        record,
        clock,
        credentials=tls.credentials(),
        longest_connection_s=longest_connection_s,
        limits=CallLimits(budget, time.monotonic),
    )
    return access, lambda: tls.not_after
