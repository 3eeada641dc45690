"""A request of any RPC that passes the field rules and names the clients that a test wants named."""

from __future__ import annotations

import itertools
import random

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from protovalidate import Validator

from tests.faults.fuzz import Fuzzer

_VALIDATOR = Validator()
_NUMBERS = itertools.count(1)


def request_of(method: MethodDescriptor, fields: tuple[str, ...], client: str) -> Message:
    """Return a request that names `client`, or its account core, in each of the fields; with no client they are left empty."""
    message = next(iter(Fuzzer(None, None, random.Random(1))._bases(method)))  # noqa: S311 - only for what it mutilates
    _complete(message)
    for path in fields:
        _set(message, path.split("."), client)
    return message


def is_well_formed(message: Message) -> bool:
    """Whether a request passes the field rules, so that what refuses it is something else."""
    return not _VALIDATOR.collect_violations(message)


def _set(message: Message, steps: list[str], client: str) -> None:
    field = message.DESCRIPTOR.fields_by_name[steps[0]]
    if len(steps) > 1:
        inner = getattr(message, field.name)
        if not field.is_repeated:
            _set(inner, steps[1:], client)
        elif client:
            _set(inner[0], steps[1:], client)
        else:
            del inner[:]
        return
    name = "" if not client else client if field.name == "client_id" else f"clients/{client}/accounts/core"
    if field.is_repeated:
        getattr(message, field.name)[:] = [name] if name else []
    else:
        setattr(message, field.name, name)


def _complete(message: Message) -> None:
    """Fill by hand what a filler of fields cannot know."""
    if message.DESCRIPTOR.name in {"ExplainBreakRequest", "CloseBreakRequest"}:
        message.statement_id = "0" * 32
    if message.DESCRIPTOR.name == "ApproveLiquidationRequest":
        message.snapshot_id = "0" * 32
    if message.DESCRIPTOR.name == "SetCallTermsRequest":
        message.terms.cut_off = message.terms.due_time = "16:00"
    if message.DESCRIPTOR.name == "HealthCheckRequest":
        message.service = ""  # the whole server
    if message.DESCRIPTOR.name == "RunBacktestRequest":
        del message.books[:]
    if message.DESCRIPTOR.name == "PublishQuotesRequest":
        del message.quotes[:]
    if message.DESCRIPTOR.name == "WatchPositionsRequest":
        message.ClearField("after_seq")  # from a sequence on it tells only what comes after it
    if "pending_id" in message.DESCRIPTOR.fields_by_name:
        message.pending_id = "0" * 16
    for number in {"sequence", "reservation", "number"} & set(message.DESCRIPTOR.fields_by_name.keys()):
        setattr(message, number, 1)
    if "request_id" in message.DESCRIPTOR.fields_by_name:
        message.request_id = f"access-{next(_NUMBERS)}"
