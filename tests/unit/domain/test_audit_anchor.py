"""Anchors: the tree of RFC 6962 over heads, what is signed, and what contradicts what."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.domain.audit_anchor import (
    EMPTY_ROOT,
    NO_ANCHOR_HASH,
    AnchoredHead,
    HeadTree,
    anchor_from_document,
    anchor_to_document,
    contradictions,
    heads_from_document,
    sign_anchor,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Stamp:
    """A signer that can be read."""

    key_id = "stamp"

    def sign(self, content):
        return b"signed " + sha256(content).digest()


def a_head(account, sequence=1, client="alpha"):
    return AnchoredHead(client, account, sequence, sha256(f"{client}/{account}/{sequence}".encode()).digest())


def root_by_definition(leaves):
    """RFC 6962, section 2.1, as it is written there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while 2 * split < len(leaves):
        split *= 2
    return sha256(b"\x01" + root_by_definition(leaves[:split]) + root_by_definition(leaves[split:])).digest()


def in_order(heads):
    return [heads[name].leaf for name in sorted(heads)]


def test_a_leaf_is_hashed_behind_a_zero_and_its_lengths():
    head = AnchoredHead("ab", "c", 12, bytes(32))
    fields = b"\0\0\0\x02ab" + b"\0\0\0\x01c" + b"\0\0\0\x0212" + b"\0\0\0\x20" + bytes(32)
    assert head.leaf == sha256(b"\x00" + fields).digest()
    assert AnchoredHead("a", "bc", 12, bytes(32)).leaf != head.leaf


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 33])
def test_the_root_is_that_of_the_definition(count):
    tree = HeadTree(a_head(f"a{number:03}") for number in reversed(range(count)))
    assert tree.root == root_by_definition(in_order(tree.heads))
    assert tree.entry_count == count


def test_no_accounts_have_the_root_of_nothing():
    assert HeadTree().root == EMPTY_ROOT == sha256(b"").digest()


steps = st.lists(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 9)), max_size=5).map(
        lambda pairs: [a_head(f"a{number:02}", sequence) for number, sequence in pairs]
    ),
    max_size=6,
)


@settings(max_examples=60)
@given(steps)
def test_a_tree_that_has_grown_is_the_tree_of_what_it_holds(changes):
    tree, held = HeadTree(), {}
    for heads in changes:
        tree.set(heads)
        held |= {head.name: head for head in heads}
        assert tree.root == root_by_definition(in_order(held))
        assert tree.entry_count == sum(head.sequence for head in held.values())


def test_every_anchor_names_the_one_before():
    tree = HeadTree([a_head("core")])
    first = sign_anchor(None, tree, None, taken_at=NOON, signer=Stamp())
    second = sign_anchor(first, tree, [], taken_at=NOON + timedelta(minutes=1), signer=Stamp())
    assert (first.number, first.previous_hash, first.is_checkpoint) == (1, NO_ANCHOR_HASH, True)
    assert (second.number, second.previous_hash, second.is_checkpoint) == (2, first.content_hash, False)
    assert (first.account_count, first.entry_count, first.root) == (1, 1, tree.root)
    assert first.signature == Stamp().sign(first.signed_bytes)


CHANGES = {
    "number": 9,
    "taken_at": NOON + timedelta(microseconds=1),
    "account_count": 2,
    "entry_count": 2,
    "root": bytes(32),
    "previous_hash": b"\x01" * 32,
    "is_checkpoint": False,
    "changed": (a_head("core", 2),),
    "key_id": "another",
}


@pytest.mark.parametrize("name", CHANGES)
def test_everything_is_signed(name):
    anchor = sign_anchor(None, HeadTree([a_head("core")]), None, taken_at=NOON, signer=Stamp())
    assert replace(anchor, **{name: CHANGES[name]}).signed_bytes != anchor.signed_bytes


def test_a_document_holds_an_anchor_whole():
    anchor = sign_anchor(None, HeadTree([a_head("core"), a_head("fund", 7)]), None, taken_at=NOON, signer=Stamp())
    assert anchor_from_document(json.loads(json.dumps(anchor_to_document(anchor)))) == anchor


def a_document():
    return anchor_to_document(sign_anchor(None, HeadTree([a_head("core")]), None, taken_at=NOON, signer=Stamp()))


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        a_document() | {"more": 1},
        a_document() | {"root": "xyz"},
        a_document() | {"number": "1"},
        a_document() | {"taken_at": "yesterday"},
        a_document() | {"heads": {}},
        a_document() | {"heads": [["alpha", "core", "1", ""]]},
    ],
)
def test_what_is_no_anchor_is_refused(document):
    with pytest.raises(ValueError, match="not an anchor"):
        anchor_from_document(document)


def test_heads_that_are_none_are_refused_with_what_was_expected():
    with pytest.raises(ValueError, match="expected client, account, sequence and hash"):
        heads_from_document([["alpha", "core"]])


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ([a_head("core", 5)], []),
        ([a_head("core", 6), a_head("new")], []),
        ([], ["clients/alpha/accounts/core is gone; it was anchored at entry 5"]),
        ([a_head("core", 4)], ["clients/alpha/accounts/core is at entry 4; it was anchored at entry 5"]),
        (
            [replace(a_head("core", 5), chain_hash=bytes(32))],
            ["clients/alpha/accounts/core has another hash at entry 5 than the one that was anchored"],
        ),
    ],
)
def test_a_ledger_only_grows(now, words):
    before = a_head("core", 5)
    assert contradictions({before.name: before}, {head.name: head for head in now}) == words
