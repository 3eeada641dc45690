"""`python -m crossmargin`: what it prints and the code it ends with."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from crossmargin.__main__ import REFUSED, USAGE, main
from crossmargin.config import Settings

URL = "postgresql://user:hunter2@db.example.com/margin"
OPEN_URL = "postgresql://user@db.example.com/margin"
"""Without a secret, so that it may be a word of a command."""


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"CROSSMARGIN_{name.upper()}", raising=False)


def test_the_configuration_is_shown_as_json_without_the_database_url():
    environment = os.environ | {"CROSSMARGIN_DATABASE_URL": URL, "CROSSMARGIN_DRAIN_S": "7"}
    command = [sys.executable, "-m", "crossmargin", "config", "show", "--json", "--compute-threads", "3"]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    values = json.loads(shown.stdout)
    assert set(values) == set(Settings.model_fields)
    assert (values["database_url"], values["drain_s"], values["compute_threads"]) == ("**********", 7.0, 3)
    assert "hunter2" not in shown.stdout + shown.stderr
    assert "db.example.com" not in shown.stdout + shown.stderr


def test_the_configuration_is_shown_as_a_table_without_the_database_url(capsys, monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_DATABASE_URL", URL)
    assert main(["config", "show"]) == 0
    shown = capsys.readouterr().out
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    assert list(lines) == list(Settings.model_fields)
    assert lines["database_url"].startswith("**********")
    assert lines["pg_bin"].startswith("- ")
    assert lines["grpc_address"] == f"{'127.0.0.1:50051':<24}  Where the gRPC service listens."
    assert "hunter2" not in shown


def test_a_flag_wins_over_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_GRPC_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("CROSSMARGIN_MONITOR", "true")
    assert main(["config", "show", "--json", "--grpc-address", "127.0.0.1:2", "--no-monitor"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["grpc_address"], values["monitor"]) == ("127.0.0.1:2", False)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--grpc-address", "nowhere"], "error: grpc_address: was 'nowhere'; expected HOST:PORT"),
        (["--compute-threads", "0"], "error: compute_threads: "),
        (["--drain-s", "x", "--admin-address", ":1"], "; drain_s: "),
    ],
)
def test_a_bad_setting_is_named_in_one_line_and_is_a_misuse(capsys, flags, sentence):
    assert main(["config", "show", *flags]) == USAGE
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("command", ["serve", "migrate", "verify-ledger", "rebuild-projections"])
@pytest.mark.parametrize("flags", [[], ["--embedded", "--database-url", OPEN_URL]])
def test_nothing_starts_without_exactly_one_database(capsys, command, flags):
    assert main([command, *flags]) == REFUSED
    told = capsys.readouterr().err
    assert told.startswith("error: expected either --embedded or a database URL")
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [([], "say so with --insecure"), (["--insecure", "--grpc-address", "0.0.0.0:50051"], "--insecure is for loopback only")],
)
def test_the_service_does_not_start_where_it_must_not_be_reached(capsys, flags, sentence):
    assert main(["serve", "--database-url", OPEN_URL, *flags]) == REFUSED
    assert sentence in capsys.readouterr().err


def test_an_auditor_is_told_what_cannot_be_read(capsys, tmp_path):
    missing = str(tmp_path / "missing")
    assert main(["anchor-key", "--anchor-key-file", missing]) == REFUSED
    assert "openssl genpkey -algorithm ed25519" in capsys.readouterr().err
    assert main(["verify-ledger", "--database-url", OPEN_URL, "--public-key", missing]) == REFUSED
    assert f"public key {missing} cannot be read" in capsys.readouterr().err
    assert main(["verify-ledger", "--database-url", OPEN_URL, "--anchors", missing]) == REFUSED
    assert f"{missing} cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["config"], ["unknown"], ["serve", "--unknown"], ["config", "show", "--compute-threads"]])
def test_a_misspelt_command_is_a_misuse(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == USAGE
    assert "usage: python -m crossmargin" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["serve"], ["migrate"], ["verify-ledger"], ["rebuild-projections"], ["anchor-key"], ["config", "show"]]
)
def test_every_command_explains_every_setting(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert [name for name in Settings.model_fields if f"--{name.replace('_', '-')}" not in told] == []


@pytest.mark.parametrize("flag", ["--database-url", "--migration-url"])
@pytest.mark.parametrize("url", [URL, "host=db user=user password=hunter2"])
def test_a_password_is_no_word_of_a_command(capsys, flag, url):
    assert main(["migrate", flag, url]) == REFUSED
    told = capsys.readouterr().err
    assert told.startswith(f"error: {flag} holds a password")
    assert "hunter2" not in told


def test_a_migration_of_a_database_that_nobody_answers_for_says_so_in_a_sentence(capsys, monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_DATABASE_URL", "postgresql://user@127.0.0.1:1/margin")
    assert main(["migrate"]) == REFUSED
    assert (
        capsys.readouterr().err == "error: the database cannot be reached; check CROSSMARGIN_DATABASE_URL and that it lets this user in\n"
    )
