"""The service as a child of the demo: started, waited for, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final

from crossmargin_cli.failures import CommandError
from crossmargin_cli.service_process import dying_with_parent, service_command

ANY_PORT: Final = "127.0.0.1:0"
_START_LIMIT_S: Final = 120.0
_STOP_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service is to be started. Port 0 is any free port; with an environment it is secure, without one insecure."""

    data_dir: Path
    grpc_address: str = ANY_PORT
    admin_address: str = ANY_PORT
    with_monitor: bool = False
    environment: Mapping[str, str] | None = None

    @property
    def log_path(self) -> Path:
        """Where the service's log goes."""
        return self.data_dir / "service.log"


@dataclass(frozen=True, slots=True)
class ServiceProcess:
    """A service that was started. Its log is what is in the file from `log_start` on: services before it wrote there too."""

    process: subprocess.Popen[bytes]
    log_path: Path
    log_start: int

    def check_alive(self) -> None:
        """Return if the service still runs; CommandError with its last words otherwise."""
        if self.process.poll() is None:
            return
        lines = self.log_path.read_bytes()[self.log_start :].decode(errors="replace").splitlines()
        said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")] or lines[-3:]
        raise CommandError(f"the service stopped: {' / '.join(said)}", next_step=f"its log is {self.log_path}")


@dataclass(frozen=True, slots=True)
class RunningService:
    """A service that answers."""

    grpc_address: str
    admin_address: str
    process: ServiceProcess


@contextmanager
def running_service(settings: ServiceSettings) -> Iterator[RunningService]:
    """Yield a service on an embedded database, and stop it in the end, also when this process is asked to end.

    Call it from the main thread: the service is asked to end when the thread that started it does, so that a demo that is killed
    leaves nothing behind (Linux).

    Raises:
        CommandError: When the service cannot start, in its own words.
    """
    _make_folder(settings.data_dir)
    with tempfile.TemporaryDirectory(prefix="crossmargin-demo-") as folder, _end_on_sigterm():
        ready_file = Path(folder) / "ready.json"
        service = _start(settings, ready_file)
        try:
            yield _wait_until_ready(service, ready_file)
        finally:
            _stop(service.process)


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        (data_dir / "service.log").open("ab").close()
    except OSError as error:
        raise CommandError(
            f"data folder {data_dir} cannot be written: {error.strerror}", next_step="name another with --data-dir"
        ) from None


def _start(settings: ServiceSettings, ready_file: Path) -> ServiceProcess:
    command = service_command(
        [
            "serve",
            "--embedded",
            *([] if settings.environment is not None else ["--insecure"]),
            "--monitor" if settings.with_monitor else "--no-monitor",
            *("--data-dir", str(settings.data_dir)),
            *("--grpc-address", settings.grpc_address),
            *("--admin-address", settings.admin_address),
            *("--ready-file", str(ready_file)),
        ]
    )
    with settings.log_path.open("ab") as log:
        log_start = log.tell()
        process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of our own
            dying_with_parent(command),
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(settings.environment or {})},
            stdout=log,
            stderr=log,
            # Ctrl-C is for us: the service is stopped last.
            process_group=0,
        )
    return ServiceProcess(process, settings.log_path, log_start)


def _wait_until_ready(service: ServiceProcess, ready_file: Path) -> RunningService:
    deadline = time.monotonic() + _START_LIMIT_S
    while not ready_file.exists():
        service.check_alive()
        if time.monotonic() > deadline:
            raise CommandError(f"the service did not start within {_START_LIMIT_S:.0f} s", next_step=f"read its log: {service.log_path}")
        time.sleep(_POLL_S)
    ready = json.loads(ready_file.read_text())
    return RunningService(ready["grpc_address"], ready["admin_address"], service)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for request in (signal.SIGTERM, signal.SIGKILL):
        process.send_signal(request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_LIMIT_S)
            return


@contextmanager
def _end_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an exit, so that what was started is stopped on the way out."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
