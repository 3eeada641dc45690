"""Whoever owns the database can write what he likes into it. The verifier says what he did."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from crossmargin.adapters.postgres import ledger_view
from crossmargin.adapters.runtime.anchor_file import read_anchor_file
from crossmargin.domain.audit_anchor import HeadTree, anchor_to_document
from crossmargin.domain.book import EntryKind, reversing_entry
from crossmargin.domain.entry_hash import entry_hash
from crossmargin.domain.ledger_audit import FindingKind
from crossmargin.usecases import verify_ledger
from crossmargin.usecases.take_anchor import AnchorRefusedError, TakeAnchor
from tests.contract.storage import CORE, OTHER, a_deposit, postgres_storage
from tests.ledger_rig import (
    KEY,
    STRANGERS_KEY,
    MemoryJournal,
    a_history,
    a_trade,
    anchor_store,
    book,
    kinds,
    some_more_requests,
    some_requests,
    verify,
)

K = FindingKind
CORE_IS = "client_id = 'alpha' AND account_id = 'core'"


@pytest.fixture(scope="module")
async def ledger(module_database_url):
    """A database with the history of `a_history` beside that of `some_requests`, and its anchors as they are kept outside."""
    async with postgres_storage(module_database_url) as storage:
        await some_requests(storage)
        yield module_database_url, await a_history(storage)


@pytest.fixture
def tamper(ledger):
    """Run statements as the owner of the database with all triggers and foreign keys off, and put everything back in the end."""
    url, _ = ledger
    kept = read_all(url)

    def run(*statements):
        owner(url, *statements)

    yield run
    write_all(url, kept)


TABLES = ("account_head", "entry", "posting", "position", "reservation", "unsettled_trade", "anchor")


def owner(url, *statements):
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(*statement) if isinstance(statement, tuple) else connection.execute(statement)


def read_all(url):
    kept = {}
    with psycopg.connect(url) as connection:
        for table in TABLES:
            with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
                kept[table] = b"".join(copy)
    return kept


def write_all(url, kept):
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for table, content in kept.items():
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
            with connection.cursor().copy(f"COPY {table} FROM STDIN") as copy:
                copy.write(content)


def chain_again(url, first_sequence):
    """Give the entries of the core account new hashes from one on, and its head the last: what a careful forger does."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        rows = connection.execute(
            f"SELECT sequence, kind, effective_at, reference, chain_hash FROM entry WHERE {CORE_IS} ORDER BY sequence"  # noqa: S608
        ).fetchall()
        previous = bytes(32)
        for sequence, kind, effective_at, reference, stored_hash in rows:
            chain_hash = stored_hash
            if sequence >= first_sequence:
                legs = connection.execute(
                    f"SELECT ledger_account, book_id, instrument_id, quantity, cost FROM posting WHERE {CORE_IS} AND sequence = %s "  # noqa: S608
                    "ORDER BY leg",
                    (sequence,),
                ).fetchall()
                chain_hash = entry_hash(
                    previous=previous,
                    account=str(CORE),
                    sequence=sequence,
                    kind=kind,
                    effective_at=effective_at,
                    reference=reference,
                    postings=[Leg(*leg) for leg in legs],
                )
                connection.execute(
                    f"UPDATE entry SET previous_hash = %s, chain_hash = %s WHERE {CORE_IS} AND sequence = %s",  # noqa: S608
                    (previous, chain_hash, sequence),
                )
            previous = chain_hash
        connection.execute(f"UPDATE account_head SET sequence = %s, chain_hash = %s WHERE {CORE_IS}", (rows[-1][0], previous))  # noqa: S608


class Leg:
    def __init__(self, *parts):
        self.ledger_account, self.book_id, self.instrument_id, self.quantity, self.cost = parts


def project_again(url):
    """Make the positions what the postings say: a forger forgets nothing."""
    owner(
        url,
        "DELETE FROM position",
        "INSERT INTO position SELECT client_id, account_id, book_id, instrument_id, sum(quantity), sum(cost) FROM posting "
        "WHERE ledger_account = account_id GROUP BY 1, 2, 3, 4",
    )


async def test_an_untouched_ledger_is_clean_and_counted(ledger):
    url, anchors = ledger
    verdict = await verify(url, anchors)
    assert verdict.findings == ()
    assert (verdict.account_count, verdict.entry_count, verdict.posting_count) == (5, 24, 22)
    assert (verdict.anchors_in_database, verdict.anchors_in_file, verdict.signatures_checked) == (3, 3, True)
    assert verdict.last_anchor == anchors[-1]


