"""Where spans go: to a collector by OTLP, as the environment variables of OpenTelemetry say."""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def otlp_provider(version: str) -> TracerProvider:
    """Return a provider that sends spans in batches, on a thread of its own, to OTEL_EXPORTER_OTLP_ENDPOINT (localhost:4317 unless set).

    OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and OTEL_TRACES_SAMPLER count too. A collector that is away costs spans, and no call.
    """
    name = os.environ.get("OTEL_SERVICE_NAME", "crossmargin")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name, SERVICE_VERSION: version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
