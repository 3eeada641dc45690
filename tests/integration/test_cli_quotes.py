"""Quotes, the quality of the market and breakers from the command line, against a service of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossmargin_client import Client
from tests.integration.command_line import run, run_json, wait_until
from tests.integration.test_serve import serving

NOW = datetime.now(tz=UTC)


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("served") / "data", "--quote-tick-s", "0.2") as (_, addresses):
        with Client(addresses["grpc_address"]) as client:
            client.publish_snapshot(NOW - timedelta(minutes=2), {"spot:BTC": 60_000, "spot:ETH": 3_000})
        yield addresses["grpc_address"]


def quote_file(folder, *rows):
    file = folder / "quotes.csv"
    file.write_text("\n".join(["subject,value,observed_at", *rows]))
    return str(file)


def test_quotes_become_a_market_whose_doubts_are_shown(target, tmp_path):
    seen = datetime.now(tz=UTC).isoformat()
    file = quote_file(tmp_path, f"spot:BTC,40000,{seen}", "spot:XRP,-1,", f"spot:SOL,150,{seen}")
    done = run("quotes", "publish", file, "--source", "exchange-a", target=target)
    assert done.returncode == 1
    assert done.stdout == "2 quotes of exchange-a taken, 1 refused, 0 replayed; up to sequence 3 all is durable\n"
    assert "row 2: level of spot:XRP was -1; expected more than zero (INVALID_SNAPSHOT)" in done.stderr
    wait_until(lambda: "level_quality" in run_json("market", "show", target=target))
    found = run_json("market", "show", target=target)
    assert {name: known["verdict"] for name, known in found["level_quality"].items()} == {
        "spot:BTC": "VERDICT_SUSPECT",
        "spot:ETH": "VERDICT_STALE",
        "spot:SOL": "VERDICT_VALID",
    }
    shown = run("market", "show", "--doubted", target=target).stdout
    assert "1 valid, 1 suspect, 1 stale" in shown
    assert "40000" in shown
    assert "spot:SOL" not in shown


def test_a_file_is_numbered_on_from_where_the_source_is(target, tmp_path):
    file = quote_file(tmp_path, "spot:ADA,1,", "spot:ADA,1.01,")
    first = run_json("quotes", "publish", file, "--source", "exchange-b", target=target)
    second = run_json("quotes", "publish", file, "--source", "exchange-b", target=target)
    assert (first["acknowledged_sequence"], second["acknowledged_sequence"]) == (2, 4)
    assert (second["accepted"], second["refused"]) == (2, [])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (["spot:BTC,1,2026-03-02T12:00:00"], "line 2: observed_at was '2026-03-02T12:00:00' without a time zone"),
        ([",1,"], "line 2: subject is empty"),
    ],
)
def test_a_file_that_cannot_be_read_is_not_sent(target, tmp_path, rows, words):
    done = run("quotes", "publish", quote_file(tmp_path, *rows), "--source", "exchange-c", target=target)
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    with Client(target) as client:
        assert client.publish_quotes("exchange-c", [])[0].acknowledged_sequence == 0


def test_breakers_are_shown_and_reset_by_name(target):
    shown = run("market", "breakers", target=target).stdout
    assert [line.split()[:2] for line in shown.splitlines() if "ready" in line] == [
        ["calls", "ready"],
        ["liquidations", "ready"],
        ["concentration", "ready"],
    ]
    assert run("market", "reset-breaker", "calls", "--note", "nothing", "--as", "alice", target=target).returncode == 0
    misused = run("market", "reset-breaker", "everything", "--note", "x", target=target)
    assert (misused.returncode, misused.stdout) == (2, "")
    assert "calls, liquidations, concentration" in misused.stderr
