"""Every RPC x every role x own, foreign and no client: nobody is let in who should not be, and nobody is kept out who should not be."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from crossmargin.adapters.grpc_server import server as server_module
from crossmargin.adapters.grpc_server.access_policy import shipped_policy
from crossmargin.domain.role import Role
from tests.access.calls import all_of, answer_to, methods
from tests.access.expectations import EXPECTED, HOUSE, OPEN_TO_ANYONE, REFUSED_EMPTY
from tests.access.plausible import is_well_formed, request_of
from tests.integration.grpc_rig import Rig, create_books, memory_use_cases, publish_market, served

OWN, FOREIGN = "alpha", "beta"
METHODS = methods()


@pytest_asyncio.fixture(scope="module")
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        yield running


def as_role(*roles: str, clients: str | None = OWN) -> list[tuple[str, str]]:
    scope = [] if clients is None else [("x-crossmargin-clients", clients)]
    return [("x-crossmargin-roles", ",".join(roles)), ("x-crossmargin-principal", "-".join(roles) or "nobody"), *scope]


def expected_verdict(name: str, role: str, client: str, *, is_house: bool) -> str:
    """What the table says of a call: denied, unknown, in, or malformed where the field rules refuse it first."""
    expected = EXPECTED[name]
    if role not in expected.roles:
        return "denied"
    if expected.is_of_house and not is_house:
        return "denied"
    if is_house or not expected.fields:
        return "denied" if expected.unnamed == HOUSE and not is_house else "in"
    if client == FOREIGN:
        return "unknown"
    if client:
        return "in"
    return {HOUSE: "denied", REFUSED_EMPTY: "malformed"}.get(expected.unnamed, "in")


async def verdict_of(rig: Rig, name: str, role: str, client: str, *, is_house: bool) -> str:
    request = request_of(METHODS[name], EXPECTED[name].fields, client)
    if not is_well_formed(request):
        client_is_missing = not client and EXPECTED[name].unnamed == REFUSED_EMPTY
        assert client_is_missing, f"the test's own request of {name} is malformed"
    answer = await answer_to(rig.channel, METHODS[name], request, as_role(role, clients=None if is_house else OWN))
    if answer.verdict == "in" and not is_well_formed(request):
        assert answer.refusal is not None
        assert answer.refusal.reason == "INVALID_ARGUMENT", answer
        return "malformed"
    return answer.verdict


def test_the_table_speaks_of_every_rpc():
    assert EXPECTED.keys() | OPEN_TO_ANYONE == METHODS.keys()
    assert {letter for expected in EXPECTED.values() for letter in expected.letters} == set("TROPAD")


@pytest.mark.parametrize("name", EXPECTED)
async def test_roles_and_clients_open_exactly_what_they_should(rig, name):
    if name == "MarginService/WatchMargin":
        await publish_market(rig)  # without one it has nothing to tell, and waits
    cases = [
        (role.value, is_house, client)
        for role in Role
        for is_house in (False, True)
        for client in ((OWN, FOREIGN, "") if EXPECTED[name].fields else ("",))
    ]

    async def difference(role: str, is_house: bool, client: str) -> tuple[str, ...] | None:
        expected = expected_verdict(name, role, client, is_house=is_house)
        if is_house and not client and EXPECTED[name].unnamed == REFUSED_EMPTY and expected == "in":
            expected = "malformed"
        found = await verdict_of(rig, name, role, client, is_house=is_house)
        return None if found == expected else (role, client or "no client", "house" if is_house else "own", found, "instead of", expected)

    differences = await all_of(difference(*case) for case in cases)
    assert not [difference for difference in differences if difference]


@pytest.mark.parametrize("name", sorted(OPEN_TO_ANYONE))
async def test_what_is_open_to_anyone_asks_for_no_role(rig, name):
    answer = await answer_to(rig.channel, METHODS[name], request_of(METHODS[name], (), ""), as_role(clients=""))
    assert answer.verdict == "in"


async def test_a_caller_without_a_role_is_let_in_nowhere(rig):
    for name in EXPECTED:
        answer = await answer_to(rig.channel, METHODS[name], request_of(METHODS[name], EXPECTED[name].fields, OWN), as_role())
        assert answer.verdict == "denied", name


@pytest.mark.parametrize(
    ("line", "changed", "name"),
    [
        ('SetLimits = { roles = ["risk"]', 'SetLimits = { roles = ["risk", "trader"]', "AccountService/SetLimits"),
        ('ReserveMargin = { roles = ["trader"]', 'ReserveMargin = { roles = ["risk"]', "MarginService/ReserveMargin"),
        (
            'clients = ["client_id"], unnamed = "house", urgent',
            'clients = ["client_id"], unnamed = "nobody", urgent',
            "AccountService/Halt",
        ),
    ],
)
async def test_the_matrix_fails_when_one_line_of_the_policy_changes(monkeypatch, line, changed, name):
    """Whatever the line gives or takes: the table was not made from the file."""
    assert line in shipped_policy()
    monkeypatch.setattr(server_module, "shipped_policy", lambda: shipped_policy().replace(line, changed))
    async with memory_use_cases() as use_cases, served(use_cases) as rig:
        await create_books(rig)
        with pytest.raises(AssertionError):
            await test_roles_and_clients_open_exactly_what_they_should(rig, name)
