# The service's image: a wheel of this source, and dependencies whose hashes are written down. Nothing is fetched when it runs.
#
#   docker build -t crossmargin:0.1.0 .
#   docker run --rm -e CROSSMARGIN_DATABASE_URL=postgresql://... crossmargin:0.1.0 migrate
#
# Numba is inside, for CROSSMARGIN_KERNELS=numba. Kernels are compiled when the service starts, for the processor it starts on.
#
# OpenTelemetry is inside, for CROSSMARGIN_TRACING=true and OTEL_EXPORTER_OTLP_ENDPOINT; without them nothing of it is loaded. PDFs of statements
# are made where `crossmargin report` runs, not here: they need fonts and Pango.
#
# For an image that is the same tomorrow, give the base by digest: --build-arg BASE=python@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /source
COPY service/build.lock service/requirements.lock ./
RUN python -m venv /opt/crossmargin \
    && /opt/crossmargin/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r build.lock
COPY pyproject.toml README.md LICENSE ./
COPY migrations migrations
COPY clients clients
COPY service/crossmargin service/crossmargin
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && /opt/crossmargin/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl \
    && /opt/crossmargin/bin/pip check \
    && /opt/crossmargin/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
LABEL org.opencontainers.image.title="crossmargin" \
      org.opencontainers.image.description="Cross-margin service for a prime broker" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/crossmargin /opt/crossmargin
ENV PATH=/opt/crossmargin/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# 9464: /metrics, /livez, /readyz. The API listens on loopback only, so no other port is worth exposing.
EXPOSE 9464
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9464/readyz', timeout=2)"]
ENTRYPOINT ["crossmargin"]
CMD ["serve", "--insecure"]
