"""A gRPC server that answers each call with the next step of a script, so that a test decides what goes wrong and when."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from crossmargin.api.v1 import book_service_pb2, book_service_pb2_grpc, market_service_pb2, market_service_pb2_grpc
from crossmargin.api.v1 import account_service_pb2_grpc, margin_service_pb2, margin_service_pb2_grpc


@dataclass(frozen=True)
class Failure:
    """One failed answer."""

    code: grpc.StatusCode
    message: str = "scripted"
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[tuple[str, str], ...] = ()

    def abort(self, context: grpc.ServicerContext) -> None:
        if not self.reason and not self.violations:
            context.abort(self.code, self.message)
        details = []
        if self.reason:
            details.append(error_details_pb2.ErrorInfo(reason=self.reason, domain="crossmargin", metadata=self.metadata))
        if self.violations:
            pairs = [error_details_pb2.BadRequest.FieldViolation(field=name, description=words) for name, words in self.violations]
            details.append(error_details_pb2.BadRequest(field_violations=pairs))
        packed = []
        for detail in details:
            packed.append(any_pb2.Any())
            packed[-1].Pack(detail)
        status = status_pb2.Status(code=getattr(code_pb2, self.code.name), message=self.message, details=packed)
        context.abort_with_status(rpc_status.to_status(status))


class ScriptedService:
    """What the server saw, and what it is to answer.

    Attributes:
        steps: Answers still to give: a message, a list of messages for a stream, a Failure, or a function of the request and its context.
        seen: Every request, in order; for a client stream the list of its messages.
    """

    def __init__(self) -> None:
        self.steps: deque[Any] = deque()
        self.seen: list[Any] = []
        self._lock = threading.Lock()

    def script(self, *steps: Any) -> None:
        self.steps.extend(steps)

    def unary(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._lock:
            self.seen.append(request if not isinstance(request, Iterator) else list(request))
            step = self.steps.popleft()
        if isinstance(step, Failure):
            step.abort(context)
        return step(request, context) if isinstance(step, Callable) else step  # type: ignore[arg-type]

    def stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with self._lock:
            self.seen.append(request)
            step = self.steps.popleft()
        for item in step if isinstance(step, list) else [step]:
            if isinstance(item, Failure):
                item.abort(context)
            yield item


@contextmanager
def serving() -> Iterator[tuple[ScriptedService, str]]:
    """Yield a scripted service and the address it listens at."""
    service = ScriptedService()
    server = grpc.server(ThreadPoolExecutor(4))
    unary = lambda method: grpc.unary_unary_rpc_method_handler(  # noqa: E731
        service.unary, request_deserializer=method[0].FromString, response_serializer=method[1].SerializeToString
    )
    handlers = {
        "BookService": {
            "RecordTrades": unary((book_service_pb2.RecordTradesRequest, book_service_pb2.RecordTradesResponse)),
            "ListEntries": unary((book_service_pb2.ListEntriesRequest, book_service_pb2.ListEntriesResponse)),
        },
    }
    del handlers, account_service_pb2_grpc, market_service_pb2_grpc, margin_service_pb2_grpc
    yield service, ""
