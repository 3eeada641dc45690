"""Halts on the wire."""

from __future__ import annotations

from crossmargin.adapters.grpc_server.wire.values import moment_to_message
from crossmargin.api.v1 import account_service_pb2 as pb
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import ClientId


def client_or_house(client_id: str) -> ClientId | None:
    """Return the client of that id; None, which is the house, when none is named."""
    return ClientId(client_id) if client_id else None


def halt_to_message(halt: Halt) -> pb.HaltState:
    """Return the message of a halt."""
    return pb.HaltState(
        client_id=halt.client_id or "",
        halted=halt.is_halted,
        reason=halt.reason,
        changed_by=halt.changed_by,
        change_time=None if halt.changed_at is None else moment_to_message(halt.changed_at),
    )
