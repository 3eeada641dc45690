"""Every RPC with values and bytes that nobody should send: each answer is a refusal in words, nothing is written, nothing breaks.

What there is to call is learned from the running service by reflection, so a new RPC is fuzzed from its first day.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import psycopg
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from protovalidate import Validator
from psycopg import sql

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from tests.faults.rig import Rig

PACKAGE: Final = "crossmargin.api.v1."
_AT_ONCE: Final = 24
_CALL_LIMIT_S: Final = 10.0
_STREAM_LIMIT_S: Final = 120.0
_DEEPEST: Final = 6
_GARBAGE_CONNECTIONS: Final = 200
_TOO_LARGE: Final = (1_100_000, 2_000_000)
_COUNT: Final = sql.SQL("SELECT count(*) FROM {}")

# What a caller may learn: that the request is wrong, that something is not there, or that the state does not allow it.
_PROPER: Final = frozenset(
    {
        grpc.StatusCode.OK,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)

_TEXTS: Final = (
    *("", " ", "NaN", "nan", "Infinity", "-Infinity", "inf", "-0", "+1", "1.", ".5", "01", "1e5", "1e308", "1e1000000", "1_000", "0x10"),
    *("9" * 20, "9" * 21, "9" * 39, "0." + "9" * 19, "0." + "0" * 17 + "1", "-" + "9" * 20, "1" * 5000),
    *("١٢", "１２", "½", "−1", "1\u00a0", "1\n", "\n1", "1\0", "\0", "é", "\u202e", "\U0001f4a3", "a" * 5000),
    *(
        "'; DROP TABLE entry; --",
        "%s%n",
        "../../etc/passwd",
        "${x}",
        "clients//accounts/",
        "clients/c0/accounts/a0/x",
        "CLIENTS/C0/ACCOUNTS/A0",
    ),
    *("unknown", "clients/unknown/accounts/unknown", "spot:", "spot:" + "X" * 70, "zero:USD:0D", "zero:USD:9999Y", "null", "{}", "[]"),
)
_WRITTEN_BY_READS: Final = frozenset({"audit_event"})
"""Who looks at what is not his own is noted, whatever becomes of his request."""
_INTEGERS: Final = (0, -1, 1, 77, 2**31 - 1, -(2**31), 2**63 - 1, -(2**63))
# What a field is given when it is not the one under test: by its name, else the first of these that the API's own rules allow.
_BY_NAME: Final[dict[str, str]] = {
    "account": "clients/c0/accounts/a0",
    "name": "clients/c0/accounts/a0",
    "parent_account": "",
    "client_id": "c0",
    "book_id": "main",
    "settlement": "USD",
    "underlying": "BTC",
    "price": "50000",
    "principal": "somebody",
}
_PLAUSIBLE: Final = ("BTC", "USD", "1", "0.5", "c0", "clients/c0/accounts/a0", "spot:BTC", "zero:USD", "x", "")


@dataclass
class Fuzzer:
    """Calls every method of one replica with what it should refuse."""

    rig: Rig
    channel: grpc.aio.Channel
    chance: random.Random
    codes: Counter[grpc.StatusCode] = dataclasses.field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._validator = Validator()
        self._numbers = itertools.count(1)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._found: dict[str, str] = {}

    async def fuzz(self, method: MethodDescriptor, *, wire_count: int) -> None:
        """Call one method with every nasty value of every field, then with mutilated bytes."""
        before = self._row_counts()
        codes = await asyncio.gather(*(self._call(method, raw) for raw in self._requests(method, wire_count)))
        codes += await asyncio.gather(*(self._oversized(method, size) for size in _TOO_LARGE))
        if answers_each_message(method):
            codes += await self._on_one_stream(method, list(self._requests(method, wire_count)))
        after = self._row_counts()
        # What was decided and refused is bound to its request id: asked again, the answer is the same.
        bound = codes.count(grpc.StatusCode.FAILED_PRECONDITION)
        grown = {table: (before[table], after[table]) for table in after if before[table] != after[table]}
        if "idempotency" in grown and after["idempotency"] - before["idempotency"] <= bound:
            del grown["idempotency"]
        if grpc.StatusCode.OK not in codes and grown:
            self.rig.findings.append(f"{method.full_name} refused everything and wrote rows: {grown}")
        for what, example in self._found.items():
            self.rig.findings.append(f"{method.name} {what}: {example}")
        self._found.clear()

    def _requests(self, method: MethodDescriptor, wire_count: int) -> Iterator[bytes]:
        bases = list(self._bases(method))
        for base in bases:
            for mutated in self._with_nasty_values(base):
                yield mutated.SerializeToString()
        for document in _nasty_documents(self.chance) if method.name == "ProposeRiskParameters" else ():
            yield GetMessageClass(method.input_type)(request_id=self._name(), document=document).SerializeToString()
        for _ in range(wire_count):
            yield _mutilated(self.chance.choice(bases).SerializeToString(), self.chance)

    # One call and what is said of it

    async def _call(self, method: MethodDescriptor, raw: bytes) -> grpc.StatusCode:
        async with self._slots:
            code, details = await self._answer(method, raw)
            while code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                await asyncio.sleep(0.1)
                code, details = await self._answer(method, raw)
        self.codes[code] += 1
        if code not in proper_for(method):
            self._found.setdefault(f"answered {code.name}", f"{details[:200]} to {raw[:300]!r}")
        elif code is grpc.StatusCode.OK and self._is_broken(method, raw):
            self._found.setdefault("accepted what the API forbids", repr(raw[:300]))
        return code

    async def _oversized(self, method: MethodDescriptor, size: int) -> grpc.StatusCode:
        # A field that nobody knows, of so many bytes: well-formed, and too large. Beyond its own limit grpc answers before we can.
        raw = b"\xfa\x3f" + _varint(size) + bytes(size)
        code, _ = await self._answer(method, raw)
        self.codes[code] += 1
        if code not in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}:
            self._found.setdefault("took a request that is too large", f"{size} bytes: {code.name}")
        return code

    async def _on_one_stream(self, method: MethodDescriptor, requests: Sequence[bytes]) -> list[grpc.StatusCode]:
        """Send all of them over one stream, which answers each by itself, in order, and ends when it is told to."""
        codes: list[grpc.StatusCode] = []
        stream = self.channel.stream_stream(_path(method))(iter(requests), timeout=_STREAM_LIMIT_S)
        try:
            async for answer in stream:
                code, details = refusal_of_message(method, answer)
                raw = requests[len(codes)]
                codes.append(code)
                if code not in proper_for(method) | {grpc.StatusCode.RESOURCE_EXHAUSTED}:
                    self._found.setdefault(f"answered {code.name} on a stream", f"{details[:200]} to {raw[:300]!r}")
                elif code is grpc.StatusCode.OK and self._is_broken(method, raw):
                    self._found.setdefault("accepted on a stream what the API forbids", repr(raw[:300]))
        except grpc.aio.AioRpcError as error:
            self._found.setdefault(f"ended a stream with {error.code().name}", f"at {requests[len(codes)][:300]!r}" if requests else "")
        else:
            if len(codes) != len(requests):
                self._found.setdefault("left messages of a stream unanswered", f"{len(requests) - len(codes)} of {len(requests)}")
        self.codes.update(codes)
        return codes

    async def _answer(self, method: MethodDescriptor, raw: bytes) -> tuple[grpc.StatusCode, str]:
        path = _path(method)
        try:
            if method.client_streaming and method.server_streaming:
                async for answer in self.channel.stream_stream(path)(iter([raw]), timeout=_CALL_LIMIT_S):
                    return refusal_of_message(method, answer)
            elif method.client_streaming:
                await self.channel.stream_unary(path)(iter([raw]), timeout=_CALL_LIMIT_S)
            elif method.server_streaming:
                await self._first(self.channel.unary_stream(path)(raw, timeout=_CALL_LIMIT_S), is_watch=method.name.startswith("Watch"))
            else:
                await self.channel.unary_unary(path)(raw, timeout=_CALL_LIMIT_S)
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""
        return grpc.StatusCode.OK, ""

    async def _first(self, stream, *, is_watch: bool) -> None:
        try:
            async for _ in stream:
                return
        except grpc.aio.AioRpcError as error:
            # Whoever watches what does not happen hears nothing until he goes.
            if not is_watch or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise
        finally:
            stream.cancel()

    def _is_broken(self, method: MethodDescriptor, raw: bytes) -> bool:
        """Whether a request breaks the form or the field rules that the API declares."""
        try:
            message = GetMessageClass(method.input_type).FromString(raw)
        except DecodeError:
            return True
        return bool(self._validator.collect_violations(message))

    # What is sent

    def _bases(self, method: MethodDescriptor) -> Iterator[Message]:
        """Yield plausible requests: one, and one for each further choice that the request offers."""
        choices = max(2, _widest_choice(method.input_type, _DEEPEST))
        seen = set()
        for choice in range(choices):
            message = GetMessageClass(method.input_type)()
            self._fill(message, choice, _DEEPEST)
            raw = message.SerializeToString()
            if raw not in seen:
                seen.add(raw)
                yield message

    def _fill(self, message: Message, choice: int, depth: int) -> None:
        descriptor = message.DESCRIPTOR
        arms = {oneof.fields[choice % len(oneof.fields)] for oneof in descriptor.oneofs}
        for field in descriptor.fields:
            if field.containing_oneof is not None and field not in arms:
                continue
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._fill_map(message, field)
            elif field.message_type is not None:
                if depth:
                    child = getattr(message, field.name)
                    self._fill(child.add() if field.is_repeated else child, choice, depth - 1)
                    if not field.is_repeated:
                        child.SetInParent()
            elif field.is_repeated:
                getattr(message, field.name).append(self._plausible(message, field))
            else:
                setattr(message, field.name, self._plausible(message, field))

    def _fill_map(self, message: Message, field: FieldDescriptor) -> None:
        entries = getattr(message, field.name)
        key = "spot:BTC" if field.name == "levels" else "BTC"
        if field.message_type.fields_by_name["value"].cpp_type == FieldDescriptor.CPPTYPE_STRING:
            entries[key] = "50000"

    def _plausible(self, message: Message, field: FieldDescriptor) -> Any:
        if field.enum_type is not None:
            return field.enum_type.values[min(1, len(field.enum_type.values) - 1)].number
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return self._plausible_text(message, field)
        return {FieldDescriptor.CPPTYPE_BOOL: False}.get(field.cpp_type, _DATE.get(field.name, 0))

    def _plausible_text(self, message: Message, field: FieldDescriptor) -> Any:
        if field.type == FieldDescriptor.TYPE_BYTES:
            return b""
        if field.name == "request_id":
            return self._name()
        if field.name in _BY_NAME:
            return _BY_NAME[field.name]
        for text in _PLAUSIBLE:
            probe = type(message)()
            value = [text] if field.is_repeated else text
            probe = type(message)(**{field.name: value})
            if all(_field_of(violation) != field.name for violation in self._validator.collect_violations(probe)):
                return text
        return ""

    def _with_nasty_values(self, base: Message) -> Iterator[Message]:
        for path in _leaves(base):
            for value in _nasty(path[-1][0]):
                mutated = type(base)()
                mutated.CopyFrom(base)
                for named in [path for path in _leaves(mutated) if path[-1][0].name == "request_id"]:
                    _set(mutated, named, self._name())
                if _set(mutated, path, value):
                    yield mutated
        for path in _messages(base):
            mutated = type(base)()
            mutated.CopyFrom(base)
            _clear(mutated, path)
            yield mutated

    def _name(self) -> str:
        return f"fuzz-{next(self._numbers)}"

    def _row_counts(self) -> dict[str, int]:
        with psycopg.connect(self.rig.url) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ).fetchall()
            return {
                table: connection.execute(_COUNT.format(sql.Identifier(table))).fetchone()[0]
                for (table,) in tables
                if table not in _WRITTEN_BY_READS
            }


_DATE: Final = {
    "seconds": 1_780_000_000,
    "year": 2026,
    "month": 6,
    "day": 15,
    "coupons_per_year": 2,
    "payments_per_year": 2,
    "quantity_places": 8,
}
Step = tuple[FieldDescriptor, int | None]


def _field_of(violation) -> str:
    return violation.proto.field.elements[0].field_name if violation.proto.field and violation.proto.field.elements else ""


def _widest_choice(descriptor, depth: int) -> int:
    widths = [len(oneof.fields) for oneof in descriptor.oneofs]
    if depth:
        widths += [_widest_choice(field.message_type, depth - 1) for field in descriptor.fields if field.message_type is not None]
    return max(widths, default=1)


def _leaves(message: Message, prefix: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    for path in _paths(message, prefix):
        if path[-1][0].message_type is None:
            yield path


def _messages(message: Message) -> Iterator[tuple[Step, ...]]:
    for path in _paths(message, ()):
        if path[-1][0].message_type is not None:
            yield path


def _paths(message: Message, prefix: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    """Yield the path of every field, absent scalars included; a path is fields with the index of repeated ones."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            yield (*prefix, (field, 0 if field.is_repeated else None))
            continue
        if field.message_type.GetOptions().map_entry:
            yield (*prefix, (field, None))
            continue
        if field.is_repeated:
            for index, child in enumerate(getattr(message, field.name)):
                yield from _paths(child, (*prefix, (field, index)))
        elif message.HasField(field.name):
            yield (*prefix, (field, None))
            yield from _paths(getattr(message, field.name), (*prefix, (field, None)))


