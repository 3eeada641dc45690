"""A name in the metadata counts on a plain connection from this machine, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from crossmargin.adapters.grpc_server.context import LOCAL_PRINCIPAL, PRINCIPAL_KEY, principal_of
from crossmargin.domain.errors import DomainError, Reason

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
    assert principal_of(Call(peer)) == "alice"
    assert principal_of(Call(peer, metadata=())) == LOCAL_PRINCIPAL


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
def test_a_name_given_any_other_way_does_not(call):
    assert principal_of(call) == LOCAL_PRINCIPAL


@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "é", b"bytes"])
def test_a_name_that_could_not_be_journalled_is_refused(name):
    with pytest.raises(DomainError) as refused:
        principal_of(Call(metadata=((PRINCIPAL_KEY, name),)))
    assert (refused.value.reason, refused.value.facts["field"]) == (Reason.INVALID_ARGUMENT, PRINCIPAL_KEY)
