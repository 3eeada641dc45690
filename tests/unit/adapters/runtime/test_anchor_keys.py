"""Keys: made once, for their owner alone, and refused with a sentence that helps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from crossmargin.adapters.runtime.anchor_keys import AnchorKeyError, load_anchor_key, load_anchor_keyring, load_or_create_anchor_key
from crossmargin.domain.audit_anchor import HeadTree, sign_anchor
from tests.ledger_rig import KEY, STRANGERS_KEY


def an_anchor(key):
    return sign_anchor(None, HeadTree(), None, taken_at=datetime(2026, 3, 2, tzinfo=UTC), signer=key)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "new" / "key.pem"
    made = load_or_create_anchor_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_anchor_key(path).key_id == load_anchor_key(path).key_id == made.key_id
    assert [each.name for each in path.parent.iterdir()] == ["key.pem"]


def test_what_a_key_signs_its_public_half_knows(tmp_path):
    public = tmp_path / "public.pem"
    public.write_text(KEY.public_pem)
    keyring = load_anchor_keyring([public])
    anchor = an_anchor(KEY)
    assert keyring.is_signed(anchor) is True
    assert keyring.is_signed(replace(anchor, entry_count=1)) is False
    assert keyring.is_signed(replace(anchor, signature=b"")) is False
    assert keyring.is_signed(an_anchor(STRANGERS_KEY)) is None


def test_a_file_may_hold_the_keys_of_all_years(tmp_path):
    public = tmp_path / "public.pem"
    public.write_text(KEY.public_pem + "\n" + STRANGERS_KEY.public_pem)
    assert [load_anchor_keyring([public]).is_signed(an_anchor(key)) for key in (KEY, STRANGERS_KEY)] == [True, True]


def test_a_key_that_cannot_be_used_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "key.pem"
    with pytest.raises(AnchorKeyError, match="openssl genpkey -algorithm ed25519"):
        load_anchor_key(path)
    path.write_text("no key")
    with pytest.raises(AnchorKeyError, match="is not a private key in PEM"):
        load_anchor_key(path)
    other = generate_private_key(SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(AnchorKeyError, match="expected an Ed25519 key"):
        load_anchor_key(path)


def test_a_public_key_that_cannot_be_used_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "public.pem"
    with pytest.raises(AnchorKeyError, match="cannot be read"):
        load_anchor_keyring([path])
    path.write_text("no key")
    with pytest.raises(AnchorKeyError, match="crossmargin anchor-key"):
        load_anchor_keyring([path])
    path.write_text("-----BEGIN PUBLIC KEY-----\nMAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(AnchorKeyError, match="a public key that cannot be read"):
        load_anchor_keyring([path])
    path.write_bytes(generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(AnchorKeyError, match="expected an Ed25519 key"):
        load_anchor_keyring([path])
