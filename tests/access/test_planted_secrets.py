"""Secrets in every text of every request and in every header come back to whoever sent them, if at all, and to nobody else.

A real service takes them, over TLS, with its monitor, with what libraries say at debug, and with traces sent to a collector. What there is
to plant is read from the descriptors, so a new RPC or field is covered from its first day.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from grpc_status import rpc_status

from crossmargin.adapters.grpc_server.access_policy import read_policy, shipped_policy
from crossmargin.adapters.grpc_server.server import PROTECTED_SERVICES
from tests.access.authority import ALL
from tests.access.calls import HUNG_UP, methods
from tests.access.expectations import EXPECTED
from tests.access.plants import Gardener, Plant, fields_with_text, found_in
from tests.access.plausible import requests_of
from tests.access.secure_process import Service, secure_service
from tests.access.secure_rig import bearer
from tests.integration.grpc_rig import RecordedRpcs, Rig, create_books, publish_market

pytest.importorskip("opentelemetry.sdk")

METHODS = dict(sorted(((name, method) for name, method in methods().items() if name in EXPECTED), key=lambda named: "/Halt" in named[0]))
"""A halt comes last: while it lasts nothing is decided."""
POLICY = read_policy(shipped_policy(), PROTECTED_SERVICES)
HIDDEN = "hidden0secret"
"""In headers, and in what a token says. It has no business anywhere, not even in an answer."""
AT_ONCE, PATIENCE_S = 16, 10.0
STREAMS_S = 1.0
"""Of a stream that has nothing to tell."""
NO_ROOM = {
    "MarginCallService/SetCallTerms:terms.cut_off",
    "MarginCallService/SetCallTerms:terms.due_time",
    "ReferenceService/CreateInstrument:instrument.cash.currency",
    "ReferenceService/CreateInstrument:instrument.stablecoin.pegged_to",
    "RiskService/RunStress:ad_hoc.shocks.factor_kind",
    "RiskService/SimulateCascade:ad_hoc.shocks.factor_kind",
}
"""Times of day, currencies and kinds: what their rules allow says nothing that anybody could hide."""

SERIES = {"AccountService/CreateClient:client.client_id", "AccountService/CreateAccount:account.name", "MarketService/PublishQuotes:source"}
"""Clients, accounts and sources of quotes: what series are of."""
TOLD_TO_OTHERS = {"AccountService/Halt:reason"}
"""Written for whoever is refused while the halt lasts."""


@dataclass
class Garden:
    """What was planted, and everything that anybody but its sender can read afterwards."""

    plants: dict[int, tuple[str, Plant]] = field(default_factory=dict)
    answers: list[tuple[str, set[int], str, str]] = field(default_factory=list)
    """The method, what was planted in the request, the code, and all that the answer says when it is a refusal."""
    log: list[dict[str, object]] = field(default_factory=list)
    other_output: str = ""
    database_log: str = ""
    metrics: str = ""
    spans: bytes = b""
    audit: list[dict[str, object]] = field(default_factory=list)

    def named(self, number: int) -> str:
        """The field of a secret."""
        method, plant = self.plants[number]
        return f"{method}:{plant.field}"

    def where(self, text: str) -> set[str]:
        """The fields whose secrets a text holds. Digits of a figure may look like the number of a secret that nobody planted."""
        return {self.named(number) for number in found_in(text) if number in self.plants}


@contextmanager
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """Somebody who takes spans, as they come on the wire."""
    taken: list[bytes] = []

    def export(raw: bytes, _) -> bytes:
        taken.append(raw)
        return b""

    server = grpc.server(ThreadPoolExecutor(2))
    handler = grpc.method_handlers_generic_handler(
        "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": grpc.unary_unary_rpc_method_handler(export)}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}", taken
    finally:
        server.stop(0)


def showing(token: str) -> list[grpc.aio.ClientInterceptor]:
    """What shows a token with calls that show none, and says how long they wait."""

    async def shown(continuation, details, sent):
        return await continuation(details._replace(metadata=grpc.aio.Metadata(*bearer(token)), timeout=PATIENCE_S), sent)

    class Unary(grpc.aio.UnaryUnaryClientInterceptor):
        async def intercept_unary_unary(self, continuation, details, request):
            return await shown(continuation, details, request)

    class ClientStream(grpc.aio.StreamUnaryClientInterceptor):
        async def intercept_stream_unary(self, continuation, details, requests):
            return await shown(continuation, details, requests)

    return [Unary(), ClientStream()]


def headers(token: str) -> tuple[tuple[str, str | bytes], ...]:
    """The token, and whatever else a client's libraries may send along."""
    trace = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    return (
        *bearer(token),
        ("x-session", HIDDEN),
        ("x-session-bin", HIDDEN.encode()),
        ("cookie", HIDDEN),
        ("x-crossmargin-principal", HIDDEN),
        ("traceparent", trace),
        ("tracestate", f"vendor={HIDDEN}"),
        ("baggage", f"user={HIDDEN}"),
    )


