"""A request of any RPC that passes the field rules and names the clients that a test wants named."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from functools import cache

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from protovalidate import Validator, Violation

from tests.faults.fuzz import Fuzzer

_VALIDATOR = Validator()
_NUMBERS = itertools.count(1)


def request_of(method: MethodDescriptor, fields: tuple[str, ...], client: str) -> Message:
    """Return a request that names `client`, or its account core, in each of the fields; with no client they are left empty."""
    made = _made(method, fields, client)
    message = type(made)()
    message.CopyFrom(made)
    _name(message)
    return message


@cache
def _made(method: MethodDescriptor, fields: tuple[str, ...], client: str) -> Message:
    # Looking for what each field takes is most of the work, and always finds the same.
    message = next(requests_of(method, fields, client))
    _leave_out(message)
    return message


def requests_of(method: MethodDescriptor, fields: tuple[str, ...], client: str) -> Iterator[Message]:
    """Yield such requests with everything filled in that can be: one, and one for each further choice that the request offers."""
    for message in Fuzzer(None, None, random.Random(1))._bases(method):  # noqa: S311 - only for what it mutilates
        _complete(message)
        for path in fields:
            _set(message, path.split("."), client)
        yield message


def violations(message: Message) -> list[Violation]:
    """Return the field rules that a request breaks."""
    return _VALIDATOR.collect_violations(message)


def is_well_formed(message: Message) -> bool:
    """Whether a request passes the field rules, so that what refuses it is something else."""
    return not violations(message)


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
    if "liquidation_id" in message.DESCRIPTOR.fields_by_name:
        message.liquidation_id = "0" * 16
    if message.DESCRIPTOR.name == "SetCallTermsRequest":
        message.terms.cut_off = message.terms.due_time = "16:00"
    if message.DESCRIPTOR.name == "HealthCheckRequest":
        message.service = ""  # the whole server
    if message.DESCRIPTOR.name == "PublishQuotesRequest":
        message.quotes[0].sequence = 1
    if "pending_id" in message.DESCRIPTOR.fields_by_name:
        message.pending_id = "0" * 16
    for number in {"sequence", "reservation", "number"} & set(message.DESCRIPTOR.fields_by_name.keys()):
        setattr(message, number, 1)
    _name(message)


def _name(message: Message) -> None:
    """Give a write a name of its own, so that it is not taken for the one before."""
    if message.DESCRIPTOR.name == "StreamTradesRequest":
        _name(message.record)
    if "request_id" in message.DESCRIPTOR.fields_by_name:
        message.request_id = f"access-{next(_NUMBERS)}"


def _leave_out(message: Message) -> None:
    """Take out by hand what a call waits for, or refuses."""
    if message.DESCRIPTOR.name == "RunBacktestRequest":
        del message.books[:]
    if message.DESCRIPTOR.name == "PublishQuotesRequest":
        del message.quotes[:]
    if message.DESCRIPTOR.name == "WatchPositionsRequest":
        message.ClearField("after_seq")  # from a sequence on it tells only what comes after it
