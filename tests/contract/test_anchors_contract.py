"""What every storage promises about anchors, and about a view of the whole ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.memory.ledger_view import MemoryLedgerView
from crossmargin.adapters.postgres.ledger_view import PostgresLedgerView
from crossmargin.domain.audit_anchor import AnchoredHead, HeadTree, sign_anchor
from crossmargin.domain.ledger_audit import StoredPosition
from crossmargin.usecases.verify_ledger import VerifyLedger
from tests.contract.storage import CORE, OTHER, a_deposit
from tests.ledger_rig import FUND, KEY, a_history, a_trade, anchor_store, book, some_requests

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
async def view(request, storage):
    """Opens a view of the storage."""
    opened = []

    async def open_view():
        if type(storage.books).__name__.startswith("Memory"):
            return MemoryLedgerView(storage.database)
        context = PostgresLedgerView.open(request.getfixturevalue("database_url"))
        opened.append(context)
        return await context.__aenter__()

    yield open_view
    for context in opened:
        await context.__aexit__(None, None, None)


def a_series(count, *, checkpoints=(1,)):
    """Anchors of a ledger that grows by an entry a minute."""
    anchors, tree = [], HeadTree()
    for number in range(1, count + 1):
        head = AnchoredHead("alpha", "core", number, bytes([number]) * 32)
        tree.set([head])
        changed = None if number in checkpoints else [head]
        previous = anchors[-1] if anchors else None
        anchors.append(sign_anchor(previous, tree, changed, taken_at=NOON + timedelta(minutes=number), signer=KEY))
    return anchors


async def all_of(batches):
    return [item async for batch in batches for item in batch]


async def test_heads_are_read_in_the_order_of_their_names_with_the_time(storage):
    store = anchor_store(storage)
    assert (await store.read_heads()).heads == ()
    await storage.open_accounts(OTHER, FUND, CORE)
    await book(storage, a_deposit(CORE, 5), a_deposit(OTHER, 5), a_deposit(CORE, 6))
    read = await store.read_heads()
    assert [(head.account, head.sequence) for head in read.heads] == [(str(CORE), 2), (str(FUND), 0), (str(OTHER), 1)]
    state = await storage.books.account_state(CORE)
    assert read.heads[0].chain_hash == state.head.chain_hash
    assert abs(read.taken_at - datetime.now(tz=UTC)) < timedelta(minutes=1)


async def test_anchors_come_back_as_they_were(storage):
    store, anchors = anchor_store(storage), a_series(4, checkpoints=(1, 3))
    assert await store.anchors_from_checkpoint() == []
    for anchor in anchors:
        assert await store.append_anchor(anchor)
    assert list(await store.anchors_after(0, limit=10)) == anchors
    assert list(await store.anchors_after(1, limit=2)) == anchors[1:3]
    assert list(await store.anchors_from_checkpoint()) == anchors[2:]
    assert list(await store.anchors_from_checkpoint(before=anchors[1].taken_at)) == anchors[:2]
    assert await store.anchors_from_checkpoint(before=NOON) == []


async def test_a_number_is_taken_once(storage):
    store, (first, second) = anchor_store(storage), a_series(2)
    assert await store.append_anchor(first)
    assert await store.append_anchor(first), "the same again, as after a broken connection, is stored already"
    assert not await store.append_anchor(replace(second, number=1))
    assert list(await store.anchors_after(0, limit=10)) == [first]


async def test_a_view_shows_everything_in_order(storage, view):
    await a_history(storage)
    seen = await view()
    entries = await all_of(seen.entries())
    assert [(entry.account, entry.sequence) for entry in entries] == [*((str(CORE), n) for n in range(1, 6)), (str(OTHER), 1)]
    assert all(entry.is_whole for entry in entries)
    assert [leg.quantity for leg in entries[2].legs] == [Decimal("1e-18"), Decimal("-1e-18")]
    assert [(head.account, head.sequence) for head in await all_of(seen.heads())] == [(str(CORE), 5), (str(FUND), 0), (str(OTHER), 1)]
    assert await all_of(seen.positions()) == [
        StoredPosition("alpha", "core", "desk", "BTC-PERP", Decimal(1), Decimal(40)),
        StoredPosition("alpha", "core", "desk", "USD", Decimal("1005.000000000000000001"), Decimal(0)),
        StoredPosition("beta", "core", "desk", "BTC-PERP", Decimal(-2), Decimal(-80)),
    ]
    assert [anchor.number for anchor in await all_of(seen.anchors())] == [1, 2, 3]
    assert await seen.posting_count() == 12
    assert await seen.details_count() == 0


async def test_a_view_shows_what_entries_say_beyond_their_postings(storage, view):
    await some_requests(storage)
    seen = await view()
    entries = await all_of(seen.entries())
    assert all(entry.is_whole for entry in entries)
    assert [(entry.details, entry.reverses, entry.event) for entry in entries if entry.details] == [('{"reverses":16}', 16, None)]
    assert await seen.details_count() == 1
    assert {entry.recorded_at <= seen.taken_at for entry in entries} == {True}


async def test_a_view_finds_what_was_recorded_for_heads(storage, view):
    await a_history(storage)
    seen = await view()
    entries = await all_of(seen.entries())
    wanted = [AnchoredHead("alpha", "core", 4, bytes(32)), AnchoredHead("beta", "core", 2, bytes(32)), AnchoredHead("no", "one", 1, b"")]
    found = await seen.recorded(wanted)
    assert [entry and entry.chain_hash for entry in found] == [entries[3].chain_hash, None, None]
    assert found[0].recorded_at <= seen.taken_at


async def test_a_view_does_not_move(storage, view):
    await a_history(storage)
    seen = await view()
    await book(storage, a_trade(CORE, 7))
    assert len(await all_of(seen.entries())) == 6
    assert await seen.posting_count() == 12
    assert (await VerifyLedger(seen, KEY.keyring)()).findings == ()


async def test_what_the_storage_holds_verifies_clean(storage, view):
    anchors = await a_history(storage)
    verdict = await VerifyLedger(await view(), KEY.keyring, iter(anchors))()
    assert verdict.findings == ()
    assert (verdict.account_count, verdict.entry_count, verdict.anchors_in_database, verdict.anchors_in_file) == (3, 6, 3, 3)