async def sow(garden: Garden, service: Service) -> None:
    """Send everything: as somebody who may do all of it, as an auditor, and as those who are turned away."""
    gardener = Gardener()
    async with service.channel(interceptors=showing(service.token())) as channel:
        rig = Rig(channel, RecordedRpcs(), None, service.address)
        await create_books(rig)
        await publish_market(rig)
    slots = asyncio.Semaphore(AT_ONCE)
    everybody = headers(service.new_token("house", roles=ALL, jti=HIDDEN, note=HIDDEN))
    auditor = headers(service.new_token("auditor", jti=f"{HIDDEN}-auditor"))
    trader = headers(service.new_token("trader", clients=["alpha"], jti=f"{HIDDEN}-trader"))
    # Right in nothing but that it looks like a token: what it says is not to be told by whoever cannot read it.
    nobody = headers(f"{HIDDEN}.{HIDDEN}.{HIDDEN}")
    async with service.channel() as house, service.channel("auditor") as audits, service.channel("trader") as trades:

        async def send(channel, name: str, request: Message, planted: set[int], metadata) -> None:
            async with slots:
                garden.answers.append((name, planted, *await refusal_of(channel, name, request, metadata)))

        async with asyncio.TaskGroup() as calls:
            for name, method in METHODS.items():
                requests = list(requests_of(method, EXPECTED[name].fields, "alpha"))
                calls.create_task(send(house, name, requests[0], set(), everybody))
                for plant in gardener.one_by_one(requests):
                    garden.plants[plant.number] = name, plant
                    calls.create_task(send(house, name, plant.request, {plant.number}, everybody))
                for channel, metadata in ((audits, auditor), (trades, trader), (house, nobody)):
                    whole = gardener.all_at_once(requests[0])
                    garden.plants |= {plant.number: (name, plant) for plant in whole}
                    request = whole[0].request if whole else requests[0]
                    calls.create_task(send(channel, name, request, {plant.number for plant in whole}, metadata))
        await refusal_of(house, f"MarginService/{HIDDEN}", next(requests_of(METHODS["MarginService/GetMargin"], (), "")), everybody)


async def refusal_of(channel, name: str, request: Message, metadata) -> tuple[str, str]:
    """Make a call; return its code, and all that it says when it is refused."""
    method = METHODS.get(name, METHODS["MarginService/GetMargin"])
    service = f"crossmargin.api.v1.{name}" if not name.startswith("grpc.") else name
    kinds = {(False, False): channel.unary_unary, (True, False): channel.stream_unary, (False, True): channel.unary_stream}
    make = kinds.get((method.client_streaming, method.server_streaming), channel.stream_stream)
    patience_s = STREAMS_S if method.server_streaming else PATIENCE_S
    for _ in range(20):
        call = make(f"/{service}", request_serializer=bytes)(
            iter([request.SerializeToString()]) if method.client_streaming else request.SerializeToString(),
            metadata=metadata,
            timeout=patience_s,
        )
        try:
            if method.server_streaming:
                async for _ in call:
                    call.cancel()
                    break
            else:
                await call
        except grpc.aio.AioRpcError as error:
            if error.details() == HUNG_UP:
                continue
            status = rpc_status.from_call(error)
            trailing = "" if status is None else str([str(detail) + repr(detail.value) for detail in status.details])
            return error.code().name, f"{error.details()} {trailing}"
        except asyncio.CancelledError:
            if not call.cancelled():
                raise
        return "OK", ""
    raise AssertionError(f"{name} was never answered")


