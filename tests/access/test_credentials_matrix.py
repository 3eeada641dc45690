"""Every RPC x every role x own, foreign and no client x credentials that are right or wrong in one way, over TLS with real tokens."""

from __future__ import annotations

import time

import pytest_asyncio

from crossmargin.domain.role import Role
from tests.access.authority import ALL, OMS, Files
from tests.access.calls import answer_to, methods
from tests.access.expectations import EXPECTED, OPEN_TO_ANYONE, REFUSED_EMPTY
from tests.access.plausible import is_well_formed, request_of
from tests.access.secure_rig import bearer, channel_of, secure_server
from tests.access.test_matrix import FOREIGN, OWN, expected_verdict
from tests.integration.grpc_rig import create_books, memory_use_cases, publish_market, served

METHODS = methods()
WRONG = ("missing", "expired", "wrong audience", "another certificate's", "garbage", "twice")


@pytest_asyncio.fixture
async def rig(tmp_path):
    """A secure service with a market, and a channel of a known workload."""
    files = Files(tmp_path)
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
    wrong, count = [], 0
    for state in WRONG:
        for role in (role.value for role in Role):
            metadata = shown(files, oms, role, state)
            for name in EXPECTED:
                for client in clients_to_name(name):
                    answer = await answer_to(channel, METHODS[name], request_of(METHODS[name], EXPECTED[name].fields, client), metadata)
                    count += 1
                    if answer.verdict != "nobody":
                        wrong.append((name, role, client, state, answer.verdict))
    assert not wrong
    assert count > 5_000
    for name in OPEN_TO_ANYONE:
        assert (await answer_to(channel, METHODS[name], request_of(METHODS[name], (), ""), ())).verdict == "in"


async def test_with_the_right_ones_everybody_is_let_in_where_the_table_says(rig):
    """What the matrix of insecure mode asks of metadata, asked of tokens: no wrong allow and no wrong deny."""
    files, oms, channel = rig
    wrong = []
    for role in (role.value for role in Role):
        for is_house in (False, True):
            metadata = bearer(files.issuer.token(oms, roles=[role], clients="*" if is_house else [OWN], sub=role))
            for name in EXPECTED:
                for client in clients_to_name(name):
                    request = request_of(METHODS[name], EXPECTED[name].fields, client)
                    found = (await answer_to(channel, METHODS[name], request, metadata)).verdict
                    expected = expected_verdict(name, role, client, is_house=is_house)
                    if not client and EXPECTED[name].unnamed == REFUSED_EMPTY and expected in {"in", "malformed"}:
                        assert not is_well_formed(request)
                        expected = "in"  # refused by the field rules, which come after roles and before clients
                    if found != expected:
                        wrong.append((name, role, client, "house" if is_house else "own", found, "instead of", expected))
    assert not wrong
    assert set(ALL) == {role.value for role in Role}