EDITS = {
    "kind": ("UPDATE entry SET kind = 'trade' WHERE {core} AND sequence = 3", K.ENTRY_ALTERED),
    "kind that never was": ("UPDATE entry SET kind = 'gift' WHERE {core} AND sequence = 3", K.ENTRY_ALTERED),
    "moment": ("UPDATE entry SET effective_at = effective_at + '1 microsecond' WHERE {core} AND sequence = 3", K.ENTRY_ALTERED),
    "moment without end": ("UPDATE entry SET effective_at = 'infinity' WHERE {core} AND sequence = 3", K.ENTRY_ALTERED),
    "reference": ("UPDATE entry SET reference = reference || ' ' WHERE {core} AND sequence = 3", K.ENTRY_ALTERED),
    "quantity": ("UPDATE posting SET quantity = quantity + 1e-18 WHERE {core} AND sequence = 3 AND leg = 1", K.ENTRY_UNBALANCED),
    "both quantities": ("UPDATE posting SET quantity = quantity * 2 WHERE {core} AND sequence = 1", K.ENTRY_ALTERED),
    "both costs": ("UPDATE posting SET cost = cost * 2 WHERE {core} AND sequence = 2", K.ENTRY_ALTERED),
    "book": ("UPDATE posting SET book_id = 'another' WHERE {core} AND sequence = 1", K.ENTRY_ALTERED),
    "instrument": ("UPDATE posting SET instrument_id = 'EUR' WHERE {core} AND sequence = 1", K.ENTRY_ALTERED),
    "whose leg": ("UPDATE posting SET ledger_account = 'house' WHERE {core} AND sequence = 1 AND leg = 1", K.ENTRY_ALTERED),
    "order of legs": ("UPDATE posting SET leg = 3 WHERE {core} AND sequence = 1 AND leg = 1", K.ENTRY_ALTERED),
    "hash": (
        "UPDATE entry SET chain_hash = set_byte(chain_hash, 0, 255 - get_byte(chain_hash, 0)) WHERE {core} AND sequence = 3",
        K.ENTRY_ALTERED,
    ),
    "hash before": ("UPDATE entry SET previous_hash = sha256('x') WHERE {core} AND sequence = 3", K.CHAIN_BROKEN),
    "recorded in the past": (
        "UPDATE entry SET recorded_at = recorded_at - '1 day'::interval WHERE {core} AND sequence = 3",
        K.RECORDED_OUT_OF_TIME,
    ),
    "recorded in the future": (
        "UPDATE entry SET recorded_at = recorded_at + '1 day'::interval WHERE {core} AND sequence = 5",
        K.RECORDED_OUT_OF_TIME,
    ),
    "recorded for ever": ("UPDATE entry SET recorded_at = 'infinity' WHERE {core} AND sequence = 3", K.RECORDED_OUT_OF_TIME),
    "one more leg": ("INSERT INTO posting VALUES ('alpha', 'core', 3, 3, 'core', 'desk', 'USD', 0, 0)", K.ENTRY_ALTERED),
    "a posting of nothing": ("INSERT INTO posting VALUES ('alpha', 'core', 9, 1, 'street', 'desk', 'USD', 0, 0)", K.POSTINGS_WITHOUT_ENTRY),
    "a leg less": ("DELETE FROM posting WHERE {core} AND sequence = 1 AND leg = 2", K.SUM_NOT_ZERO),
    "position": ("UPDATE position SET quantity = quantity + 1 WHERE {core} AND instrument_id = 'USD'", K.POSITION_DIFFERS),
    "cost of a position": ("UPDATE position SET cost = cost + 1 WHERE {core} AND instrument_id = 'BTC-PERP'", K.POSITION_DIFFERS),
    "position of nothing": ("INSERT INTO position VALUES ('beta', 'core', 'desk', 'USD', 7, 0)", K.POSITION_DIFFERS),
    "position gone": ("DELETE FROM position WHERE {core} AND instrument_id = 'USD'", K.POSITION_DIFFERS),
    "reservation": ("UPDATE reservation SET price = price + 1 WHERE sequence = 2", K.RESERVATION_DIFFERS),
    "reservation for ever": ("UPDATE reservation SET expires_at = 'infinity' WHERE sequence = 2", K.RESERVATION_DIFFERS),
    "reservation of nothing": (
        "INSERT INTO reservation SELECT (jsonb_populate_record(r, jsonb_build_object('account_id', 'nobody'))).* FROM reservation AS r",
        K.RESERVATION_DIFFERS,
    ),
    "reservation gone": ("DELETE FROM reservation WHERE sequence = 2", K.RESERVATION_DIFFERS),
    "unsettled trade of nothing": ("INSERT INTO unsettled_trade VALUES ('alpha', 'core', 1, '2026-03-03')", K.UNSETTLED_TRADE_DIFFERS),
    "order": ("UPDATE entry SET reference = replace(reference, ' 60000 ', ' 1 ') WHERE kind = 'reservation'", K.RESERVATION_DIFFERS),
    "order that cannot be read": ("UPDATE entry SET reference = 'x' WHERE kind = 'reservation'", K.RESERVATION_DIFFERS),
    "moment of an order without end": ("UPDATE entry SET effective_at = 'infinity' WHERE kind = 'reservation'", K.RESERVATION_DIFFERS),
    "fill": ("UPDATE entry SET reference = replace(reference, '2.5', '2.25') WHERE kind = 'reservation fill'", K.RESERVATION_DIFFERS),
    "end": ("DELETE FROM entry WHERE kind = 'reservation end'", K.RESERVATION_DIFFERS),
    "head gone": ("DELETE FROM account_head WHERE {core}", K.HEAD_MISSING),
    "head of an account without entries gone": ("DELETE FROM account_head WHERE account_id = 'fund'", K.HEAD_MISSING),
    "head ahead": ("UPDATE account_head SET sequence = 6 WHERE {core}", K.ENTRY_MISSING),
    "head behind": ("UPDATE account_head SET sequence = 4 WHERE {core}", K.HEAD_DIFFERS),
    "hash of the head": ("UPDATE account_head SET chain_hash = sha256('x') WHERE {core}", K.HEAD_DIFFERS),
    "entry moved to another account": ("UPDATE entry SET account_id = 'fund' WHERE {core} AND sequence = 5", K.ENTRY_ALTERED),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_is_named(ledger, tamper, edit):
    statement, kind = EDITS[edit]
    tamper(statement.format(core=CORE_IS))
    verdict = await verify(*ledger)
    assert kind in kinds(verdict), verdict.findings
    about = [finding for finding in verdict.findings if finding.kind is kind]
    if kind is K.ENTRY_ALTERED and "account" not in edit and "leg" not in edit:
        assert {(finding.account, finding.sequence) for finding in about} <= {(str(CORE), 1), (str(CORE), 2), (str(CORE), 3)}


async def test_a_deletion_in_the_middle_is_named(ledger, tamper):
    tamper(f"DELETE FROM posting WHERE {CORE_IS} AND sequence = 3", f"DELETE FROM entry WHERE {CORE_IS} AND sequence = 3")  # noqa: S608
    findings = (await verify(*ledger)).findings
    missing = [finding for finding in findings if finding.kind is K.ENTRY_MISSING]
    assert [(finding.account, finding.sequence, finding.message) for finding in missing] == [(str(CORE), 3, "entry 3 is missing")]


@pytest.fixture
def long_after(monkeypatch):
    """No anchor is under way any more."""
    monkeypatch.setattr(verify_ledger, "_IN_FLIGHT", timedelta(0))


async def test_a_careful_truncation_is_found_by_anchors_alone(ledger, tamper, long_after):
    """The newest entries gone, the head and the positions rewritten, the chain whole: nothing but an anchor can tell."""
    url, anchors = ledger
    tamper(f"DELETE FROM posting WHERE {CORE_IS} AND sequence = 5", f"DELETE FROM entry WHERE {CORE_IS} AND sequence = 5")  # noqa: S608
    chain_again(url, 5)
    project_again(url)
    verdict = await verify(url)
    assert kinds(verdict) == {K.ANCHORED_ENTRY_MISSING}
    assert {(finding.account, finding.sequence, finding.anchor) for finding in verdict.findings} == {(str(CORE), 5, 3)}
    tamper("DELETE FROM anchor WHERE number = 3")
    assert (await verify(url)).is_clean, "who also takes the anchor away is found by the file only"
    verdict = await verify(url, anchors)
    assert kinds(verdict) == {K.ANCHOR_MISSING, K.ANCHORED_ENTRY_MISSING}


async def test_two_entries_in_each_others_place_are_named(ledger, tamper):
    swap = (
        "UPDATE {table} SET sequence = -3 WHERE {core} AND sequence = 3",
        "UPDATE {table} SET sequence = 3 WHERE {core} AND sequence = 4",
        "UPDATE {table} SET sequence = 4 WHERE {core} AND sequence = -3",
    )
    tamper("ALTER TABLE entry DROP CONSTRAINT entry_sequence_is_positive")
    tamper(*(statement.format(table=table, core=CORE_IS) for table in ("entry", "posting") for statement in swap))
    tamper("ALTER TABLE entry ADD CONSTRAINT entry_sequence_is_positive CHECK (sequence >= 1)")
    findings = (await verify(*ledger)).findings
    assert {finding.sequence for finding in findings if finding.kind is K.ENTRY_ALTERED} == {3, 4}
    assert {finding.sequence for finding in findings if finding.kind is K.CHAIN_BROKEN} == {3, 4, 5}


async def test_a_fork_whose_chain_is_whole_is_found_by_its_anchors(ledger, tamper):
    """History rewritten from an entry on, every hash and the head recomputed, positions made to fit."""
    url, _ = ledger
    tamper(f"UPDATE posting SET quantity = quantity * 2 WHERE {CORE_IS} AND sequence = 3")  # noqa: S608
    chain_again(url, 3)
    project_again(url)
    verdict = await verify(url)
    assert kinds(verdict) == {K.ANCHORED_ENTRY_DIFFERS}
    assert {(finding.sequence, finding.anchor) for finding in verdict.findings} == {(4, 2), (5, 3)}, "entry 1 is as it was"


async def test_an_old_copy_of_the_database_is_found_by_the_file(database_url, long_after):
    async with postgres_storage(database_url) as storage:
        anchors = await a_history(storage)
        kept = read_all(database_url)
        take = TakeAnchor(anchor_store(storage), KEY, MemoryJournal(anchors))
        await book(storage, a_deposit(OTHER, 3))
        await take()
        write_all(database_url, kept)
        assert (await verify(database_url)).is_clean, "an old copy is in order by itself"
        verdict = await verify(database_url, anchors)
        assert kinds(verdict) == {K.ANCHOR_MISSING, K.ANCHORED_ENTRY_MISSING}
        assert {finding.anchor for finding in verdict.findings} == {4}
        assert {(finding.account, finding.sequence) for finding in verdict.findings if finding.sequence} == {(str(OTHER), 2)}
        with pytest.raises(AnchorRefusedError, match="an old copy of the database is in use"):
            await TakeAnchor(anchor_store(storage), KEY, MemoryJournal(anchors))()


async def test_an_old_copy_that_went_on_is_a_fork(database_url, long_after):
    async with postgres_storage(database_url) as storage:
        anchors = await a_history(storage)
        kept = read_all(database_url)
        await book(storage, a_deposit(OTHER, 3))
        await TakeAnchor(anchor_store(storage), KEY, MemoryJournal(anchors))()
        write_all(database_url, kept)
        await book(storage, a_deposit(OTHER, 4))
        await TakeAnchor(anchor_store(storage), KEY)()
        assert (await verify(database_url)).is_clean
        verdict = await verify(database_url, anchors)
        assert kinds(verdict) == {K.ANCHOR_FORK, K.ANCHORED_ENTRY_DIFFERS}
        with pytest.raises(AnchorRefusedError, match="anchor 4 in the file is not the one in the database"):
            await TakeAnchor(anchor_store(storage), KEY, MemoryJournal(anchors))()


ANCHOR_EDITS = {
    "number": ("UPDATE anchor SET number = 4 WHERE number = 3", {K.ANCHOR_MISSING, K.ANCHOR_SIGNATURE}),
    "time": ("UPDATE anchor SET taken_at = taken_at + '1 microsecond' WHERE number = 2", {K.ANCHOR_SIGNATURE, K.ANCHOR_CHAIN_BROKEN}),
    "accounts": ("UPDATE anchor SET account_count = 4 WHERE number = 3", {K.ANCHOR_SIGNATURE, K.ANCHOR_ROOT}),
    "entries": ("UPDATE anchor SET entry_count = 7 WHERE number = 3", {K.ANCHOR_SIGNATURE, K.ANCHOR_ROOT}),
    "root": ("UPDATE anchor SET root = sha256('x') WHERE number = 3", {K.ANCHOR_SIGNATURE, K.ANCHOR_ROOT}),
    "previous": ("UPDATE anchor SET previous_hash = sha256('x') WHERE number = 3", {K.ANCHOR_SIGNATURE, K.ANCHOR_CHAIN_BROKEN}),
    "kind": ("UPDATE anchor SET is_checkpoint = false WHERE number = 1", {K.ANCHOR_SIGNATURE, K.ANCHOR_CHAIN_BROKEN}),
    "key": ("UPDATE anchor SET key_id = 'another' WHERE number = 3", {K.ANCHOR_SIGNATURE}),
    "signature": (
        "UPDATE anchor SET signature = set_byte(signature, 9, 255 - get_byte(signature, 9)) WHERE number = 3",
        {K.ANCHOR_SIGNATURE},
    ),
    "a count in a head": (
        "UPDATE anchor SET changed = jsonb_set(changed, '{0, 2}', '4') WHERE number = 3",
        {K.ANCHOR_SIGNATURE, K.ANCHOR_ROOT, K.ANCHOR_CONTRADICTION, K.ANCHORED_ENTRY_DIFFERS},
    ),
    "no heads": ("UPDATE anchor SET changed = '[]' WHERE number = 3", {K.ANCHOR_SIGNATURE, K.ANCHOR_ROOT}),
    "a head that says nothing new": (
        "UPDATE anchor SET changed = changed || jsonb_build_array((SELECT changed FROM anchor WHERE number = 1) -> 1) WHERE number = 3",
        {K.ANCHOR_SIGNATURE},
    ),
    "no list": ("UPDATE anchor SET changed = '{}' WHERE number = 3", {K.ANCHOR_UNREADABLE}),
    "gone": ("DELETE FROM anchor WHERE number = 2", {K.ANCHOR_MISSING, K.ANCHOR_ROOT}),
    "first gone": ("DELETE FROM anchor WHERE number = 1", {K.ANCHOR_MISSING, K.ANCHOR_ROOT}),
}


@pytest.mark.parametrize("edit", ANCHOR_EDITS)
async def test_an_edit_of_an_anchor_is_named(ledger, tamper, edit):
    statement, expected = ANCHOR_EDITS[edit]
    tamper(statement)
    assert expected <= kinds(await verify(ledger[0]))


@pytest.mark.parametrize(("number", "kind"), [(1, K.ANCHOR_FORK), (3, K.ANCHOR_FORK)])
async def test_an_anchor_made_anew_with_another_key_is_named(ledger, tamper, number, kind):
    url, anchors = ledger
    forged = replace(anchors[number - 1], root=HeadTree().root, changed=(), key_id=KEY.key_id, account_count=0, entry_count=0)
    forged = replace(forged, signature=STRANGERS_KEY.sign(forged.signed_bytes))
    tamper(
        (
            "UPDATE anchor SET root = %s, changed = '[]', account_count = 0, entry_count = 0, signature = %s WHERE number = %s",
            (forged.root, forged.signature, number),
        )
    )
    assert K.ANCHOR_SIGNATURE in kinds(await verify(url))
    verdict = await verify(url, anchors, key=None)
    assert kind in kinds(verdict), "the file tells even without a key"
    assert not verdict.signatures_checked


async def test_a_key_that_is_not_known_is_named(ledger):
    verdict = await verify(*ledger, key=STRANGERS_KEY)
    assert kinds(verdict) == {K.ANCHOR_SIGNATURE}
    assert "which is none of those given" in verdict.findings[0].message


# The file


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("a line gone", lambda lines: lines[:1] + lines[2:], {K.ANCHOR_MISSING, K.ANCHOR_ROOT}),
        ("two lines swapped", lambda lines: [lines[1], lines[0], lines[2]], {K.ANCHOR_OUT_OF_ORDER}),
        ("a line twice", lambda lines: [lines[0], lines[0], *lines[1:]], {K.ANCHOR_OUT_OF_ORDER}),
        ("a line broken", lambda lines: [lines[0], lines[1][:40] + "\n", lines[2]], {K.ANCHOR_UNREADABLE}),
        (
            "a figure changed",
            lambda lines: [lines[0], lines[1].replace('"entries":23', '"entries":24'), lines[2]],
            {K.ANCHOR_SIGNATURE, K.ANCHOR_FORK},
        ),
        (
            "a head changed",
            lambda lines: [lines[0], lines[1].replace('"core",4', '"core",3'), lines[2]],
            {K.ANCHOR_SIGNATURE, K.ANCHOR_ROOT},
        ),
    ],
)
async def test_an_edit_of_the_file_is_named(ledger, tmp_path, name, change, expected):
    url, anchors = ledger
    file = tmp_path / "anchors.jsonl"
    lines = [json.dumps(anchor_to_document(anchor), separators=(",", ":")) + "\n" for anchor in anchors]
    file.write_text("".join(lines))
    assert (await verify(url, read_anchor_file(file))).is_clean
    changed = change(lines)
    assert changed != lines
    file.write_text("".join(changed))
    assert expected <= kinds(await verify(url, read_anchor_file(file)))