@pytest.fixture(scope="module")
def garden() -> Garden:
    """One service, and everything that can be planted in it."""
    garden = Garden()
    with collector() as (endpoint, spans):
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_MAX_QUEUE_SIZE": "65536", "OTEL_BSP_SCHEDULE_DELAY": "500"}
        with secure_service(options=["--tracing"], environment={**traced, "GRPC_VERBOSITY": "DEBUG"}, at_debug=True) as service:
            asyncio.run(sow(garden, service))
            garden.metrics = service.metrics()
            service.stop()
            garden.audit = [row for (row,) in service.rows("SELECT to_jsonb(audit_event) FROM audit_event")]
            lines = service.log.read_text().splitlines()
            garden.database_log = Path(service.database_log).read_text()
        garden.log = [json.loads(line) for line in lines if line.startswith("{")]
        garden.other_output = "\n".join(line for line in lines if not line.startswith("{"))
        garden.spans = b"".join(spans)
    return garden


def test_every_text_of_every_request_is_planted(garden):
    planted = {}
    for name, plant in garden.plants.values():
        planted.setdefault(name, set()).add(plant.field)
    wanted = {name: set(fields_with_text(method.input_type)) for name, method in METHODS.items()}
    assert planted == {name: fields for name, fields in wanted.items() if fields}


def test_secrets_come_as_far_as_the_rules_of_their_field_let_them(garden):
    deep = {f"{name}:{plant.field}" for name, plant in garden.plants.values() if plant.is_well_formed}
    assert {f"{name}:{plant.field}" for name, plant in garden.plants.values()} - deep == NO_ROOM
    codes = Counter(code for _, _, code, _ in garden.answers)
    assert codes["OK"] > 30, codes
    assert min(codes[code] for code in ("NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED")) > 50, codes


def test_nothing_breaks(garden):
    """What breaks is told by an incident's number, and its stack may not quote; still nothing here should."""
    assert not [(name, code, said) for name, _, code, said in garden.answers if code in {"INTERNAL", "UNKNOWN", "UNAVAILABLE"}]
    assert not [line for line in garden.log if line["event"] in {"rpc failed", "background task failed"}]


def test_no_secret_is_in_the_log(garden):
    """But for the audit trail's own lines: which client's books somebody asked for is what it is kept for."""
    assert len(garden.log) > 50
    leaks = Counter()
    for line in garden.log:
        for key, value in line.items():
            allowed = set(garden.where(json.dumps(value))) if line["event"] == "audit" and key == "clients" else set()
            assert allowed <= named_clients()
            leaks.update((key, where) for where in garden.where(json.dumps(value)) - allowed)
    assert not leaks
    assert not garden.where(garden.other_output)


def test_no_secret_is_in_the_log_of_the_database(garden):
    assert "ready to accept connections" in garden.database_log
    assert not garden.where(garden.database_log)


def test_no_secret_is_in_the_metrics(garden):
    """But for what has series of its own once it is there."""
    assert 'grpc_method="CreateClient"' in garden.metrics
    assert garden.where(garden.metrics) <= SERIES


def test_no_secret_is_in_a_span(garden):
    assert not [name for name in METHODS if name.encode() not in garden.spans]
    assert not garden.where(garden.spans.decode("latin-1"))


def test_the_audit_trail_holds_names_of_clients_and_nothing_else_of_a_request(garden):
    assert len(garden.audit) > 100
    for event in garden.audit:
        assert garden.where(json.dumps(event["clients"])) <= named_clients()
        assert not garden.where(json.dumps({key: value for key, value in event.items() if key != "clients"})), event


def test_an_answer_tells_its_caller_what_he_sent_and_nothing_of_others(garden):
    """A refusal says which value broke which rule, to whoever sent it; and why a client is halted, to whoever is refused for it."""
    for name, planted, code, said in garden.answers:
        others = {number for number in found_in(said) - planted if garden.named(number) not in TOLD_TO_OTHERS}
        assert not others, (name, code, said)
    assert any(found_in(said) for _, _, _, said in garden.answers)


def test_what_is_in_headers_and_tokens_is_nowhere(garden):
    everything = {
        "answers": "".join(said for _, _, _, said in garden.answers),
        "log": json.dumps(garden.log) + garden.other_output,
        "database's log": garden.database_log,
        "metrics": garden.metrics,
        "spans": garden.spans.decode("latin-1"),
        "audit trail": json.dumps(garden.audit),
    }
    assert not [where for where, text in everything.items() if re.search(HIDDEN, text, re.IGNORECASE) or "eyJ" in text]


def named_clients() -> set[str]:
    """The fields that the policy reads clients and accounts from."""
    return {f"{rule.method}:{path}" for rule in POLICY.values() for path in rule.paths}
