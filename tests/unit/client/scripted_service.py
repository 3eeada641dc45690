"""A gRPC server that answers each call with the next step of a script, so that a test decides what goes wrong and when."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
from google.protobuf import any_pb2, descriptor_pool, message_factory
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


@dataclass(frozen=True)
class Failure:
    """One failed answer, with the details that the service sends: none when there is neither a reason nor a violation."""

    code: grpc.StatusCode
    message: str = "scripted"
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[tuple[str, str], ...] = ()

    def abort(self, context):
        details = []
        if self.reason:
            details.append(error_details_pb2.ErrorInfo(reason=self.reason, domain="crossmargin", metadata=self.metadata))
        if self.violations:
            pairs = [error_details_pb2.BadRequest.FieldViolation(field=name, description=words) for name, words in self.violations]
            details.append(error_details_pb2.BadRequest(field_violations=pairs))
        if not details:
            context.abort(self.code, self.message)
        status = status_pb2.Status(code=code_pb2.Code.Value(self.code.name), message=self.message, details=map(_packed, details))
        context.abort_with_status(rpc_status.to_status(status))


class ScriptedService(grpc.GenericRpcHandler):
    """Every method of the API. `seen` holds the requests in order, the messages of a client stream as a list."""

    def __init__(self):
        self.seen = []
        self._steps = deque()

    def script(self, *steps):
        """Set the answers to come: a message, a list of messages and failures for a stream, or a Failure."""
        self._steps.extend(steps)

    def service(self, handler_call_details):
        service, _, method = handler_call_details.method.removeprefix("/").rpartition("/")
        if service == "grpc.health.v1.Health":
            return grpc.unary_unary_rpc_method_handler(self._answer)
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]
        codec = {
            "request_deserializer": message_factory.GetMessageClass(found.input_type).FromString,
            "response_serializer": message_factory.GetMessageClass(found.output_type).SerializeToString,
        }
        if found.server_streaming and found.client_streaming:
            return grpc.stream_stream_rpc_method_handler(lambda messages, context: self._answers(list(messages), context), **codec)
        if found.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._answers, **codec)
        if found.client_streaming:
            return grpc.stream_unary_rpc_method_handler(lambda messages, context: self._answer(list(messages), context), **codec)
        return grpc.unary_unary_rpc_method_handler(self._answer, **codec)

    def _answer(self, request, context):
        self.seen.append(request)
        step = self._steps.popleft()
        if isinstance(step, Failure):
            step.abort(context)
        return step

    def _answers(self, request, context):
        self.seen.append(request)
        for item in self._steps.popleft():
            if isinstance(item, Failure):
                item.abort(context)
            yield item


@contextmanager
def scripted_service():
    """Yield a scripted service and the address it listens at."""
    service = ScriptedService()
    server = grpc.server(ThreadPoolExecutor(4), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _packed(detail):
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
