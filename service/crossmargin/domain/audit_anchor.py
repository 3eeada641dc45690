"""Anchors: signed statements of how far every account's chain had come, each naming the one before.

A chain alone cannot show that its newest entries were cut off and its head rewritten, or that an old copy of the database was put in
place. An anchor that is kept outside the database can: it says which sequence and which chain hash every account had at one moment.

The root is that of RFC 6962 (section 2.1): leaves in the order of the accounts, leaf = SHA-256(0x00 || head), node = SHA-256(0x01 ||
left || right), and the left side of n leaves holds the largest power of two below n.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final, Protocol, TypeAlias

from crossmargin.domain.entry_hash import length_prefixed

LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of a ledger without accounts."""
FIRST_ANCHOR: Final = 1
NO_ANCHOR_HASH: Final = bytes(32)
"""What the first anchor names as the one before it."""
_FORMAT: Final = b"crossmargin anchor 1"
_KEYS: Final = ("number", "taken_at", "accounts", "entries", "root", "previous", "checkpoint", "heads", "key", "signature")
HeadName: TypeAlias = tuple[str, str]


@dataclass(frozen=True, order=True, slots=True)
class AnchoredHead:
    """Where an account's chain stood. Names are plain words, because an anchor may speak of what somebody has tampered with."""

    client_id: str
    account_id: str
    sequence: int
    chain_hash: bytes

    @property
    def name(self) -> HeadName:
        """The account: heads are kept in this order."""
        return self.client_id, self.account_id

    @property
    def account(self) -> str:
        """Full name of the account."""
        return f"clients/{self.client_id}/accounts/{self.account_id}"

    @property
    def leaf(self) -> bytes:
        """The hash of this head in the tree."""
        fields = (self.client_id.encode(), self.account_id.encode(), str(self.sequence).encode(), self.chain_hash)
        return sha256(LEAF_PREFIX + length_prefixed(fields)).digest()


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed statement about all heads at one moment.

    Attributes:
        number: Gapless from 1.
        taken_at: By the clock of the database, after the heads were read.
        account_count: How many accounts there were.
        entry_count: How many entries they had: the sum of their sequences.
        root: Merkle root of all heads.
        previous_hash: `content_hash` of the anchor before; zeros for the first.
        is_checkpoint: True when `changed` lists every head, False when it lists those that differ from the anchor before.
        changed: Heads in the order of their names.
        key_id: Which key signed it, see `key_id_of`.
        signature: Ed25519 over `signed_bytes`.
    """

    number: int
    taken_at: datetime
    account_count: int
    entry_count: int
    root: bytes
    previous_hash: bytes
    is_checkpoint: bool
    changed: tuple[AnchoredHead, ...]
    key_id: str = ""
    signature: bytes = b""

    @property
    def signed_bytes(self) -> bytes:
        """What is signed: everything but the signature."""
        return length_prefixed(
            (
                _FORMAT,
                str(self.number).encode(),
                self.taken_at.astimezone(UTC).isoformat(timespec="microseconds").encode(),
                str(self.account_count).encode(),
                str(self.entry_count).encode(),
                self.root,
                self.previous_hash,
                b"checkpoint" if self.is_checkpoint else b"changes",
                b"".join(head.leaf for head in self.changed),
                self.key_id.encode(),
            )
        )

    @property
    def content_hash(self) -> bytes:
        """The name that the next anchor calls this one by."""
        return sha256(self.signed_bytes).digest()


class Signer(Protocol):
    """Signs anchors with one key."""

    @property
    def key_id(self) -> str:
        """The key's name in anchors."""
        ...

    def sign(self, content: bytes) -> bytes:
        """Return an Ed25519 signature."""
        ...


