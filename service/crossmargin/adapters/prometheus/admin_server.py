"""The plain admin port: /metrics, /livez and /readyz, on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from prometheus_client import CollectorRegistry

from crossmargin.adapters.prometheus.exposition import CONTENT_TYPE, page_of

CLOSED_CONNECTION_TIMEOUT_S = 10


class AdminServer:
    """Serves the admin port until stopped.

    Liveness says only that the process answers, so that a database outage restarts nobody; readiness asks `why_not_ready`, which must
    not block.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, *, why_not_ready: Callable[[], str | None]) -> None:
        self._server = ThreadingHTTPServer((host, port), _handler(registry, why_not_ready))
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="admin", daemon=True)

    @property
    def port(self) -> int:
        """The port that is served, also when 0 was asked for."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and free the port; a server that was never started only frees it."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _handler(registry: CollectorRegistry, why_not_ready: Callable[[], str | None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = CLOSED_CONNECTION_TIMEOUT_S

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(HTTPStatus.OK, page_of(registry), CONTENT_TYPE)
                case "/livez":
                    self._answer(HTTPStatus.OK, b"ok\n")
                case "/readyz":
                    reason = why_not_ready()
                    self._answer(HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE, f"{reason or 'ok'}\n".encode())
                case _:
                    self._answer(HTTPStatus.NOT_FOUND, b"try /metrics, /livez or /readyz\n")

        def _answer(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not worth a line each."""

    return Handler
