"""Runs the `crossmargin` command as a user does: as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

COMMAND = (sys.executable, "-m", "crossmargin_cli")
_WAIT_LIMIT_S = 120.0


def run(*arguments, target=None, says=None):
    """Return the finished process of one command, to which standard input `says` something."""
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, env=environment(target), timeout=180, input=says
    )


def run_json(*arguments, target=None):
    """Return what a command answers in JSON; it has to succeed."""
    done = run(*arguments, "--json", target=target)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environment(target=None):
    """Return the environment without settings of this machine's user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CROSSMARGIN_") or name == "CROSSMARGIN_PG_BIN"}
    kept.pop("FORCE_COLOR", None)
    return kept if target is None else {**kept, "CROSSMARGIN_TARGET": target}


@contextmanager
def served_demo(data_dir, log, *, admin_address="127.0.0.1:0"):
    """Yield a demo that keeps running, as (process, target). It is killed if the test did not end it."""
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*COMMAND, "demo", "--serve", "--data-dir", str(data_dir), "--grpc-address", "127.0.0.1:0", "--admin-address", admin_address],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(),
        )
    try:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("Ctrl-C ends it"):
                break
        else:
            raise AssertionError(f"the demo ended early: {log.read_text()}")
        yield process, re.search(r"--target (\S+)", "".join(printed))[1]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def processes_naming(path):
    """Return the command lines of running processes that name a path (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(path) in words:
            found.append(words)
    return found


def wait_until(condition):
    """Return once a condition holds; fail when it does not within two minutes."""
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