class HeadTree:
    """The Merkle tree over heads; a change of one head costs the logarithm of their number, a new account a rebuild.

    >>> HeadTree().root == EMPTY_ROOT
    True
    """

    def __init__(self, heads: Iterable[AnchoredHead] = ()) -> None:
        self._heads: dict[HeadName, AnchoredHead] = {}
        self._places: dict[HeadName, int] = {}
        self._levels: list[list[bytes]] = []
        self.entry_count = 0
        self.set(heads)

    @property
    def root(self) -> bytes:
        """Merkle root of the heads."""
        return self._levels[-1][0] if self._levels else EMPTY_ROOT

    @property
    def heads(self) -> Mapping[HeadName, AnchoredHead]:
        """The heads by name."""
        return self._heads

    def set(self, heads: Iterable[AnchoredHead]) -> None:
        """Put heads in the place of those of the same accounts, or beside those that are there."""
        places: list[int] = []
        is_grown = False
        for head in heads:
            before = self._heads.get(head.name)
            self.entry_count += head.sequence - (before.sequence if before is not None else 0)
            self._heads[head.name] = head
            if before is None:
                is_grown = True
            elif not is_grown:
                place = self._places[head.name]
                self._levels[0][place] = head.leaf
                places.append(place)
        if is_grown:
            self._rebuild()
        else:
            self._hash_again(places)

    def _rebuild(self) -> None:
        names = sorted(self._heads)
        self._places = {name: place for place, name in enumerate(names)}
        self._levels = [[self._heads[name].leaf for name in names]]
        while len(self._levels[-1]) > 1:
            below = self._levels[-1]
            self._levels.append([_parent(below, place) for place in range((len(below) + 1) // 2)])

    def _hash_again(self, places: Iterable[int]) -> None:
        dirty = set(places)
        for below, level in pairwise(self._levels):
            dirty = {place // 2 for place in dirty}
            for place in dirty:
                level[place] = _parent(below, place)


def _parent(below: Sequence[bytes], place: int) -> bytes:
    # A last node without a sibling moves up as it is: the same tree as RFC 6962 splits from the top.
    pair = below[2 * place : 2 * place + 2]
    return sha256(NODE_PREFIX + pair[0] + pair[1]).digest() if len(pair) == 2 else pair[0]


def sign_anchor(
    previous: Anchor | None, tree: HeadTree, changed: Iterable[AnchoredHead] | None, *, taken_at: datetime, signer: Signer
) -> Anchor:
    """Return the signed anchor after `previous`, of a tree that has taken in the changes; None lists every head: a checkpoint."""
    is_checkpoint = changed is None
    listed = tree.heads.values() if changed is None else changed
    anchor = Anchor(
        number=previous.number + 1 if previous is not None else FIRST_ANCHOR,
        taken_at=taken_at,
        account_count=len(tree.heads),
        entry_count=tree.entry_count,
        root=tree.root,
        previous_hash=previous.content_hash if previous is not None else NO_ANCHOR_HASH,
        is_checkpoint=is_checkpoint,
        changed=tuple(sorted(listed)),
        key_id=signer.key_id,
    )
    return replace(anchor, signature=signer.sign(anchor.signed_bytes))


def contradictions(anchored: Mapping[HeadName, AnchoredHead], heads: Mapping[HeadName, AnchoredHead]) -> list[str]:
    """Return what is impossible in a ledger that only grows, in words: accounts gone, sequences gone back, histories rewritten."""
    found = []
    for name, before in sorted(anchored.items()):
        now = heads.get(name)
        if now is None:
            found.append(f"{before.account} is gone; it was anchored at entry {before.sequence}")
        elif now.sequence < before.sequence:
            found.append(f"{before.account} is at entry {now.sequence}; it was anchored at entry {before.sequence}")
        elif now.sequence == before.sequence and now.chain_hash != before.chain_hash:
            found.append(f"{before.account} has another hash at entry {now.sequence} than the one that was anchored")
    return found


def key_id_of(public_key: bytes) -> str:
    """Return the name of a key in anchors: the first 16 hexadecimal digits of the SHA-256 of its 32 raw public bytes."""
    return sha256(public_key).hexdigest()[:16]


def anchor_to_document(anchor: Anchor) -> dict[str, Any]:
    """Return an anchor as a JSON value: what a line of an anchor file holds."""
    return {
        "number": anchor.number,
        "taken_at": anchor.taken_at.astimezone(UTC).isoformat(timespec="microseconds"),
        "accounts": anchor.account_count,
        "entries": anchor.entry_count,
        "root": anchor.root.hex(),
        "previous": anchor.previous_hash.hex(),
        "checkpoint": anchor.is_checkpoint,
        "heads": heads_to_document(anchor.changed),
        "key": anchor.key_id,
        "signature": anchor.signature.hex(),
    }


def anchor_from_document(document: object) -> Anchor:
    """Return the anchor that a JSON value holds; the inverse of `anchor_to_document`.

    Raises:
        ValueError: It holds none.
    """
    if not isinstance(document, dict) or sorted(document) != sorted(_KEYS):
        raise ValueError(f"not an anchor; expected the keys {', '.join(_KEYS)}")
    try:
        match document:
            case {
                "number": int(number),
                "taken_at": str(taken_at),
                "accounts": int(account_count),
                "entries": int(entry_count),
                "root": str(root),
                "previous": str(previous),
                "checkpoint": bool(is_checkpoint),
                "heads": list(heads),
                "key": str(key_id),
                "signature": str(signature),
            }:
                return Anchor(
                    number=number,
                    taken_at=datetime.fromisoformat(taken_at).astimezone(UTC),
                    account_count=account_count,
                    entry_count=entry_count,
                    root=bytes.fromhex(root),
                    previous_hash=bytes.fromhex(previous),
                    is_checkpoint=is_checkpoint,
                    changed=heads_from_document(heads),
                    key_id=key_id,
                    signature=bytes.fromhex(signature),
                )
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"not an anchor: {error}") from None
    raise ValueError("not an anchor: a value is not of its kind")


def heads_to_document(heads: Iterable[AnchoredHead]) -> list[list[Any]]:
    """Return heads as a JSON value: client, account, sequence and chain hash of each."""
    return [[head.client_id, head.account_id, head.sequence, head.chain_hash.hex()] for head in heads]


def heads_from_document(heads: object) -> tuple[AnchoredHead, ...]:
    """Return the heads that a JSON value holds; ValueError when it holds anything else."""
    if not isinstance(heads, list):
        raise ValueError("not a list of heads")  # noqa: TRY004 - a value that was read, not a mistake of the caller's
    found = []
    for head in heads:
        match head:
            case [str(client_id), str(account_id), int(sequence), str(chain_hash)]:
                found.append(AnchoredHead(client_id, account_id, sequence, bytes.fromhex(chain_hash)))
            case _:
                raise ValueError(f"head was {str(head)[:100]}; expected client, account, sequence and hash")
    return tuple(found)
