"""What a writer promises: every key is decided at most once, on heads that nobody else moves meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.account import GENESIS_HASH, Account, AccountMode, Client
from crossmargin.domain.book import Entry, append_to_chain
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId, InstrumentId
from crossmargin.usecases.ports.writing import Decision
from tests.builders import cash, coin
from tests.contract.storage import CORE, OTHER, a_deposit, a_request, decide_deposits, decide_entries, decide_records


async def quantity_of(storage, ref):
    state = await storage.books.account_state(ref)
    return sum(position.quantity for position in state.positions)


async def test_same_key_and_request_books_once_and_replays_the_stored_response(storage):
    await storage.open_accounts(CORE)
    first = await storage.book(a_request("k1", CORE), CORE, 100)
    second = await storage.book(a_request("k1", CORE), CORE, 100)
    assert (first.replayed, second.replayed) == (False, True)
    assert second.response == first.response == b"after 0"
    assert await quantity_of(storage, CORE) == 100


async def test_a_replay_does_not_decide_again(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE), CORE, 100)

    async def decide(heads):
        raise AssertionError("decided a known key")

    assert (await storage.writer.write(a_request("k1", CORE), decide)).replayed


async def test_same_key_with_another_request_is_refused_and_books_nothing(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE, body="buy"), CORE, 100)
    before = storage.row_counts()
    with pytest.raises(DomainError) as refused:
        await storage.book(a_request("k1", CORE, body="sell"), CORE, 50)
    assert refused.value.reason is Reason.REQUEST_ID_REUSED
    assert storage.row_counts() == before
    assert await quantity_of(storage, CORE) == 100


async def test_a_key_belongs_to_its_principal_and_method(storage):
    await storage.open_accounts(CORE)
    request = a_request("k1", CORE)
    for each in (request, replace(request, principal="spiffe://test/another"), replace(request, method="Another")):
        assert not (await storage.book(each, CORE, 100)).replayed
    assert await quantity_of(storage, CORE) == 300


async def test_two_keys_book_twice(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE), CORE, 100)
    second = await storage.book(a_request("k2", CORE), CORE, 100)
    assert second.response == b"after 1"
    assert await quantity_of(storage, CORE) == 200


async def test_a_decision_that_raises_leaves_no_row_and_the_key_free(storage):
    await storage.open_accounts(CORE)
    before = storage.row_counts()

    async def refuse(heads):
        raise DomainError(Reason.INVALID_QUANTITY, "no")

    with pytest.raises(DomainError, match="no"):
        await storage.writer.write(a_request("k1", CORE), refuse)
    assert storage.row_counts() == before
    assert not (await storage.book(a_request("k1", CORE), CORE, 100)).replayed


async def test_an_error_while_storing_leaves_no_row_and_the_key_free(storage):
    await storage.open_accounts(CORE)
    await storage.create(Client(ClientId("gamma"), "Gamma"))
    before = storage.row_counts()
    conflicting = decide_records(Client(ClientId("delta"), "Delta"), Client(ClientId("gamma"), "Not Gamma"))
    with pytest.raises(DomainError):
        await storage.writer.write(a_request("k1"), conflicting)
    assert storage.row_counts() == before
    assert not (await storage.writer.write(a_request("k1"), decide_records())).replayed


@pytest.mark.parametrize("name", ["clients/alpha/accounts/none", "clients/none/accounts/core", "clients/beta/accounts/core"])
async def test_an_account_that_is_not_there_is_unknown_and_the_key_stays_free(storage, name):
    await storage.open_accounts(CORE)
    before = storage.row_counts()
    with pytest.raises(DomainError) as refused:
        await storage.book(a_request("k1", CORE, AccountRef.parse(name)), CORE, 1)
    assert (refused.value.reason, refused.value.facts) == (Reason.UNKNOWN_ACCOUNT, {"account": name})
    assert storage.row_counts() == before
    assert not (await storage.book(a_request("k1", CORE), CORE, 1)).replayed


async def test_the_head_of_a_new_account_begins_the_chain(storage):
    await storage.open_accounts(CORE)
    seen = {}

    async def look(heads):
        seen.update(heads)
        return Decision(b"looked")

    await storage.writer.write(a_request("k1", CORE), look)
    head = seen[CORE]
    assert (head.ref, head.mode, head.sequence, head.chain_hash) == (CORE, AccountMode.CROSS, 0, GENESIS_HASH)


async def test_sixteen_concurrent_writers_on_one_account_leave_no_gap_and_lose_nothing(storage):
    await storage.open_accounts(CORE)
    outcomes = await asyncio.gather(*(storage.book(a_request(f"k{n}", CORE), CORE, n) for n in range(1, 17)))
    assert sorted(int(outcome.response.split()[1]) for outcome in outcomes) == list(range(16))
    entries = await storage.books.list_entries(CORE, after_sequence=0, limit=100)
    assert [entry.sequence for entry in entries] == list(range(1, 17))
    assert await quantity_of(storage, CORE) == sum(range(1, 17))


async def test_a_limit_that_each_decision_respects_is_never_breached_together(storage):
    await storage.open_accounts(CORE)
    limit = Decimal(10)

    async def approve(heads):
        held = await quantity_of(storage, CORE)
        await asyncio.sleep(0)
        if held + 3 > limit:
            return Decision(b"refused")
        return Decision(b"approved", append_to_chain(heads[CORE], (a_deposit(CORE, 3),)))

    outcomes = await asyncio.gather(*(storage.writer.write(a_request(f"k{n}", CORE), approve) for n in range(8)))
    assert sorted(outcome.response for outcome in outcomes) == [b"approved"] * 3 + [b"refused"] * 5
    assert await quantity_of(storage, CORE) == 9


async def test_the_same_key_from_many_writers_at_once_books_once(storage):
    await storage.open_accounts(CORE)
    outcomes = await asyncio.gather(*(storage.book(a_request("k1", CORE), CORE, 100) for _ in range(8)))
    assert sorted(outcome.replayed for outcome in outcomes) == [False] + [True] * 7
    assert {outcome.response for outcome in outcomes} == {b"after 0"}
    assert await quantity_of(storage, CORE) == 100


async def test_accounts_named_in_any_order_never_wait_for_one_another_in_a_circle(storage):
    refs = [AccountRef(ClientId(client), AccountId(account)) for client in ("alpha", "beta") for account in ("a", "b")]
    await storage.open_accounts(*refs)
    orders = list(itertools.permutations(refs))[:12]

    def transfer(order):
        return decide_entries(*(a_deposit(ref, 1) for ref in order))

    decided = []

    async def write(number, order):
        decide = transfer(order)

        async def counted(heads):
            decided.append(number)
            return await decide(heads)

        return await storage.writer.write(a_request(f"k{number}", *order), counted)

    await asyncio.gather(*(write(number, order) for number, order in enumerate(orders)))
    for ref in refs:
        assert await quantity_of(storage, ref) == len(orders)
    # A deadlock would be broken by the server and decided again.
    assert sorted(decided) == list(range(len(orders)))


async def test_an_entry_and_several_in_one_write_continue_the_chain(storage):
    await storage.open_accounts(CORE)
    locked = []

    async def decide(heads, *quantities):
        locked.append(heads[CORE])
        return Decision(b"?", append_to_chain(heads[CORE], tuple(a_deposit(CORE, quantity) for quantity in quantities)))

    await storage.writer.write(a_request("k1", CORE), lambda heads: decide(heads, 1))
    await storage.writer.write(a_request("k2", CORE), lambda heads: decide(heads, 2, 3, 4))
    entries = await storage.books.list_entries(CORE, after_sequence=0, limit=100)
    head = (await storage.books.account_state(CORE)).head
    start = replace(head, sequence=0, chain_hash=GENESIS_HASH)
    first = append_to_chain(replace(start, locked_at=locked[0].locked_at), (entries[0].entry,))
    after = replace(start, sequence=1, chain_hash=first[-1].chain_hash, locked_at=locked[1].locked_at)
    recomputed = first + append_to_chain(after, tuple(entry.entry for entry in entries[1:]))
    assert None not in {one.locked_at for one in locked}
    assert [entry.chain_hash for entry in entries] == [entry.chain_hash for entry in recomputed]
    assert [entry.previous_hash for entry in entries] == [entry.previous_hash for entry in recomputed]
    assert (head.sequence, head.chain_hash) == (4, recomputed[-1].chain_hash)


@pytest.mark.parametrize(
    ("sequence", "previous"),
    [(1, b"\1" * 32), (2, GENESIS_HASH), (3, GENESIS_HASH)],
    ids=["other previous hash", "number skipped", "two numbers skipped"],
)
async def test_an_entry_that_does_not_continue_the_chain_is_refused_whole(storage, sequence, previous):
    await storage.open_accounts(CORE)
    before = storage.row_counts()

    async def misnumber(heads):
        good = append_to_chain(heads[CORE], (a_deposit(CORE, 5),))[0]
        return Decision(b"?", (Entry(sequence, good.entry, previous, good.chain_hash),))

    with pytest.raises(ValueError, match="chain"):
        await storage.writer.write(a_request("k1", CORE), misnumber)
    assert storage.row_counts() == before
    assert await quantity_of(storage, CORE) == 0


async def test_a_gap_inside_one_write_is_refused_whole(storage):
    await storage.open_accounts(CORE)
    before = storage.row_counts()

    async def skip_the_middle(heads):
        first, _, third = append_to_chain(heads[CORE], (a_deposit(CORE, 1), a_deposit(CORE, 2), a_deposit(CORE, 3)))
        return Decision(b"?", (first, third))

    with pytest.raises(ValueError, match="chain"):
        await storage.writer.write(a_request("k1", CORE), skip_the_middle)
    assert storage.row_counts() == before


async def test_positions_are_the_sum_of_the_accounts_own_postings(storage):
    await storage.open_accounts(CORE)
    moves = [("USD", 100, 0), ("BTC-PERP", "2.5", "150000.25"), ("USD", "-40.000000000000000001", 0), ("BTC-PERP", "-1", "-61000")]
    for number, (instrument, quantity, cost) in enumerate(moves):
        entry = a_deposit(CORE, quantity, instrument=instrument, cost=cost)
        await storage.writer.write(a_request(f"k{number}", CORE), decide_entries(entry))
    state = await storage.books.account_state(CORE)
    entries = await storage.books.list_entries(CORE, after_sequence=0, limit=100)
    own = [leg for entry in entries for leg in entry.entry.postings if leg.ledger_account == CORE.account_id]
    for position in state.positions:
        legs = [leg for leg in own if leg.instrument_id == position.instrument_id]
        assert position.quantity == sum(leg.quantity for leg in legs)
        assert position.cost == sum(leg.cost for leg in legs)
    assert {(str(p.instrument_id), p.quantity, p.cost) for p in state.positions} == {
        ("USD", Decimal("59.999999999999999999"), Decimal(0)),
        ("BTC-PERP", Decimal("1.5"), Decimal("89000.25")),
    }


async def test_what_nets_to_nothing_is_no_position_any_more(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE), CORE, 5, -5)
    assert (await storage.books.account_state(CORE)).positions == ()


async def test_a_position_that_outgrows_the_ledger_is_refused_and_books_nothing(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE), CORE, "99999999999999999999")
    before = storage.row_counts()
    with pytest.raises(DomainError) as refused:
        await storage.book(a_request("k2", CORE), CORE, "1")
    assert refused.value.reason is Reason.INVALID_DECIMAL
    assert storage.row_counts() == before
    assert await quantity_of(storage, CORE) == Decimal(99999999999999999999)


async def test_a_caller_that_gives_up_leaves_the_books_whole(storage):
    await storage.open_accounts(CORE)
    entered, may_go_on = asyncio.Event(), asyncio.Event()

    async def decide(heads):
        entered.set()
        await may_go_on.wait()
        return await decide_deposits(CORE, 100)(heads)

    writing = asyncio.create_task(storage.writer.write(a_request("k1", CORE), decide))
    await entered.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    may_go_on.set()
    # Whether the write went on to its end or was undone, asking again with the key books once in all.
    await storage.book(a_request("k1", CORE), CORE, 100)
    assert await quantity_of(storage, CORE) == 100


async def test_a_halt_refuses_requests_and_books_facts(storage):
    await storage.open_accounts(CORE)
    storage.set_halted(True)
    before = storage.row_counts()
    with pytest.raises(DomainError) as refused:
        await storage.book(a_request("k1", CORE, is_fact=False), CORE, 1)
    assert refused.value.reason is Reason.HALTED
    assert storage.row_counts() == before
    assert not (await storage.book(a_request("k2", CORE), CORE, 1)).replayed
    storage.set_halted(False)
    assert not (await storage.book(a_request("k1", CORE, is_fact=False), CORE, 1)).replayed


RECORDS = [
    (Client(CORE.client_id, "Alpha"), Client(CORE.client_id, "Alpha Fund")),
    (Account(CORE, "Core", AccountMode.CROSS), Account(CORE, "The core", AccountMode.CROSS)),
    (coin("BTC"), coin("BTC", collateral_class=None)),
]


@pytest.mark.parametrize(("record", "other"), RECORDS, ids=["client", "account", "instrument"])
async def test_a_record_can_be_sent_again_but_not_changed(storage, record, other):
    await storage.create(Client(CORE.client_id, "Alpha"))
    await storage.create(record)
    before = storage.row_counts()
    await storage.writer.write(a_request("again"), decide_records(record))
    after = storage.row_counts()
    assert sum(after.values()) == sum(before.values()) + 1  # the key's row alone
    with pytest.raises(DomainError) as refused:
        await storage.create(other)
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert storage.row_counts() == after


async def test_an_account_sent_again_keeps_its_ledger(storage):
    await storage.open_accounts(CORE)
    await storage.book(a_request("k1", CORE), CORE, 100)
    await storage.writer.write(a_request("again"), decide_records(Account(CORE, "An account", AccountMode.CROSS)))
    assert (await storage.books.account_state(CORE)).head.sequence == 1


async def test_a_record_that_refers_to_nothing_is_refused(storage):
    await storage.open_accounts(CORE)
    await storage.create(cash())
    satellite = AccountRef(CORE.client_id, AccountId("satellite"))
    cases = [
        (Account(OTHER, "Core", AccountMode.CROSS), Reason.UNKNOWN_CLIENT),
        (Account(satellite, "Satellite", AccountMode.ISOLATED, AccountId("none")), Reason.UNKNOWN_ACCOUNT),
        (AccountCollateralPolicy(OTHER, InstrumentId("USD"), CollateralPolicy.PLEDGED), Reason.UNKNOWN_ACCOUNT),
        (AccountCollateralPolicy(CORE, InstrumentId("BTC"), CollateralPolicy.PLEDGED), Reason.UNKNOWN_INSTRUMENT),
    ]
    before = storage.row_counts()
    for record, reason in cases:
        with pytest.raises(DomainError) as refused:
            await storage.create(record)
        assert refused.value.reason is reason
    assert storage.row_counts() == before


async def test_a_policy_replaces_the_one_before(storage):
    await storage.open_accounts(CORE)
    await storage.create(cash())
    for policy in (CollateralPolicy.PLEDGED, CollateralPolicy.AUTO, CollateralPolicy.RISKED):
        await storage.create(AccountCollateralPolicy(CORE, InstrumentId("USD"), policy))
    assert (await storage.books.account_state(CORE)).policies == {InstrumentId("USD"): CollateralPolicy.RISKED}
