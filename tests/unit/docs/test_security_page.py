"""The page on security says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossmargin.adapters.grpc_server.denial import Cause
from crossmargin.adapters.grpc_server.tokens import CLOCK_SKEW_S
from crossmargin.config import SECURITY_SETTINGS, Settings
from crossmargin.domain.role import Role

PAGE = (Path(__file__).resolve().parents[3] / "service" / "docs" / "security.md").read_text()


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_of_a_denial_is_explained(cause):
    assert f"| `{cause.name.lower()}` | {cause.value} |" in PAGE


def test_every_role_is_explained():
    assert [role for role in Role if f"| {role.value} |" not in PAGE] == []


def test_settings_are_named_and_figures_are_those_in_force():
    named = {name for name in Settings.model_fields if f"CROSSMARGIN_{name.upper()}" in PAGE}
    assert {"token_issuer", "token_audience", "allow_list_file", "tls_client_ca_file", "calls_per_s", "most_calls"} <= named
    assert set(SECURITY_SETTINGS) <= set(Settings.model_fields)
    assert f"clocks may differ by {CLOCK_SKEW_S} s" in PAGE
    assert (Settings.model_fields["token_longest_s"].default, Settings.model_fields["connection_longest_s"].default) == (900.0, 600.0)
