"""From an empty service to margin on files of one's own, by the commands that `crossmargin example` prints."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from decimal import Decimal

import pytest

from tests.integration.command_line import COMMAND, environment, run, run_json, wait_until


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """An empty service."""
    folder = tmp_path_factory.mktemp("empty")
    ready = folder / "ready.json"
    addresses = ("--grpc-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0")
    command = [*COMMAND, "serve", "--embedded", "--insecure", "--data-dir", str(folder / "data"), *addresses, "--ready-file", str(ready)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    try:
        wait_until(lambda: ready.exists() or process.poll() is not None)
        yield json.loads(ready.read_text())["grpc_address"]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@pytest.fixture(scope="module")
def walked(target, tmp_path_factory):
    """What each of the printed commands printed, by its first two words."""
    folder = tmp_path_factory.mktemp("files") / "my-data"
    assert run("clients", "list", target=target).stdout.startswith("There are none yet: crossmargin clients create")
    shown = run("example", str(folder))
    assert shown.returncode == 0, shown.stderr
    printed = {}
    for line in shown.stdout.splitlines()[2:]:
        words = shlex.split(line.removeprefix("  crossmargin "))
        done = run(*words, target=target)
        # A statement with a break ends in 1, as `diff` does.
        assert done.returncode == (1 if words[0] == "reconcile" else 0), (line, done.stderr)
        printed[" ".join(words[:2])] = done.stdout
    return folder, printed


def test_every_printed_command_works_and_the_last_ones_show_margin_and_the_one_break(walked):
    _, printed = walked
    assert printed["instruments import"] == "24 instruments read, 0 refused\n"
    assert printed["accounts create"] == "alpha/core: core, cross-margined\n"
    assert "entry 1 of the ledger" in printed["collateral deposit"]
    assert "healthy" in printed["margin show"]
    assert "4 holdings compared, 1 break" in next(text for name, text in printed.items() if name.startswith("reconcile"))


def test_files_are_never_replaced(walked):
    folder, _ = walked
    before = (folder / "trades.csv").read_bytes()
    again = run("example", str(folder))
    assert again.returncode == 1
    assert "trades.csv" in again.stderr
    assert (folder / "trades.csv").read_bytes() == before


def test_importing_instruments_again_changes_nothing_and_other_terms_are_refused(target, walked, tmp_path):
    folder, _ = walked
    assert run_json("instruments", "import", str(folder / "instruments.json"), target=target)["refused"] == {}
    document = json.loads((folder / "instruments.json").read_text())
    perpetual = next(one for one in document["instruments"] if one["instrument_id"] == "BTC-USD-PERP")
    perpetual["perpetual"]["multiplier"] = "2"
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps({"instruments": [perpetual]}))
    refused = run("instruments", "import", str(changed), target=target)
    assert refused.returncode == 1
    assert "ALREADY_EXISTS" in refused.stderr
    shown = json.loads(run("instruments", "show", "BTC-USD-PERP", target=target).stdout)
    assert shown["perpetual"]["multiplier"] == "1"


def test_a_policy_is_set_and_seen_among_the_holdings(target, walked):
    assert run("collateral", "policy", "alpha/core", "BTC", "pledged", target=target).returncode == 0
    held = {one["instrument_id"]: one for one in run_json("collateral", "holdings", "alpha/core", target=target)["holdings"]}
    assert held["BTC"]["policy"] == "COLLATERAL_POLICY_PLEDGED"
    assert Decimal(held["BTC"]["risked"]) == 0
    wrong = run("collateral", "policy", "alpha/core", "BTC", "sold", target=target)
    assert wrong.returncode == 2
    assert "expected auto, risked, pledged" in wrong.stderr


def test_a_bucket_is_made_for_its_core(target, walked):
    made = run("accounts", "create", "alpha/satellite", "--bucket-of", "alpha/core", target=target)
    assert made.stdout == "alpha/satellite: satellite, isolated bucket of alpha/core\n"
    assert [one["name"] for one in run_json("accounts", "list", "alpha", target=target)["accounts"]] == [
        "clients/alpha/accounts/core",
        "clients/alpha/accounts/satellite",
    ]


def test_a_deposit_of_the_same_name_is_booked_once(target, walked):
    deposit = ("collateral", "deposit", "alpha/core", "USD", "1000", "--request-id", "wire-1207")
    first, second = run(*deposit, target=target), run(*deposit, target=target)
    assert "received" in first.stdout
    # Without --at both say "now", which is another request under the same name: refused, never booked twice.
    assert second.returncode == 1
    assert "REQUEST_ID_REUSED" in second.stderr
    at = (*deposit[:-1], "wire-1208", "--at", "2026-11-20T15:00:00Z")
    assert run(*at, target=target).returncode == 0
    assert "as before" in run(*at, target=target).stdout


def test_the_statement_of_today_is_the_default_and_holds_what_was_booked_just_now(target, walked):
    shown = run("book", "statement", "alpha/core", target=target)
    assert shown.returncode == 0, shown.stderr
    assert "entries 1 to" in shown.stdout
