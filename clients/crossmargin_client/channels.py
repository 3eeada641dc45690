"""How a channel to the service is set up, the same for both clients."""

from __future__ import annotations

import json
from typing import Any, Final

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

DEFAULT_TARGET: Final = "127.0.0.1:50051"
HEALTH_CHECK: Final = "/grpc.health.v1.Health/Check"
HEALTH_REQUEST: Final[bytes] = StringValue().SerializeToString()
"""A grpc.health.v1.HealthCheckRequest for the whole server. The message has one string under the number 1, as StringValue has, so the
health package, which belongs to servers, is not needed here."""
_SERVING: Final = 1
LONGEST_RECONNECT_MS: Final = 1_000
"""gRPC waits longer after every attempt in vain, by default up to two minutes: a service that is back would stay out of reach for as long
as it was away. Shorter than the waits of all retries together, so that a call outlives the restart of a replica."""
KEEPALIVE_MS: Final = 12_000
KEEPALIVE_TIMEOUT_MS: Final = 8_000
"""A line that swallows everything is known to be dead within 20 s and replaced; without pings only TCP would notice, after a quarter of an
hour. The service takes a ping every 2 s."""
PRINCIPAL_KEY: Final = "x-crossmargin-principal"


def channel_options() -> list[tuple[str, Any]]:
    """Return the options of a channel: calls spread over every address that the target's name resolves to.

    With `dns:///crossmargin-headless:50051` each call goes to the next replica. Retries are the client's own, because only it knows
    the request id.
    """
    return [
        ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", LONGEST_RECONNECT_MS),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        # A ping for another purpose that is under way takes the place of a keepalive's, and waits a minute unless told otherwise.
        ("grpc.http2.ping_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def principal_metadata(principal: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that names who acts. A service counts it on a plain connection from its own machine only."""
    return ((PRINCIPAL_KEY, principal),) if principal else ()


def is_serving(health_response: bytes) -> bool:
    """Return whether a grpc.health.v1.HealthCheckResponse, one enum under the number 1, says SERVING."""
    return int(Int32Value.FromString(health_response).value) == _SERVING


def as_is(message: bytes) -> bytes:
    """Return a message that is bytes already: the serializer of the health call."""
    return message
