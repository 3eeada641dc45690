"""Exposure limits on the wire."""

from __future__ import annotations

from decimal import Decimal

from crossmargin.adapters.grpc_server.wire.values import account_ref_from_name, moment_to_message
from crossmargin.api.v1 import account_service_pb2 as pb
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.identifiers import AccountId, ClientId, OffsetGroupId
from crossmargin.domain.money import format_decimal, parse_decimal


def scope_from_name(name: str, *, what: str) -> tuple[ClientId, AccountId | None]:
    """Return the client, and the account if one is named, of a resource name; INVALID_IDENTIFIER for any other form."""
    if name.startswith("clients/") and name.count("/") == 1:
        return ClientId(name.removeprefix("clients/")), None
    account = account_ref_from_name(name, what=what)
    return account.client_id, account.account_id


def limits_from_message(message: pb.ExposureLimits) -> ExposureLimits:
    """Return the limits that a message asks for."""
    client_id, account_id = scope_from_name(message.scope, what="limits.scope")
    return ExposureLimits(
        client_id=client_id,
        account_id=account_id,
        gross=_limit(message.gross, "gross"),
        net=_limit(message.net, "net"),
        order_notional=_limit(message.order_notional, "order_notional"),
        groups={OffsetGroupId(name): parse_decimal(message.groups[name], what=f"limits.groups[{name}]") for name in sorted(message.groups)},
    )


def limits_to_message(limits: ExposureLimits) -> pb.ExposureLimits:
    """Return the message of limits."""
    return pb.ExposureLimits(
        scope=limits.scope,
        gross=_text(limits.gross),
        net=_text(limits.net),
        order_notional=_text(limits.order_notional),
        groups={str(name): format_decimal(limit) for name, limit in limits.groups.items()},
        set_by=limits.set_by,
        set_time=None if limits.set_at is None else moment_to_message(limits.set_at),
    )


def _limit(text: str, name: str) -> Decimal | None:
    return parse_decimal(text, what=f"limits.{name}") if text else None


def _text(limit: Decimal | None) -> str:
    return "" if limit is None else format_decimal(limit)