def _nasty(field: FieldDescriptor) -> Sequence[Any]:
    if field.enum_type is not None:
        return (0, 77, -1, 2**31 - 1)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return (b"\0", b"x" * 5000)
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _TEXTS
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return (True,)
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return (float("nan"), float("inf"), float("-inf"), -0.0, 1e308)
    return _INTEGERS


def _set(message: Message, path: tuple[Step, ...], value: Any) -> bool:
    """Set the field at a path; False for a value that the field's own type cannot carry."""
    owner = _owner(message, path)
    field, _ = path[-1]
    try:
        if field.is_repeated:
            del getattr(owner, field.name)[:]
            getattr(owner, field.name).append(value)
        else:
            setattr(owner, field.name, value)
    except (ValueError, TypeError):
        return False
    return True


def _clear(message: Message, path: tuple[Step, ...]) -> None:
    _owner(message, path).ClearField(path[-1][0].name)


def _owner(message: Message, path: tuple[Step, ...]) -> Message:
    owner = message
    for field, index in path[:-1]:
        owner = getattr(owner, field.name) if index is None else getattr(owner, field.name)[index]
    return owner


def _mutilated(raw: bytes, chance: random.Random) -> bytes:
    """Return bytes with something flipped, missing, doubled or in between."""
    data = bytearray(raw or b"\x0a\x01x")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(5):
            case 0 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 1 if data:
                del data[at : at + chance.randint(1, 8)]
            case 2:
                data[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3 if data:
                data += data[at:]
            case 4:
                data[at:at] = b"\x0a" * 120  # messages within messages, deeper than any parser goes
    return bytes(data)


def _nasty_documents(chance: random.Random, count: int = 150) -> Iterator[str]:
    """Yield sets of risk parameters in which one value is not what it should be."""
    yield from ("", "{", "null", "[]", '"x"', "NaN", "[" * 2000, '{"a":' * 500, "{}")
    original = standard_parameters().document
    values: tuple[Any, ...] = (None, "", "NaN", -1, 0, 1e308, float("nan"), float("inf"), "1e1000000", [], {}, "x" * 5000, True, 10**400)
    for _ in range(count):
        document = json.loads(original)
        holder, key = chance.choice(list(_slots(document)))
        holder[key] = chance.choice(values)
        yield json.dumps(document)


def _slots(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield value, key
        yield from _slots(child)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


async def _garbage(address: str, chance: random.Random) -> None:
    """Open connections and send what is no gRPC at all."""
    host, port = address.split(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for _ in range(_GARBAGE_CONNECTIONS):
        try:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(chance.choice([b"", preface, b"GET / HTTP/1.1\r\n\r\n"]) + chance.randbytes(chance.randint(0, 400)))
            await writer.drain()
            writer.close()
        except ConnectionError:
            continue


def fuzzing(*, wire_count: int = 150, only: Callable[[str], bool] = lambda name: True) -> Callable[[Rig], Any]:
    """Return a body that fuzzes every RPC of the first replica, and its port."""

    async def body(rig: Rig) -> None:
        replica = rig.replicas[0]
        methods = [method for method in methods_of(replica.address) if only(method.name)]
        options = [("grpc.max_send_message_length", 8 * 1024 * 1024)]
        async with grpc.aio.insecure_channel(replica.address, options=options) as channel:
            fuzzer = Fuzzer(rig, channel, rig.chance)
            for number, method in enumerate(methods, start=1):
                rig.stage = f"{number}/{len(methods)} RPCs, {fuzzer.codes.total():,} requests, now {method.name}"
                await fuzzer.fuzz(method, wire_count=wire_count)
        await _garbage(replica.address, rig.chance)
        if not await rig.clients[replica.name].is_serving():
            rig.findings.append("the service does not serve any more")
        answers = ", ".join(f"{count} {code.name}" for code, count in fuzzer.codes.most_common())
        rig.remarks.append(f"{len(methods)} RPCs answered {answers}; {_GARBAGE_CONNECTIONS} connections of garbage")

    return body


def answers_each_message(method: MethodDescriptor) -> bool:
    """Return whether every message of a stream is answered by itself, and none of them ends it."""
    return method.client_streaming and method.server_streaming and "refusal" in method.output_type.fields_by_name


def proper_for(method: MethodDescriptor) -> frozenset[grpc.StatusCode]:
    """Return what a method may answer; a message that is answered by itself may say how long that may take, however little that is."""
    return _PROPER | {grpc.StatusCode.DEADLINE_EXCEEDED} if answers_each_message(method) else _PROPER


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def refusal_of_message(method: MethodDescriptor, answer: bytes) -> tuple[grpc.StatusCode, str]:
    """Return how one message was refused on a stream that answers each by itself; OK when it was not."""
    message = GetMessageClass(method.output_type).FromString(answer)
    if "refusal" not in message.DESCRIPTOR.fields_by_name or not message.HasField("refusal"):
        return grpc.StatusCode.OK, ""
    return next(code for code in grpc.StatusCode if code.value[0] == message.refusal.code), message.refusal.message


def methods_of(address: str) -> list[MethodDescriptor]:
    """Return every method of the API that the service at an address says it has."""
    with grpc.insecure_channel(address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = [pool.FindServiceByName(name) for name in database.get_services() if name.startswith(PACKAGE)]
        return [method for service in services for method in service.methods]
