"""Every RPC x every role x own, foreign and no client x credentials that are right or wrong in one way, over TLS with real tokens."""

from __future__ import annotations

import time

import pytest_asyncio

from crossmargin.domain.role import Role
from tests.access.authority import ALL, OMS, Files
from tests.access.calls import all_of, answer_to, methods
from tests.access.expectations import EXPECTED, OPEN_TO_ANYONE, REFUSED_EMPTY
from tests.access.plausible import is_well_formed, request_of
from tests.access.secure_rig import bearer, channel_of, secure_server
from tests.access.test_matrix import FOREIGN, OWN, expected_verdict
from tests.integration.grpc_rig import create_books, memory_use_cases, publish_market, served

METHODS = methods()
WRONG = ("missing", "expired", "wrong audience", "another certificate's", "garbage", "twice")


@pytest_asyncio.fixture(scope="module")
async def rig(tmp_path_factory):
    """A secure service with a market, and a channel of a known workload."""
    files = Files(tmp_path_factory.mktemp("tls"))
    async with memory_use_cases() as use_cases:
        async with served(use_cases) as plain:
            await create_books(plain)
            await publish_market(plain)
        async with secure_server(use_cases, files, []) as address:
            oms = files.authority.client(OMS)
            async with channel_of(address, files, oms) as channel:
                yield files, oms, channel


def shown(files: Files, oms, role: str, state: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a caller whose token is wrong in one way."""
    now, claims = int(time.time()), {"roles": [role], "clients": "*", "sub": role}
    if state == "missing":
        return ()
    if state == "expired":
        return bearer(files.issuer.token(oms, iat=now - 900, nbf=now - 900, exp=now - 300, **claims))
    if state == "wrong audience":
        return bearer(files.issuer.token(oms, aud="another-service", **claims))
    if state == "another certificate's":
        return bearer(files.issuer.token(files.authority.client(OMS), **claims))
    if state == "garbage":
        return bearer("ey.ey.ey")
    return bearer(files.issuer.token(oms, **claims)) * 2


def clients_to_name(name: str) -> tuple[str, ...]:
    return (OWN, FOREIGN, "") if EXPECTED[name].fields else ("",)


async def test_with_wrong_credentials_nobody_is_let_in_anywhere(rig):
    files, oms, channel = rig
    cases = [(name, role.value, client, state) for state in WRONG for role in Role for name in EXPECTED for client in clients_to_name(name)]
    metadata = {(role.value, state): shown(files, oms, role.value, state) for role in Role for state in WRONG}

    async def verdict(name: str, role: str, client: str, state: str) -> str:
        request = request_of(METHODS[name], EXPECTED[name].fields, client)
        return (await answer_to(channel, METHODS[name], request, metadata[role, state])).verdict

    found = await all_of(verdict(*case) for case in cases)
    assert not [(*case, verdict) for case, verdict in zip(cases, found, strict=True) if verdict != "nobody"]
    assert len(cases) > 5_000
    for name in OPEN_TO_ANYONE:
        assert (await answer_to(channel, METHODS[name], request_of(METHODS[name], (), ""), ())).verdict == "in"


async def test_with_the_right_ones_everybody_is_let_in_where_the_table_says(rig):
    """What the matrix of insecure mode asks of metadata, asked of tokens: no wrong allow and no wrong deny."""
    files, oms, channel = rig
    cases = [
        (name, role.value, client, is_house)
        for role in Role
        for is_house in (False, True)
        for name in EXPECTED
        for client in clients_to_name(name)
    ]
    metadata = {
        (role.value, is_house): bearer(files.issuer.token(oms, roles=[role.value], clients="*" if is_house else [OWN], sub=role.value))
        for role in Role
        for is_house in (False, True)
    }

    async def difference(name: str, role: str, client: str, is_house: bool) -> tuple[str, ...] | None:
        request = request_of(METHODS[name], EXPECTED[name].fields, client)
        found = (await answer_to(channel, METHODS[name], request, metadata[role, is_house])).verdict
        expected = expected_verdict(name, role, client, is_house=is_house)
        if not client and EXPECTED[name].unnamed == REFUSED_EMPTY and expected in {"in", "malformed"}:
            assert not is_well_formed(request)
            expected = "in"  # refused by the field rules, which come after roles and before clients
        return None if found == expected else (name, role, client, "house" if is_house else "own", found, "instead of", expected)

    differences = await all_of(difference(*case) for case in cases)
    assert not [difference for difference in differences if difference]
    assert set(ALL) == {role.value for role in Role}
