"""The image as an image: built without a daemon, and run without network, on a root that nobody can write, by its own user.

No container runtime is needed: buildah builds in a chroot, and bubblewrap gives the process namespaces of its own. Where the base cannot be
pulled, a Debian with Python from debootstrap stands in for it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres
from tests.observability.dashboards import ROOT

HOLDS, FAILED, NO_TOOLS = 0, 1, 2
_TOOLS: Final = ("buildah", "bwrap", "nsenter", "setpriv")
_NAME, _STAND_IN = "localhost/crossmargin:checked", "localhost/python:stand-in"
_DEBIAN: Final = ("bookworm", "http://deb.debian.org/debian")
_SOCKET: Final = "/tmp/database"  # noqa: S108 - inside the sandbox, whose /tmp is its own
_HEALTHY_LIMIT_S: Final = 120.0
_STOP_LIMIT_S: Final = 60.0
_COMMAND_LIMIT_S: Final = 300.0
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True, slots=True)
class Image:
    """A built image: where its files are mounted, and what it says about how it is run."""

    root: Path
    config: Mapping[str, Any]


def check_image(base: str | None, folder: Path | None) -> int:
    """Build the Dockerfile and run what comes out; return 0 when everything holds, 1 when something does not, 2 without the tools.

    Args:
        base: The image to build on, which has to be at hand or pullable; None makes a stand-in.
        folder: Where stand-in and layers are kept for the next time; None keeps nothing.
    """
    missing = [tool for tool in (*_TOOLS, *(() if base else ("debootstrap",))) if shutil.which(tool) is None]
    if missing or os.geteuid():
        what = " ".join(missing) or "root"
        print(f"building an image needs {what}; as root: apt-get install buildah bubblewrap debootstrap", file=sys.stderr)
        return NO_TOOLS
    with tempfile.TemporaryDirectory() as room:
        work = folder or Path(room)
        work.mkdir(parents=True, exist_ok=True)
        store = _Store(work)
        image = store.build(base or store.stand_in())
        try:
            with EmbeddedPostgres(Path(room) / "data") as database:
                failures = list(_failures(image, database))
        finally:
            store.let_go()
    print("\n".join(f"FAILED: {failure}" for failure in failures) or "the image holds")
    return FAILED if failures else HOLDS


class _Store:
    """Images and containers in a folder of their own."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._buildah = ["buildah", "--root", str(work / "images"), "--runroot", str(work / "run"), "--storage-driver", "vfs"]

    def stand_in(self) -> str:
        """Return the name of a base image of Debian's own Python, made now unless it is here."""
        if self._run("images", "--quiet", "--filter", f"reference={_STAND_IN}"):
            return _STAND_IN
        files = self._work / "debian"
        packages = "--include=python3,python3-venv,python-is-python3,ca-certificates"
        print("making a stand-in for the base image by debootstrap", flush=True)
        _loudly(["debootstrap", "--variant=minbase", packages, _DEBIAN[0], str(files), _DEBIAN[1]])
        container = self._run("from", "scratch")
        self._run("copy", "--quiet", container, str(files), "/")
        self._run("commit", "--quiet", "--rm", container, _STAND_IN)
        shutil.rmtree(files)
        return _STAND_IN

    def build(self, base: str) -> Image:
        """Return what the Dockerfile makes on a base."""
        print(f"building on {base}", flush=True)
        # The Docker format, because the other one has no health checks. The certificates are those of whoever stands before the registry.
        given = [f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro"] if _CERTIFICATES.exists() else []
        options = ["--isolation=chroot", "--format=docker", "--no-cache", f"--build-arg=BASE={base}", f"--tag={_NAME}", *given]
        _loudly([*self._buildah, "bud", *options, str(ROOT)])
        config = json.loads(self._run("inspect", "--type", "image", _NAME))["Docker"]["config"]
        return Image(Path(self._run("mount", self._run("from", _NAME))), config)

    def let_go(self) -> None:
        """Take down what was mounted."""
        self._run("rm", "--all")

    def _run(self, *arguments: str) -> str:
        return subprocess.run([*self._buildah, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _failures(image: Image, database: EmbeddedPostgres) -> Iterator[str]:
    """Yield in words what does not hold of an image; print what does."""
    socket = database.socket_folder / ".s.PGSQL.5432"
    # Whoever may enter its folder may use it: in the sandbox that is the image's user, and outside nobody new.
    socket.chmod(0o777)
    sandbox = _Sandbox(image, socket)
    for what, command, is_expected in (
        ("its user is not root", ["sh", "-c", 'test "$(id -u)" -ge 10000 && test "$(id -G)" = "$(id -g)"'], True),
        ("its root is written", ["sh", "-c", "touch /x || touch /opt/crossmargin/x || touch /home/x"], False),
        ("its user may become root", ["sh", "-c", "grep -qE 'Cap(Prm|Eff|Bnd):.*[1-9a-f]' /proc/self/status"], False),
        ("it reaches a network", ["sh", "-c", "sed 1,2d /proc/net/dev | grep -v ' lo:'"], False),
        ("it carries pip", ["sh", "-c", "ls /opt/crossmargin/bin/pip* /opt/crossmargin/lib/python*/site-packages/pip"], False),
        ("it serves before the schema is there", [*_entry(image), *image.config["Cmd"]], False),
        ("migrate makes the schema", [*_entry(image), "migrate"], True),
    ):
        held = sandbox.run(command) == 0
        print(f"{'ok' if held == is_expected else 'NOT OK'}: {what}: {'yes' if held else 'no'}", flush=True)
        if held != is_expected:
            yield f"{what}: {'yes' if held else 'no'}"
    yield from _failures_of_serving(image, sandbox)


def _failures_of_serving(image: Image, sandbox: _Sandbox) -> Iterator[str]:
    check = image.config["Healthcheck"]["Test"]
    with sandbox.started([*_entry(image), *image.config["Cmd"]]) as process:
        began = time.monotonic()
        if process.run_beside(check[1:]) == 0:
            yield "the health check passes before anything serves"
        while (code := process.run_beside(check[1:])) and time.monotonic() - began < _HEALTHY_LIMIT_S and process.runs():
            time.sleep(0.2)
        print(f"{'NOT OK' if code else 'ok'}: healthy after {time.monotonic() - began:.1f} s", flush=True)
        if code:
            yield f"the health check {check[1:]} still fails after {_HEALTHY_LIMIT_S:.0f} s"
        ended = process.stop()
        print(f"{'NOT OK' if ended else 'ok'}: SIGTERM ends it with {ended}", flush=True)
        if ended:
            yield f"SIGTERM ended it with {ended}"


def _entry(image: Image) -> list[str]:
    return list(image.config["Entrypoint"])


class _Sandbox:
    """Runs commands of an image as its user: the root read-only, no network but loopback, no capability, nothing of our environment."""

    def __init__(self, image: Image, socket: Path) -> None:
        user, group = image.config["User"].split(":")
        self._as_user = [
            *("setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"),
            *("env", "-i", *image.config["Env"], f"CROSSMARGIN_DATABASE_URL=postgresql://postgres@/postgres?host={_SOCKET}"),
        ]
        self._wrap = [
            *("bwrap", "--ro-bind", str(image.root), "/", "--proc", "/proc", "--dev", "/dev", "--perms", "1777"),
            *("--tmpfs", str(Path(_SOCKET).parent)),
            *("--dir", _SOCKET, "--bind", str(socket), f"{_SOCKET}/{socket.name}", "--chdir", image.config["WorkingDir"]),
            *("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--as-pid-1"),
        ]

    def run(self, command: Sequence[str]) -> int:
        """Return the exit code of a command."""
        return _quietly([*self._wrap, *self._as_user, *command])

    @contextmanager
    def started(self, command: Sequence[str]) -> Iterator[_Running]:
        """Yield a command while it runs as the first process of its sandbox."""
        read, write = os.pipe()
        with subprocess.Popen([*self._wrap, "--info-fd", str(write), *self._as_user, *command], pass_fds=[write]) as outer:
            os.close(write)
            with os.fdopen(read) as told:
                first = int(json.load(told)["child-pid"])
            try:
                yield _Running(outer, first, self._as_user)
            finally:
                outer.kill()


@dataclass(frozen=True, slots=True)
class _Running:
    """The first process of a sandbox."""

    outer: subprocess.Popen[bytes]
    first: int
    as_user: Sequence[str]

    def runs(self) -> bool:
        """True while it has not ended."""
        return self.outer.poll() is None

    def run_beside(self, command: Sequence[str]) -> int:
        """Return the exit code of a command in the same sandbox, as a health check is run."""
        enter = ["nsenter", "--target", str(self.first), "--mount", "--net", "--pid", "--ipc", "--uts", "--root", "--wd"]
        return _quietly([*enter, *self.as_user, *command])

    def stop(self) -> int:
        """Ask it to end, and return its exit code."""
        os.kill(self.first, signal.SIGTERM)
        return self.outer.wait(_STOP_LIMIT_S)


def _quietly(command: Sequence[str]) -> int:
    return subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_COMMAND_LIMIT_S).returncode


def _loudly(command: Sequence[str]) -> None:
    """Run a long command; what it says is shown when it fails."""
    found = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if found.returncode:
        print(found.stdout[-4000:], file=sys.stderr)
        raise SystemExit(f"{command[0]} failed with {found.returncode}")
