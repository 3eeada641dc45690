"""Risk parameters and past margins from the command line, against a served demo."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.integration.command_line import COMMAND, environment, run, run_json, served_demo


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    with served_demo(folder / "data", folder / "log") as (_, address):
        yield address


def piped(text, *arguments, target):
    return subprocess.run([*COMMAND, *arguments], input=text, capture_output=True, text=True, check=False, env=environment(target))


def test_a_set_is_proposed_shadowed_approved_and_activated(target, tmp_path):
    shipped = run_json("parameters", "show", target=target)
    assert shipped["set_id"] == "standard-1"
    file = tmp_path / "house-2.json"
    file.write_text(json.dumps(shipped | {"set_id": "house-2", "initial_margin_multiple": "2"}))
    proposed = run_json("parameters", "propose", str(file), "--as", "alice", target=target)
    assert (proposed["state"], proposed["proposed_by"]) == ("PARAMETER_STATE_PROPOSED", "alice")

    before = run_json("margin", "show", "--all", target=target)["margins"]
    shadow = run_json("parameters", "shadow", "house-2", target=target)
    assert [one["account"] for one in shadow["accounts"]] == [margin["stamp"]["account"] for margin in before]
    assert Decimal(shadow["summary"]["initial_margin_after"]) > Decimal(shadow["summary"]["initial_margin_before"])
    table = run("parameters", "shadow", "house-2", target=target)
    assert table.returncode == 0
    assert "would be called" in table.stdout

    refused = run("parameters", "approve", "house-2", "--as", "alice", target=target)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "reason: FOUR_EYES_REQUIRED" in refused.stderr
    approved = run("parameters", "approve", "house-2", "--as", "bob", target=target)
    assert approved.stdout.startswith("house-2 is approved, proposed by alice, approved by bob\nnext: ")
    assert run("parameters", "activate", "house-2", "--as", "bob", target=target).returncode == 0
    sets = {one["parameter_set_id"]: one for one in run_json("parameters", "list", target=target)["parameter_sets"]}
    assert (sets["house-2"]["in_force"], sets["standard-1"]["state"]) == (True, "PARAMETER_STATE_RETIRED")
    assert "house-2" in run("parameters", "list", target=target).stdout
    after = run_json("margin", "show", "harbour-macro/core", target=target)["margins"][0]
    assert after["stamp"]["parameter_set_id"] == "house-2"
    assert Decimal(after["requirement"]["initial_margin"]) == 2 * Decimal(after["requirement"]["maintenance_margin"])

    # The market has moved on and other parameters are in force; what was shown before comes out the same all the same.
    past = piped(json.dumps({"margins": before}), "margin", "reproduce", "-", target=target)
    assert past.returncode == 0, past.stderr
    assert past.stdout.count("reproduced, every figure the same") == len(before)


def test_a_margin_that_was_tampered_with_is_found(target, tmp_path):
    shown = run_json("margin", "show", "harbour-macro/core", target=target)
    shown["margins"][0]["equity"]["equity"] = "1"
    file = tmp_path / "margin.json"
    file.write_text(json.dumps(shown))
    done = run("margin", "reproduce", str(file), target=target)
    assert done.returncode == 1
    assert "NOT reproduced: equity.equity was 1, came out as" in done.stdout
    answer = json.loads(run("margin", "reproduce", str(file), "--json", target=target).stdout)["reproductions"][0]
    assert (answer["reproduced"], answer["difference"]["field"]) == (False, "equity.equity")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["parameters", "activate", "standard-1", "--from", "tomorrow"], "expected a time with a zone"),
        (["parameters", "activate", "standard-1", "--from", "2027-01-01T00:00:00"], "expected a time with a zone"),
        (["parameters", "propose", "nowhere.json"], "nowhere.json cannot be read"),
        (["margin", "reproduce", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_what_makes_no_sense_is_said_in_words(target, arguments, words):
    done = run(*arguments, target=target)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_time_and_a_ramp_are_taken_as_given(target, tmp_path):
    file = tmp_path / "house-3.json"
    file.write_text(json.dumps(run_json("parameters", "show", "standard-1", target=target) | {"set_id": "house-3"}))
    run_json("parameters", "propose", str(file), "--as", "alice", target=target)
    run_json("parameters", "approve", "house-3", "--as", "bob", target=target)
    year = datetime.now(UTC).year + 20
    active = run_json("parameters", "activate", "house-3", "--from", f"{year}-01-01T00:00:00+00:00", "--ramp-days", "7", target=target)
    assert (active["active_from_time"], active["ramp_days"], active["in_force"]) == (f"{year}-01-01T00:00:00Z", 7, False)
