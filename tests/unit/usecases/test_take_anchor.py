"""Anchors are taken one after the other, cover what there is, and refuse a ledger that contradicts them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crossmargin.adapters.memory.anchors import MemoryAnchorStore
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.usecases.take_anchor import AnchorRefusedError, TakeAnchor
from tests.contract.storage import CORE, OTHER, a_deposit, memory_storage
from tests.ledger_rig import KEY, MemoryJournal, book


@pytest.fixture
async def storage():
    storage = memory_storage()
    await storage.open_accounts(CORE, OTHER)
    await book(storage, a_deposit(CORE, 5))
    return storage


@pytest.fixture
def journal():
    return MemoryJournal([])


@pytest.fixture
def take(storage, journal):
    return TakeAnchor(MemoryAnchorStore(storage.database), KEY, journal, checkpoint_every=3)


async def test_the_first_lists_every_head_and_the_next_what_changed(storage, take):
    first = await take()
    assert [(head.account, head.sequence) for head in first.changed] == [(str(CORE), 1), (str(OTHER), 0)]
    await book(storage, a_deposit(OTHER, 1))
    second = await take()
    assert [(head.account, head.sequence) for head in second.changed] == [(str(OTHER), 1)]
    assert (second.account_count, second.entry_count) == (2, 2)
    third = await take()
    assert third.changed == (), "an anchor is taken when nothing happened too: its absence would say that nobody watches"


async def test_every_so_often_one_lists_every_head_again(take):
    assert [(await take()).is_checkpoint for _ in range(7)] == [True, False, False, True, False, False, True]


async def test_a_new_leader_goes_on_where_the_last_one_stopped(storage, take, journal):
    await take()
    await book(storage, a_deposit(CORE, 1))
    successor = TakeAnchor(take.store, KEY, journal)
    anchor = await successor()
    assert (anchor.number, anchor.is_checkpoint, anchor.previous_hash) == (2, True, storage.database.anchors[0].content_hash)


async def test_of_two_leaders_one_is_told_to_begin_anew(take):
    other = TakeAnchor(take.store, KEY)
    await take()
    await other()
    assert await take() is None
    assert (await take()).number == 3


async def test_what_the_journal_lacks_it_is_given(storage, take, journal):
    await take()
    without_file = TakeAnchor(take.store, KEY)
    await without_file()
    await without_file()
    await TakeAnchor(take.store, KEY, journal)()
    assert [anchor.number for anchor in journal.anchors] == [1, 2, 3, 4]
    assert journal.anchors == storage.database.anchors


async def test_a_journal_begun_anew_begins_with_a_checkpoint(take):
    await take()
    begun = MemoryJournal([])
    await TakeAnchor(take.store, KEY, begun)()
    assert [(anchor.number, anchor.is_checkpoint) for anchor in begun.anchors] == [(2, True)]


async def test_an_entry_taken_away_is_refused_and_nothing_is_signed(storage, take):
    await take()
    heads = storage.database.contents.heads
    kept = heads[CORE]
    heads[CORE] = replace(kept, sequence=0)
    with pytest.raises(AnchorRefusedError, match=r"alpha/accounts/core is at entry 0; it was anchored at entry 1"):
        await take()
    with pytest.raises(AnchorRefusedError):
        await TakeAnchor(take.store, KEY)()
    assert len(storage.database.anchors) == 1
    heads[CORE] = kept
    assert (await take()).number == 2


async def test_a_journal_that_is_ahead_is_refused(storage, take, journal):
    await take()
    await take()
    storage.database.anchors.pop()
    take.forget()
    with pytest.raises(AnchorRefusedError, match="the file of anchors goes to 2 and the database to 1: an old copy"):
        await take()


async def test_a_journal_of_another_ledger_is_refused(take):
    stranger = memory_storage()
    others = MemoryJournal([])
    await TakeAnchor(MemoryAnchorStore(stranger.database), KEY, others)()
    await take()
    with pytest.raises(AnchorRefusedError, match="anchor 1 in the file is not the one in the database"):
        await TakeAnchor(take.store, KEY, others)()


async def test_heads_that_do_not_have_the_root_that_was_signed_are_refused(storage, take):
    await take()
    storage.database.anchors[0] = replace(storage.database.anchors[0], changed=())
    with pytest.raises(AnchorRefusedError, match="anchor 1 in the database does not have the root of its heads"):
        await TakeAnchor(take.store, KEY)()


async def test_an_anchor_that_a_full_disk_kept_from_the_file_is_written_with_the_next(storage, take, journal, monkeypatch):
    await take()

    async def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(journal, "append", full)
        with pytest.raises(OSError, match="No space"):
            await take()
    assert (await take()).number == 3
    assert [anchor.number for anchor in journal.anchors] == [1, 2, 3]


async def test_a_storage_that_does_not_answer_costs_one_anchor_and_no_more(take, monkeypatch):
    async def down(_=None):
        raise DomainError(Reason.STORAGE_UNAVAILABLE, "away")

    await take()
    with monkeypatch.context() as patched:
        patched.setattr(take.store, "append_anchor", down)
        with pytest.raises(DomainError):
            await take()
    assert (await take()).number == 2
