"""A name in the metadata counts on a plain connection from this machine, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from crossmargin.adapters.grpc_server.context import CLIENTS_KEY, LOCAL_PRINCIPAL, PRINCIPAL_KEY, ROLES_KEY, local_caller
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import ClientId
from crossmargin.domain.role import ALL_ROLES, Role
from crossmargin.domain.source_scope import EVERY_SOURCE
from crossmargin.usecases.caller import Caller

PLAIN = {"transport_security_type": [b"insecure"]}


@dataclass
class Call:
    """What a context says of a call."""

    from_peer: str = "ipv4:127.0.0.1:50000"
    security: dict = field(default_factory=lambda: dict(PLAIN))
    metadata: tuple = ((PRINCIPAL_KEY, "alice"),)

    def auth_context(self):
        return self.security

    def peer(self):
        return self.from_peer

    def invocation_metadata(self):
        return self.metadata


@pytest.mark.parametrize("peer", ["ipv4:127.0.0.1:50000", "ipv6:[::1]:50000", "ipv6:%5B::1%5D:50000"])
def test_a_name_given_on_this_machine_counts(peer):
    assert local_caller(Call(peer)).principal == "alice"
    assert local_caller(Call(peer, metadata=())) == Caller(LOCAL_PRINCIPAL, roles=ALL_ROLES, scope=WHOLE_HOUSE, sources=EVERY_SOURCE)


@pytest.mark.parametrize(
    "call",
    [
        Call("ipv4:10.0.0.7:50000"),
        Call("ipv6:[2001:db8::1]:50000"),
        Call("ipv4:12.70.0.1:50000"),
        Call(security={"transport_security_type": [b"ssl"]}),
        Call(security={"transport_security_type": [b"ssl"], "x509_common_name": [b"bob"]}),
    ],
    ids=["another machine", "another machine, IPv6", "looks like loopback", "TLS", "certificate"],
)
def test_nobody_else_is_let_in(call):
    with pytest.raises(DomainError) as refused:
        local_caller(call)
    assert refused.value.reason is Reason.UNAUTHENTICATED


def test_whoever_is_here_may_make_himself_less():
    given = ((ROLES_KEY, "trader, risk"), (CLIENTS_KEY, "alpha,beta"))
    caller = local_caller(Call(metadata=given))
    assert caller.roles == {Role.TRADER, Role.RISK}
    assert caller.scope == ClientScope(frozenset({ClientId("alpha"), ClientId("beta")}))
    assert local_caller(Call(metadata=((ROLES_KEY, ""), (CLIENTS_KEY, "")))) == Caller(LOCAL_PRINCIPAL, sources=EVERY_SOURCE)


@pytest.mark.parametrize(("key", "value"), [(ROLES_KEY, "king"), (ROLES_KEY, b"risk"), (CLIENTS_KEY, "Alpha"), (CLIENTS_KEY, b"alpha")])
def test_a_role_or_a_client_that_cannot_be_is_refused(key, value):
    with pytest.raises(DomainError) as refused:
        local_caller(Call(metadata=((key, value),)))
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.INVALID_ARGUMENT, key)


@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "é", b"bytes"])
def test_a_name_that_could_not_be_journalled_is_refused(name):
    with pytest.raises(DomainError) as refused:
        local_caller(Call(metadata=((PRINCIPAL_KEY, name),)))
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.INVALID_ARGUMENT, PRINCIPAL_KEY)
