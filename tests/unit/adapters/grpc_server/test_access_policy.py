"""A policy that leaves anything open stops the start, and says what."""

from __future__ import annotations

import re

import pytest

from crossmargin.adapters.grpc_server.access_policy import AccessPolicyError, Unnamed, read_policy, shipped_policy
from crossmargin.adapters.grpc_server.server import PROTECTED_SERVICES, SERVICES
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import reconciliation_service_pb2 as reconciliation_pb
from crossmargin.domain.role import Role


def without(line_start: str) -> str:
    text = shipped_policy()
    assert line_start in text
    return re.sub(rf"^{re.escape(line_start)}.*\n", "", text, flags=re.MULTILINE)


def fault_of(text: str) -> str:
    with pytest.raises(AccessPolicyError) as refused:
        read_policy(text, PROTECTED_SERVICES)
    return str(refused.value)


def test_the_shipped_policy_has_a_rule_for_every_rpc():
    policy = read_policy(shipped_policy(), PROTECTED_SERVICES)
    rule = policy["/crossmargin.api.v1.AccountService/Halt"]
    assert (rule.method, rule.unnamed, rule.is_urgent) == ("AccountService/Halt", Unnamed.HOUSE, True)
    assert rule.roles == {Role.TRADER, Role.RISK, Role.OPERATIONS}
    assert policy["/grpc.health.v1.Health/Check"].roles is None
    assert {f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods} < policy.keys()


def test_an_rpc_without_an_entry_stops_the_start():
    assert "MarginService/GetMargin has no entry" in fault_of(without("GetMargin = "))


def test_an_entry_without_an_rpc_stops_the_start():
    assert "MarginService/GetMargins has an entry" in fault_of(shipped_policy().replace("GetMargin = ", "GetMargins = "))


def test_every_fault_is_named_at_once():
    fault = fault_of(without("GetMargin = ").replace('SetLimits = { roles = ["risk"]', 'SetLimits = { roles = ["king"]'))
    assert "MarginService/GetMargin" in fault
    assert "AccountService/SetLimits" in fault


@pytest.mark.parametrize(
    ("line", "changed", "fault"),
    [
        (
            'GetAccount = { roles = ["trader", "risk", "operations", "auditor"], clients = ["name"] }',
            'GetAccount = { roles = ["risk"] }',
            "name",
        ),
        ('"lines.account", "accounts"', '"accounts"', "lines.account"),
        ('clients = ["limits.scope"]', 'clients = ["limits.scop"]', "scop"),
        ('clients = ["limits.scope"]', 'clients = ["limits"]', "limits"),
        ('SetLimits = { roles = ["risk"]', "SetLimits = { roles = []", "roles"),
        ('SetLimits = { roles = ["risk"]', 'SetLimits = { roles = "risk"', "roles"),
        ('SetLimits = { roles = ["risk"]', 'SetLimits = { role = ["risk"]', "role"),
        ('unnamed = "house", urgent = true', 'unnamed = "all", urgent = true', "unnamed"),
        ('unnamed = "house", urgent = true', 'unnamed = "house", urgent = 1', "urgent"),
        ("[MarginService]", "[MarginService", "TOML"),
    ],
)
def test_an_entry_that_says_what_cannot_be_stops_the_start(line, changed, fault):
    """A field that names an account and is not listed is the one that matters most: nobody would check it."""
    assert line in shipped_policy()
    assert fault in fault_of(shipped_policy().replace(line, changed))


def test_names_are_found_wherever_a_request_holds_them():
    policy = read_policy(shipped_policy(), PROTECTED_SERVICES)
    reproduce = policy["/crossmargin.api.v1.MarginService/ReproduceMargin"]
    stamp = margin_pb.MarginStamp(account="clients/a/accounts/x")
    assert reproduce.named_by(margin_pb.ReproduceMarginRequest(stamp=stamp)) == ["clients/a/accounts/x"]
    margin = margin_pb.Margin(stamp=margin_pb.MarginStamp(account="clients/b/accounts/y"))
    assert reproduce.named_by(margin_pb.ReproduceMarginRequest(stamp=stamp, margin=margin)) == [
        "clients/a/accounts/x",
        "clients/b/accounts/y",
    ]
    assert reproduce.named_by(margin_pb.ReproduceMarginRequest()) == []
    reconcile = policy["/crossmargin.api.v1.ReconciliationService/ReconcileStatement"]
    lines = [reconciliation_pb.StatementLine(account=f"clients/{name}/accounts/x") for name in ("a", "b")]
    request = reconciliation_pb.ReconcileStatementRequest(lines=lines, accounts=["clients/c/accounts/x"])
    assert [name.split("/")[1] for name in reconcile.named_by(request)] == ["a", "b", "c"]
