"""A service that takes anchors, and an auditor at the command line beside it and after it."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import psycopg
import pytest

from crossmargin.__main__ import main
from crossmargin.adapters.runtime.embedded_postgres import running_url
from crossmargin.adapters.runtime.terminal import is_confirmed
from crossmargin_cli.doctor import Verdict, ledger_checks
from tests.integration.command_line import environment, run, wait_until
from tests.integration.test_serve import book_something, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The data folder of a service that has booked something and taken an anchor of it, and that still runs."""
    folder = tmp_path_factory.mktemp("audited")
    with serving(folder, "--anchor-interval-s", "1") as (_, addresses):
        book_something(addresses["grpc_address"])
        wait_until(lambda: any(anchor["entries"] == 1 for anchor in anchors_in(folder)))
        yield folder


def anchors_in(folder):
    file = folder / "anchors.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")] if file.exists() else []


def service(*arguments):
    """Run a command of the service, which is what the `crossmargin` command becomes for these."""
    command = [sys.executable, "-m", "crossmargin", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment(), timeout=180)


@pytest.fixture
def verify(capsys):
    """Run the verifier in this process, which saves its start, and return its exit code and what it printed."""

    def run_here(folder, *flags):
        code = main(["verify-ledger", "--embedded", "--data-dir", str(folder), *flags])
        return code, capsys.readouterr().out

    return run_here


def test_the_key_is_made_at_the_first_start_and_its_public_half_can_be_had(folder, tmp_path):
    shown = service("anchor-key", "--embedded", "--data-dir", str(folder))
    assert shown.stdout.startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in shown.stdout
    public = tmp_path / "public.pem"
    public.write_text(shown.stdout)
    assert run("verify-ledger", "--embedded", "--data-dir", str(folder), "--public-key", str(public)).returncode == 0


def test_a_ledger_verifies_clean_while_the_service_runs(folder, verify):
    code, told = verify(folder, "--json")
    assert code == 0, told
    verdict = json.loads(told)
    assert (verdict["clean"], verdict["findings"], verdict["entries"], verdict["accounts"]) == (True, [], 1, 1)
    assert verdict["anchors"]["signatures_checked"]
    assert verdict["anchors"]["in_file"] >= verdict["anchors"]["in_database"] - 1 > 0
    told = verify(folder)[1].splitlines()
    assert told[0].startswith("clean: 1 entries with 2 postings of 1 accounts, as of ")
    assert "anchors in the database, " in told[1]
    assert len(told) == 2


def test_a_copy_of_the_anchors_that_names_another_history_is_a_finding(folder, tmp_path, verify):
    copy = tmp_path / "copy.jsonl"
    copy.write_text((folder / "anchors.jsonl").read_text().replace('"core",1,"', '"core",2,"'))
    code, told = verify(folder, "--anchors", str(copy))
    assert code == 1
    assert "anchored entry missing   clients/alpha/accounts/core: file: anchor" in told


def test_what_somebody_did_to_the_database_is_listed_and_the_exit_code_says_so(folder, verify):
    with psycopg.connect(running_url(folder)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE entry SET reference = 'forged'")
    code, told = verify(folder)
    assert code == 1
    assert told.startswith("entry altered            clients/alpha/accounts/core: entry 1 does not have the hash")
    assert "1 findings: " in told
    verdict = json.loads(verify(folder, "--json")[1])
    assert [(finding["kind"], finding["account"], finding["sequence"]) for finding in verdict["findings"]] == [
        ("ENTRY_ALTERED", "clients/alpha/accounts/core", 1)
    ]
    with psycopg.connect(running_url(folder)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE entry SET reference = ''")
    assert verify(folder)[0] == 0


def test_positions_and_reservations_are_rebuilt_from_the_ledger_only_when_asked_for(folder, capsys):
    rebuild = ("rebuild-projections", "--embedded", "--data-dir", str(folder))
    with psycopg.connect(running_url(folder)) as connection:
        connection.execute("UPDATE position SET quantity = 7")
        connection.execute(
            "INSERT INTO reservation VALUES "
            "('alpha', 'core', 1, 'main', 'BTC', NULL, 1, 9, 'resting', 60, '', 9, 'USD', 0, 'desk', now(), now(), 'active')"
        )
    projections, walls = ledger_checks(folder)
    assert (projections.verdict, projections.finding) == (Verdict.FAIL, "2 rows are not what the ledger says")
    assert walls.verdict is Verdict.OK, walls.finding
    assert main(rebuild) == 1
    told = capsys.readouterr().out
    assert "position of clients/alpha/accounts/core, book main, instrument USD: stored quantity 7, cost 0, due quantity 1000" in told
    assert (
        "reservation of clients/alpha/accounts/core, sequence 1: stored book_id main, instrument_id BTC, settlement None, quantity 1"
        in told
    )
    assert "2 rows differ: nothing was written" in told
    repaired = service(*rebuild, "--repair", "--yes", "--json")
    assert repaired.returncode == 0, repaired.stderr
    assert json.loads(repaired.stdout)["repaired"] == 2
    assert '"event": "projection repaired"' in repaired.stderr
    assert main(rebuild) == 0
    assert capsys.readouterr().out == "clean: every projection is what the ledger says\n"


def test_who_cannot_be_asked_has_not_said_yes(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    told = io.StringIO()
    assert not is_confirmed("Sure?", answers=io.StringIO("yes\n"), stream=told)
    assert not is_confirmed("Sure?", answers=Terminal("y\n"), stream=told)
    assert is_confirmed("Sure?", answers=Terminal("yes\n"), stream=told)
    assert told.getvalue() == "Sure? Answer yes to go on: " * 2


def test_an_auditor_needs_no_service(tmp_path, verify):
    with serving(tmp_path, "--anchor-interval-s", "1") as (process, addresses):
        book_something(addresses["grpc_address"])
        wait_until(lambda: any(anchor["entries"] == 1 for anchor in anchors_in(tmp_path)))
        process.terminate()
        assert process.wait(60) == 0
    assert running_url(tmp_path) is None
    code, told = verify(tmp_path)
    assert code == 0, told
    assert "clean: 1 entries" in told
