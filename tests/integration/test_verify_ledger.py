"""A service that takes anchors, and an auditor at the command line beside it and after it."""

from __future__ import annotations

import json

import psycopg
import pytest

from crossmargin.adapters.runtime.embedded_postgres import running_url
from tests.integration.command_line import run, wait_until
from tests.integration.test_serve import book_something, serving


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The data folder of a service that has booked something and taken an anchor of it, and that still runs."""
    folder = tmp_path_factory.mktemp("audited")
    with serving(folder, "--anchor-interval-s", "0.2") as (_, addresses):
        book_something(addresses["grpc_address"])
        wait_until(lambda: any(anchor["entries"] == 1 for anchor in anchors_in(folder)))
        yield folder


def anchors_in(folder):
    file = folder / "anchors.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")] if file.exists() else []


def verify(folder, *flags):
    return run("verify-ledger", "--embedded", "--data-dir", str(folder), *flags)


def test_the_key_is_made_at_the_first_start_and_its_public_half_can_be_had(folder, tmp_path):
    shown = run("anchor-key", "--embedded", "--data-dir", str(folder))
    assert shown.stdout.startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in shown.stdout
    public = tmp_path / "public.pem"
    public.write_text(shown.stdout)
    assert verify(folder, "--public-key", str(public)).returncode == 0


def test_a_ledger_verifies_clean_while_the_service_runs(folder):
    done = verify(folder, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["clean"], verdict["findings"], verdict["entries"], verdict["accounts"]) == (True, [], 1, 1)
    assert verdict["anchors"]["signatures_checked"]
    assert verdict["anchors"]["in_file"] >= verdict["anchors"]["in_database"] - 1 > 0
    told = verify(folder).stdout.splitlines()
    assert told[0].startswith("clean: 1 entries with 2 postings of 1 accounts, as of ")
    assert "anchors in the database, " in told[1]
    assert len(told) == 2


def test_a_copy_of_the_anchors_that_names_another_history_is_a_finding(folder, tmp_path):
    copy = tmp_path / "copy.jsonl"
    copy.write_text((folder / "anchors.jsonl").read_text().replace('"core",1,"', '"core",2,"'))
    done = verify(folder, "--anchors", str(copy))
    assert done.returncode == 1
    assert "anchored entry missing   clients/alpha/accounts/core: file: anchor" in done.stdout


def test_what_somebody_did_to_the_database_is_listed_and_the_exit_code_says_so(folder):
    with psycopg.connect(running_url(folder)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE entry SET reference = 'forged'")
    done = verify(folder)
    assert done.returncode == 1
    assert done.stdout.startswith("entry altered            clients/alpha/accounts/core: entry 1 does not have the hash")
    assert "1 findings: " in done.stdout
    verdict = json.loads(verify(folder, "--json").stdout)
    assert [(finding["kind"], finding["account"], finding["sequence"]) for finding in verdict["findings"]] == [
        ("ENTRY_ALTERED", "clients/alpha/accounts/core", 1)
    ]
    with psycopg.connect(running_url(folder)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE entry SET reference = ''")
    assert verify(folder).returncode == 0


def test_an_auditor_needs_no_service(tmp_path):
    with serving(tmp_path, "--anchor-interval-s", "0.2") as (process, addresses):
        book_something(addresses["grpc_address"])
        wait_until(lambda: any(anchor["entries"] == 1 for anchor in anchors_in(tmp_path)))
        process.terminate()
        assert process.wait(60) == 0
    assert running_url(tmp_path) is None
    done = verify(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "clean: 1 entries" in done.stdout