async def test_a_file_that_is_behind_or_begins_later_is_in_order(ledger):
    """An auditor's copy ends when it was made, and a file begun anew begins with a checkpoint."""
    url, anchors = ledger
    assert (await verify(url, anchors[:2])).is_clean
    checkpoint = replace(anchors[2], is_checkpoint=True)
    assert not (await verify(url, anchors[1:])).is_clean, "this one does not begin with a checkpoint"
    assert checkpoint != anchors[2]


# While the ledger is being written


async def test_a_busy_ledger_raises_no_false_alarm(database_url):
    """Writers and anchors go on all the while; every view of it is whole."""
    async with postgres_storage(database_url, pool_size=8) as storage:
        await some_requests(storage)
        journal = MemoryJournal(await a_history(storage))
        take = TakeAnchor(anchor_store(storage), KEY, journal)
        done = asyncio.Event()

        async def write(ref, start):
            for number in range(start, 100_000, 4):
                if done.is_set():
                    return
                await book(storage, a_deposit(ref, number), a_trade(ref, number, cost=number))

        async def request():
            for number in range(1, 100_000):
                if done.is_set():
                    return
                await some_more_requests(storage, number)

        async def anchor():
            while not done.is_set():
                assert await take() is not None
                await asyncio.sleep(0)

        writers = [asyncio.create_task(write(ref, start)) for start, ref in enumerate((CORE, CORE, OTHER), start=1)]
        writers += [asyncio.create_task(anchor()), asyncio.create_task(request())]
        verdicts = []
        while len(verdicts) < 8:
            verdicts.append(await verify(database_url, read_as_written(journal.anchors)))
        done.set()
        await asyncio.gather(*writers)
        assert [verdict.findings for verdict in verdicts] == [()] * len(verdicts)
        assert verdicts[-1].entry_count > verdicts[0].entry_count > 0
        assert verdicts[-1].anchors_in_database > verdicts[0].anchors_in_database


