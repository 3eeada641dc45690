"""The secure path in a minute: certificates, a service on them, and commands in several roles, as processes."""

from __future__ import annotations

import json
import subprocess
import sys

from crossmargin_cli.demo_service import ServiceSettings, running_service
from crossmargin_cli.dev_certs import made_dev_certificates

CLI = [sys.executable, "-m", "crossmargin_cli"]


def test_a_service_on_throw_away_certificates_answers_each_role_as_it_may(tmp_path):
    """What `demo --secure` starts, and what the commands that it prints are told."""
    data, certs = tmp_path / "data", tmp_path / "certs"
    settings = made_dev_certificates(certs, target="127.0.0.1:1", clients=["meridian-basis"])
    assert (certs / "risk-key.pem").stat().st_mode & 0o077 == 0
    with running_service(ServiceSettings(data, environment=settings)) as service:

        def run(profile: str, *words: str) -> subprocess.CompletedProcess[str]:
            command = [*CLI, *words, "--target", service.grpc_address, "--profile", str(certs / f"{profile}.toml")]
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

        health = run("risk", "health", "--json")
        assert health.returncode == 0, health.stderr
        assert run("risk", "margin", "show", "--all", "--json").returncode == 0
        denied = run("publisher", "margin", "show", "--all")
        assert denied.returncode == 1
        assert "reason: PERMISSION_DENIED" in denied.stderr
        assert "next: " in denied.stderr
        foreign = run("trader", "margin", "show", "harbour-macro/core")
        assert "UNKNOWN_ACCOUNT" in foreign.stderr
        (certs / "risk.token").write_text((certs / "trader.token").read_text())  # made for another certificate
        unknown = run("risk", "margin", "show", "--all")
        assert "reason: UNAUTHENTICATED" in unknown.stderr
        assert "--token-file" in unknown.stderr
    lines = [json.loads(line) for line in (data / "service.log").read_text().splitlines() if line.startswith("{")]
    assert not any(line["event"] == "INSECURE" for line in lines)
    assert {line["reason"] for line in lines if line["event"] == "audit"} >= {"role", "foreign_client", "token_binding"}
