"""Malformed and hostile requests, thousands to each RPC of a real secure service: each is refused, and nothing of it stays behind."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import grpc
from google.protobuf.descriptor import MethodDescriptor

from crossmargin.adapters.grpc_server.server import SERVICES
from tests.access.calls import AGED, HUNG_UP
from tests.access.plausible import request_of
from tests.access.secure_process import Service, secure_service
from tests.faults.fuzz import Fuzzer, _mutilated, answers_each_message, refusal_of_message

PROPER = {"INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
AT_ONCE = 32
MOST_GROWTH = 0.10
"""Of resident memory between the first tenth of the calls, when everything has been used once, and the last."""
_WARM = 0.1
TELL_EVERY_S = 10.0


@dataclass
class Hostility:
    """What was sent, and what came of it."""

    service: Service
    channel: grpc.aio.Channel
    chance: random.Random
    codes: dict[str, Counter[str]] = field(default_factory=dict)
    resident_bytes: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fuzzer = Fuzzer(None, None, self.chance)
        self._token = self.service.token()

    async def call(self, method: MethodDescriptor, count: int) -> None:
        """Make so many calls of a method that must all be refused."""
        requests, codes = itertools.islice(self._requests(method), count), self.codes.setdefault(method.full_name, Counter())

        async def one_after_another() -> None:
            for raw, metadata in requests:
                code, details = await self._answer(method, raw, metadata)
                while details == HUNG_UP or (code == "UNAVAILABLE" and AGED in details):
                    code, details = await self._answer(method, raw, metadata)
                codes[code] += 1
                if code not in PROPER:
                    self.findings.append(f"{method.name} answered {code} ({details[:120]}) to {raw[:120]!r}")

        await asyncio.gather(*(one_after_another() for _ in range(AT_ONCE)))
        if answers_each_message(method):
            await self._talk(method, count)
        self.resident_bytes[method.full_name] = self.service.resident_bytes()

    async def _talk(self, method: MethodDescriptor, count: int) -> None:
        """Send as many broken messages from somebody known over one stream, which answers each and is ended by none."""
        right = (("authorization", f"Bearer {self._token}"),)
        # The first is larger than any message may be, which no stream survives.
        broken = (raw for raw, metadata in itertools.islice(self._requests(method), 1, None) if metadata == right)
        waiting = deque(itertools.islice(broken, count))
        while waiting:
            stream = self.channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}")(
                iter(list(waiting)), metadata=right
            )
            try:
                async for answer in stream:
                    code, details = refusal_of_message(method, answer)
                    raw = waiting.popleft()
                    self.codes[method.full_name][code.name] += 1
                    if code.name not in PROPER:
                        self.findings.append(f"{method.name} answered {code.name} ({details[:120]}) to {raw[:120]!r} on a stream")
                break
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or AGED not in (error.details() or ""):
                    self.findings.append(f"{method.name} ended its stream with {error.code().name} at {waiting[0][:120]!r}")
                    break
        if waiting:
            self.findings.append(f"{method.name} left {len(waiting)} messages of a stream unanswered")

    def _requests(self, method: MethodDescriptor) -> Iterator[tuple[bytes, tuple[tuple[str, str], ...]]]:
        """Yield requests that break the form or the rules, from somebody known, and any at all from nobody."""
        right = (("authorization", f"Bearer {self._token}"),)
        fields = [request.SerializeToString() for base in self._fuzzer._bases(method) for request in self._fuzzer._with_nasty_values(base)]
        good = request_of(method, (), "").SerializeToString()
        yield b"\xfa\x3f\x80\x80\x50" + bytes(1_310_720), right
        broken = iter([raw for raw in fields if self._fuzzer._is_broken(method, raw)])
        while True:
            raw = next(broken, None)
            if raw is None:
                raw = _mutilated(self.chance.choice(fields or [good]), self.chance)
                if not self._fuzzer._is_broken(method, raw):
                    continue
            yield raw, right
            if self.chance.random() < 0.2:
                yield good, self._wrong_metadata()

    def _wrong_metadata(self) -> tuple[tuple[str, str], ...]:
        token = self._token
        at = self.chance.randrange(len(token))
        forged = token[:at] + self.chance.choice("AZaz09-_.") + token[at + 1 :]
        wrong = (
            (),
            (("authorization", "Bearer "),),
            (("authorization", token),),
            (("authorization", f"Bearer {forged if forged != token else token[:-2]}x"),),
            (("authorization", f"Bearer {self.service.token('trader')}"),),
            (("authorization", f"Bearer {token}"), ("authorization", f"Bearer {token}")),
            (("authorization", f"Bearer {token}"), ("x-large", "x" * 9_000)),
            (("x-crossmargin-principal", "root"), ("x-crossmargin-roles", "risk")),
        )
        return self.chance.choice(wrong)

    async def _answer(self, method: MethodDescriptor, raw: bytes, metadata) -> tuple[str, str]:
        path = f"/{method.containing_service.full_name}/{method.name}"
        options = {"metadata": metadata, "timeout": 30.0}
        try:
            if method.client_streaming and method.server_streaming:
                return await self._conversation(method, self.channel.stream_stream(path)(**options), raw)
            if method.client_streaming:
                call = self.channel.stream_unary(path)(**options)
                await self._say(call, raw)
                await call
            elif method.server_streaming:
                async for _ in self.channel.unary_stream(path)(raw, **options):
                    break
            else:
                await self.channel.unary_unary(path)(raw, **options)
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or ""
        return "OK", ""

    async def _say(self, call, raw: bytes) -> None:
        with suppress(grpc.aio.AioRpcError, grpc.aio.InternalError, asyncio.InvalidStateError):
            await call.write(raw)
            await call.done_writing()

    async def _conversation(self, method: MethodDescriptor, call, raw: bytes) -> tuple[str, str]:
        await self._say(call, raw)
        answer = await call.read()
        if answer is not grpc.aio.EOF:
            call.cancel()
            code, details = refusal_of_message(method, answer)
            return code.name, details
        return (await call.code()).name, await call.details() or ""


async def be_hostile(count: int, seed: int, only: str = "") -> int:
    """Call every RPC `count` times, print what came of it, and return the number of findings."""
    methods = [method for service in SERVICES for method in service.methods if only in method.name]
    with secure_service(options=["--no-monitor"]) as service:
        return await _be_hostile(service, methods, count, seed)


async def _be_hostile(service: Service, methods: list[MethodDescriptor], count: int, seed: int) -> int:
    first = max(1, int(count * _WARM))
    async with service.channel() as channel:
        hostility = Hostility(service, channel, random.Random(seed))  # noqa: S311 - reproducible, not secret
        before, progress = service.contents(), Progress(count * len(methods))
        for method in methods:
            await hostility.call(method, first)
            progress.tell(first, f"{method.name}, first round")
        warm = service.resident_bytes()
        for method in methods:
            await hostility.call(method, count - first)
            progress.tell(count - first, method.name)
        grown = service.resident_bytes() / warm - 1.0
        after = service.contents()
    changed = {table: (before.get(table), found) for table, found in after.items() if before.get(table) != found}
    if changed:
        hostility.findings.append(f"tables changed: {changed}")
    if grown > MOST_GROWTH:
        hostility.findings.append(f"memory grew by {grown:.1%}")
    for name, codes in hostility.codes.items():
        print(f"{name.rpartition('.')[2]:<24} {hostility.resident_bytes[name] / 2**20:6.0f} MB  {_listed(codes)}")
    total = sum(hostility.codes.values(), Counter())
    print(f"seed {seed}: {len(methods)} RPCs, {count:,} requests each in {progress.seconds:.0f} s: {_listed(total)}")
    print(f"resident memory {warm / 2**20:.0f} MB after a tenth, {grown:+.1%} at the end; {len(before)} tables, unchanged: {not changed}")
    for finding in hostility.findings[:20]:
        print(f"FOUND {finding}")
    return len(hostility.findings)


def _listed(codes: Counter[str]) -> str:
    return ", ".join(f"{number:,} {code}" for code, number in codes.most_common())


class Progress:
    """Says on standard error, every ten seconds, how far it is and how long it will take."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._began = self._told_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    def tell(self, count: int, what: str) -> None:
        """Add what was done."""
        self._done += count
        if time.perf_counter() - self._told_at < TELL_EVERY_S and self._done < self._total:
            return
        self._told_at = time.perf_counter()
        rate = self._done / self.seconds
        left_s = (self._total - self._done) / rate
        print(f"{self._done:,} of {self._total:,}, {rate:,.0f}/s, {left_s:,.0f} s to go: {what}", file=sys.stderr, flush=True)
