"""The key that anchors are signed with, and the public keys that they are checked with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from crossmargin.domain.audit_anchor import Anchor, key_id_of

_PEM_PUBLIC: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)
_FOR_US_ALONE: Final = 0o600


class AnchorKeyError(Exception):
    """A key cannot be used; the message names the file and says what to do."""


class AnchorKey:
    """An Ed25519 key of our own. See `Signer`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self._key_id = key_id_of(_raw(key.public_key()))

    @property
    def key_id(self) -> str:
        """The key's name in anchors."""
        return self._key_id

    @property
    def public_pem(self) -> str:
        """The public half, as a PEM file holds it."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def keyring(self) -> AnchorKeyring:
        """The public half, to check with."""
        return AnchorKeyring([self._key.public_key()])

    def sign(self, content: bytes) -> bytes:
        """Return a signature."""
        return self._key.sign(content)


class AnchorKeyring:
    """Public keys by the name they have in anchors. See `SignatureCheck`."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id_of(_raw(key)): key for key in keys}

    def is_signed(self, anchor: Anchor) -> bool | None:
        """Return whether the signature is that of the key it names; None when that key is not here."""
        key = self._keys.get(anchor.key_id)
        if key is None:
            return None
        try:
            key.verify(anchor.signature, anchor.signed_bytes)
        except InvalidSignature:
            return False
        return True


def load_anchor_key(path: Path) -> AnchorKey:
    """Return the key in a file: Ed25519, PKCS#8, PEM, without a password.

    Raises:
        AnchorKeyError: There is none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnchorKeyError(
            f"anchor key {path} cannot be read: {error.strerror}; make one with: openssl genpkey -algorithm ed25519 -out {path}"
        ) from None
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise AnchorKeyError(f"anchor key {path} is not a private key in PEM without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise AnchorKeyError(f"anchor key {path} is a {type(key).__name__}; expected an Ed25519 key")
    return AnchorKey(key)


def load_or_create_anchor_key(path: Path) -> AnchorKey:
    """Return the key in a file, made now if there is no such file, for our user alone."""
    if not path.exists():
        content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + ".unfinished")
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FOR_US_ALONE), "wb") as file:  # noqa: PTH123 - with a mode
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    return load_anchor_key(path)


def load_anchor_keyring(paths: Iterable[Path]) -> AnchorKeyring:
    """Return the public keys in files; a file may hold several, such as those of all years.

    Raises:
        AnchorKeyError: A file holds none.
    """
    keys: list[Ed25519PublicKey] = []
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise AnchorKeyError(f"public key {path} cannot be read: {error.strerror}") from None
        keys += _public_keys(path, content)
    return AnchorKeyring(keys)


def _public_keys(path: Path, content: bytes) -> list[Ed25519PublicKey]:
    blocks = _PEM_PUBLIC.findall(content)
    if not blocks:
        raise AnchorKeyError(f"{path} holds no public key in PEM; export it with: crossmargin anchor-key")
    keys = []
    for block in blocks:
        try:
            key = load_pem_public_key(block)
        except (ValueError, UnsupportedAlgorithm):
            raise AnchorKeyError(f"{path} holds a public key that cannot be read") from None
        if not isinstance(key, Ed25519PublicKey):
            raise AnchorKeyError(f"{path} holds a {type(key).__name__}; expected an Ed25519 key")
        keys.append(key)
    return keys


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