def read_as_written(anchors):
    """What is in the journal when it is read, which is after the view was opened."""
    yield from anchors


async def test_memory_does_not_grow_with_the_entries(database_url, monkeypatch):
    monkeypatch.setattr(ledger_view, "_BATCH", 50)
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE)
        await book(storage, *(a_deposit(CORE, 1) for _ in range(100)))
        await peak_of(database_url)
        small = await peak_of(database_url)
        await book(storage, *(a_deposit(CORE, 1) for _ in range(2000)))
        assert await peak_of(database_url) < 2 * small, "twenty times the entries"


async def peak_of(url):
    tracemalloc.start()
    try:
        assert (await verify(url)).is_clean
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def test_findings_beyond_the_limit_are_counted(ledger, tamper, monkeypatch):
    monkeypatch.setattr(verify_ledger, "FINDING_LIMIT", 3)
    tamper(f"UPDATE entry SET reference = 'x' WHERE {CORE_IS}")  # noqa: S608
    verdict = await verify(*ledger)
    assert (len(verdict.findings), verdict.finding_count) == (3, 5)


async def test_what_an_entry_says_beyond_its_legs_is_in_its_hash_too(database_url):
    """A trade that is taken back: which one, and that it was, cannot be changed or forgotten."""
    async with postgres_storage(database_url) as storage:
        await storage.open_accounts(CORE)
        await book(storage, a_deposit(CORE, 3))
        first = (await storage.books.get_entry(CORE, 1)).entry
        await book(storage, a_deposit(CORE, 4), reversing_entry(first, EntryKind.TRADE_CANCELLATION, reason="bust"))
    assert (await verify(database_url)).is_clean
    for change in (
        "UPDATE entry_details SET details = '{\"reverses\":2}', reverses = 2",
        "DELETE FROM entry_details",
        "INSERT INTO entry_details VALUES ('alpha', 'core', 2, '{\"event\":\"coupon\"}', NULL, 'coupon')",
    ):
        owner(database_url, change)
        altered = {(finding.kind, finding.account) for finding in (await verify(database_url)).findings}
        assert altered == {(K.ENTRY_ALTERED, str(CORE))}
