"""`python -m crossmargin serve` as a process: what it says when it cannot start, and what it leaves behind when it is killed."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from urllib.request import urlopen

import pytest

from crossmargin_client import Client, values
from tests.integration.command_line import environment, processes_naming, wait_until

ACCOUNT = "clients/alpha/accounts/core"
ANY_PORT = "127.0.0.1:0"
SERVE = (sys.executable, "-m", "crossmargin", "serve", "--embedded", "--insecure", "--grpc-address", ANY_PORT, "--admin-address", ANY_PORT)


@contextmanager
def serving(data_dir, *flags):
    """Yield a serving process and its addresses; it is killed if the test did not end it."""
    ready = data_dir / "ready.json"
    ready.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*SERVE, "--data-dir", str(data_dir), "--ready-file", str(ready), *flags],
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None)
        assert process.poll() is None, process.stderr.read()
        yield process, json.loads(ready.read_text())
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    return folder


def book_something(target):
    with Client(target) as client:
        client.create_client("alpha", "Alpha")
        client.create_account(ACCOUNT, "Core")
        client.create_instrument(values.cash("USD"))
        client.deposit(ACCOUNT, "USD", 1_000, received_at=datetime(2026, 3, 1, tzinfo=UTC), request_id="one")


def positions_at(target):
    with Client(target) as client:
        return [(position.instrument_id, position.quantity) for position in client.list_positions(ACCOUNT).positions]


def test_a_killed_service_leaves_no_database_running_and_a_restart_shows_the_same_books(data_dir):
    with serving(data_dir) as (process, addresses):
        book_something(addresses["grpc_address"])
        assert processes_naming(data_dir / "postgres")
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: not processes_naming(data_dir / "postgres"))
    with serving(data_dir) as (_, addresses):
        assert positions_at(addresses["grpc_address"]) == [("USD", "1000")]


def test_a_service_that_is_told_to_stop_ends_in_good_order(data_dir):
    with serving(data_dir) as (process, addresses):
        book_something(addresses["grpc_address"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert not processes_naming(data_dir / "postgres")


def test_the_admin_port_says_that_the_process_lives_and_is_ready(data_dir):
    with serving(data_dir) as (_, addresses):
        assert urlopen(f"http://{addresses['admin_address']}/livez").status == 200
        wait_until(lambda: urlopen(f"http://{addresses['admin_address']}/readyz").status == 200)
        assert b"crossmargin_monitor_leader" in urlopen(f"http://{addresses['admin_address']}/metrics").read()


@pytest.mark.parametrize("flag", ["--grpc-address", "--admin-address"])
def test_an_address_that_is_taken_is_said_in_a_sentence(data_dir, flag):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [*SERVE, "--data-dir", str(data_dir), flag, address],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert address in done.stderr.splitlines()[-1]
    assert "choose another" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
