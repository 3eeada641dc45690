"""What the readers of clients, accounts and ledgers promise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossmargin.domain.account import Account, AccountMode, AccountStatus, Client
from crossmargin.domain.book import entry_from_methodology, entry_from_policy
from crossmargin.domain.client_scope import NO_CLIENT, ClientScope
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId
from crossmargin.domain.methodology import AccountMethodology, Methodology
from crossmargin.usecases.ports.page import Page
from tests.builders import AS_OF, cash
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, decide_entries

# "a-b" sorts after "a" as a client, yet "clients/a-b/..." before "clients/a/..." as text.
NAMES = ["clients/b/accounts/x", "clients/a-b/accounts/y", "clients/a/accounts/z", "clients/a/accounts/core"]
REFS = [AccountRef.parse(name) for name in NAMES]


async def test_clients_come_back_as_stored_and_in_order_page_by_page(storage):
    clients = [Client(ClientId(name), f"Client {name}") for name in ("zeta", "a", "a-b", "m1")]
    await storage.create(*clients)
    in_order = sorted(clients, key=lambda client: client.client_id)
    assert await storage.books.get_client(ClientId("a-b")) == clients[2]
    assert list(await storage.books.list_clients(Page(10))) == in_order
    assert list(await storage.books.list_clients(Page(2))) == in_order[:2]
    assert list(await storage.books.list_clients(Page(2, after=in_order[1].client_id))) == in_order[2:]
    assert list(await storage.books.list_clients(Page(2, after="zeta"))) == []
    inside = ClientScope(frozenset({in_order[1].client_id, in_order[2].client_id}))
    assert list(await storage.books.list_clients(Page(10), scope=inside)) == in_order[1:3]
    assert list(await storage.books.list_clients(Page(10, after=in_order[1].client_id), scope=inside)) == in_order[2:3]
    assert list(await storage.books.list_clients(Page(10), scope=NO_CLIENT)) == []


async def test_accounts_come_back_as_stored_and_in_order_page_by_page(storage):
    await storage.open_accounts(*REFS)
    isolated = Account(AccountRef(ClientId("a"), AccountId("satellite")), "Satellite", AccountMode.ISOLATED, AccountId("core"))
    await storage.create(isolated)
    assert await storage.books.get_account(isolated.ref) == isolated
    in_order = sorted([*REFS, isolated.ref])
    paged, after = [], None
    while page := [account.ref for account in await storage.books.list_accounts(None, Page(2, after=after))]:
        assert len(page) <= 2
        paged += page
        after = str(page[-1])
    assert paged == in_order
    of_a = [account.ref for account in await storage.books.list_accounts(ClientId("a"), Page(10))]
    assert of_a == [ref for ref in in_order if ref.client_id == "a"]
    rest = [account.ref for account in await storage.books.list_accounts(ClientId("a"), Page(10, after=str(of_a[0])))]
    assert rest == of_a[1:]
    inside = ClientScope(frozenset({ClientId("a"), ClientId("b")}))
    listed = [account.ref for account in await storage.books.list_accounts(None, Page(10), scope=inside)]
    assert listed == [ref for ref in in_order if ref.client_id in {"a", "b"}]
    assert list(await storage.books.list_accounts(ClientId("a-b"), Page(10), scope=inside)) == []
    assert list(await storage.books.list_accounts(None, Page(10), scope=NO_CLIENT)) == []


async def test_a_page_after_something_that_is_no_account_name_is_refused(storage):
    with pytest.raises(DomainError) as refused:
        await storage.books.list_accounts(None, Page(2, after="core"))
    assert refused.value.reason is Reason.INVALID_IDENTIFIER


async def test_what_is_not_there_is_unknown(storage):
    await storage.open_accounts(CORE)
    with pytest.raises(DomainError) as refused:
        await storage.books.get_client(ClientId("beta"))
    assert refused.value.reason is Reason.UNKNOWN_CLIENT
    reads = [
        storage.books.get_account,
        storage.books.account_state,
        lambda ref: storage.books.list_entries(ref, after_sequence=0, limit=1),
        lambda ref: storage.books.account_state_at(ref, 0),
    ]
    # Another client's account of the same name, and another account of the same client.
    for ref in (OTHER, AccountRef(CORE.client_id, AccountId("none"))):
        for read in reads:
            with pytest.raises(DomainError) as refused:
                await read(ref)
            assert (refused.value.reason, refused.value.facts) == (Reason.UNKNOWN_ACCOUNT, {"account": str(ref)})


async def test_one_account_sees_nothing_of_another(storage):
    await storage.open_accounts(CORE, OTHER)
    await storage.book(a_request("k1", CORE), CORE, 100)
    state = await storage.books.account_state(OTHER)
    assert (state.positions, state.head.sequence) == ((), 0)
    assert list(await storage.books.list_entries(OTHER, after_sequence=0, limit=10)) == []


async def test_the_state_of_an_account_has_head_positions_by_book_and_policies(storage):
    await storage.open_accounts(CORE)
    await storage.create(cash())
    await storage.create(AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED))
    entries = [
        a_deposit(CORE, 7, instrument="USD", book=BookId("rates")),
        a_deposit(CORE, "1.5", instrument="BTC", book=BookId("basis")),
        a_deposit(CORE, -3, instrument="USD", book=BookId("basis")),
    ]
    await storage.writer.write(a_request("k1", CORE), decide_entries(*entries))
    state = await storage.books.account_state(CORE)
    assert state.account == Account(CORE, "An account", AccountMode.CROSS)
    assert (state.head.ref, state.head.sequence, state.head.status) == (CORE, 3, AccountStatus.OPEN)
    assert [(p.book_id, p.instrument_id, p.quantity) for p in state.positions] == [
        ("basis", "BTC", a_deposit(CORE, "1.5").postings[0].quantity),
        ("basis", "USD", -3),
        ("rates", "USD", 7),
    ]
    assert state.policies == {InstrumentId("USD"): CollateralPolicy.PLEDGED}


async def test_states_of_many_accounts_are_those_of_each_and_nobody_elses(storage):
    await storage.open_accounts(CORE, OTHER, REFS[0])
    await storage.create(cash())
    await storage.create(AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED))
    await storage.book(a_request("k1", CORE), CORE, 1, 2)
    await storage.book(a_request("k2", OTHER), OTHER, 3)
    # Of the names alone, the client of one and the account of another, there is no account.
    mixed = AccountRef(REFS[0].client_id, AccountId("nobody"))
    found = await storage.books.account_states([OTHER, mixed, CORE, OTHER])
    assert list(found) == [await storage.books.account_state(ref) for ref in sorted((CORE, OTHER))]
    assert list(await storage.books.account_states([])) == []


async def test_packed_states_are_the_same_states_to_the_last_digit(storage):
    await storage.open_accounts(CORE, OTHER, REFS[0])
    await storage.create(cash())
    await storage.create(AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED))
    entries = [
        a_deposit(CORE, "0.000000000000000001", instrument="USD", book=BookId("rates")),
        a_deposit(CORE, "1.50", instrument="BTC", book=BookId("basis")),
        a_deposit(CORE, -3, instrument="USD", book=BookId("basis")),
        a_deposit(CORE, 2, instrument="BTC-USD-PERP"),
        a_deposit(CORE, -2, instrument="BTC-USD-PERP"),
    ]
    await storage.writer.write(a_request("k1", CORE), decide_entries(*entries))
    for _ in range(2):
        found = await storage.books.packed_states([OTHER, CORE, AccountRef(CORE.client_id, AccountId("none")), CORE])
        each = [await storage.books.account_state(ref) for ref in sorted((CORE, OTHER))]
        assert [repr(state.unpacked()) for state in found] == [repr(state) for state in each]
        assert [len(state.positions) for state in each] == [3, 0]
    assert list(await storage.books.packed_states([])) == []


async def test_sequences_name_every_open_account(storage):
    await storage.open_accounts(CORE, OTHER, REFS[0])
    await storage.book(a_request("k1", CORE), CORE, 1, 2)
    storage.close_account(REFS[0])
    assert await storage.books.account_sequences() == {CORE: 2, OTHER: 0}


async def test_entries_come_back_as_booked_from_a_sequence_on(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE), CORE, 10, "0.000000000000000001", 30, 40)
    entries = await storage.books.list_entries(CORE, after_sequence=0, limit=100)
    assert [entry.entry for entry in entries] == [a_deposit(CORE, quantity) for quantity in (10, "0.000000000000000001", 30, 40)]
    middle = await storage.books.list_entries(CORE, after_sequence=1, limit=2)
    assert [entry.sequence for entry in middle] == [2, 3]
    assert list(await storage.books.list_entries(CORE, after_sequence=4, limit=2)) == []


async def test_an_entry_that_moves_nothing_is_numbered_and_comes_back(storage):
    await storage.open_accounts(CORE)
    await storage.create(cash())
    policy = AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED)
    entry = entry_from_policy(policy, effective_at=AS_OF)
    await storage.writer.write(a_request("k1", CORE), decide_entries(entry, records=(policy,)))
    await storage.book(a_request("k2", CORE), CORE, 100)
    assert [booked.entry for booked in await storage.books.list_entries(CORE, after_sequence=0, limit=9)] == [entry, a_deposit(CORE, 100)]
    state = await storage.books.account_state(CORE)
    assert (state.head.sequence, state.policies) == (2, {InstrumentId("USD"): CollateralPolicy.PLEDGED})


async def test_the_state_as_of_an_entry_is_what_it_was_then(storage):
    await storage.open_accounts(CORE)
    await storage.create(cash())
    policy = AccountCollateralPolicy(CORE, InstrumentId("USD"), CollateralPolicy.PLEDGED)
    steps = [
        decide_entries(a_deposit(CORE, "1.000000000000000001")),
        decide_entries(a_deposit(CORE, "-2.5", instrument="BTC-PERP", cost="-150000.25", book=BookId("basis"))),
        decide_entries(entry_from_policy(policy, effective_at=AS_OF), records=(policy,)),
        decide_entries(a_deposit(CORE, "2.5", instrument="BTC-PERP", cost="150000.25", book=BookId("basis"))),
        decide_methodology(Methodology.SPAN_GRID),
        decide_methodology(Methodology.RATIO),
        decide_entries(
            entry_from_policy(replace(policy, policy=CollateralPolicy.RISKED), effective_at=AS_OF),
            a_deposit(CORE, "5"),
            records=(replace(policy, policy=CollateralPolicy.RISKED),),
        ),
    ]
    states = [await storage.books.account_state(CORE)]
    for number, decide in enumerate(steps):
        await storage.writer.write(a_request(f"k{number}", CORE), decide)
        states.append(await storage.books.account_state(CORE))
    assert [state.head.sequence for state in states] == [0, 1, 2, 3, 4, 5, 6, 8]
    for state in states:
        then = await storage.books.account_state_at(CORE, state.head.sequence)
        assert (then, then.account.methodology) == (state, state.account.methodology)
    assert [state.account.methodology.value for state in states[4:]] == ["expected_shortfall", "span_grid", "ratio", "ratio"]


async def test_a_methodology_is_replaced_and_is_that_of_one_account_alone(storage):
    await storage.open_accounts(CORE, OTHER)
    for number, methodology in enumerate((Methodology.SPAN_GRID, Methodology.STANDARD_SCHEDULE)):
        await storage.writer.write(a_request(f"k{number}", CORE), decide_methodology(methodology))
    read = [await storage.books.get_account(CORE), (await storage.books.list_accounts(None, Page(9)))[0]]
    assert [account.methodology for account in read] == [Methodology.STANDARD_SCHEDULE] * 2
    assert (await storage.books.get_account(OTHER)).methodology is Methodology.EXPECTED_SHORTFALL
    stranger = AccountMethodology(AccountRef(CORE.client_id, AccountId("none")), Methodology.RATIO)
    with pytest.raises(DomainError) as refused:
        await storage.create(stranger)
    assert refused.value.reason is Reason.UNKNOWN_ACCOUNT


async def test_an_entry_that_is_not_there_yet_is_not_reached(storage):
    await storage.open_accounts(CORE, OTHER)
    await storage.book(a_request("k1", CORE), CORE, 1)
    await storage.book(a_request("k2", OTHER), OTHER, 7, 7)
    assert [position.quantity for position in (await storage.books.account_state_at(CORE, 1)).positions] == [1]
    with pytest.raises(DomainError) as refused:
        await storage.books.account_state_at(CORE, 2)
    assert refused.value.reason is Reason.SEQUENCE_NOT_REACHED


def decide_methodology(methodology):
    """Decide to margin the core account by a methodology from its next entry on."""
    chosen = AccountMethodology(CORE, methodology)
    return decide_entries(entry_from_methodology(chosen, effective_at=AS_OF), records=(chosen,))
