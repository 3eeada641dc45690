"""What a token proves: who calls, in which roles, for which clients, and with which certificate."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from crossmargin.adapters.grpc_server.allow_list import EVERY, roles_from_names, scope_from_clients, sources_from_names
from crossmargin.adapters.grpc_server.denial import Cause, unauthenticated
from crossmargin.domain.client_scope import ClientScope
from crossmargin.domain.role import Role
from crossmargin.domain.source_scope import SourceScope

CLOCK_SKEW_S: Final = 5
"""How far the issuer's clock may be from ours, either way."""
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - the type of RFC 9068, no secret
LARGEST_TOKEN: Final = 6 * 1024
_REQUIRED: Final = ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]
_PRINCIPAL: Final = re.compile(r"[!-~]{1,128}", re.ASCII)
_RESERVED: Final = frozenset({"crossmargin", "local"})
"""Names under which the service itself writes, and those who come without a token."""
_MOST_KEYS: Final = 16
_REMEMBERED: Final = 8192
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A public key of the issuer, and the one algorithm that it is for. `key_id` is empty for a key that has none."""

    key_id: str
    algorithm: str
    key: Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says that was found to be genuine.

    Attributes:
        sources: Those that it may publish for; every one that its workload may when it does not say.
        token_id: The first half of the SHA-256 of its `jti`; what is kept in the audit trail.
        jti: Its own id, by which it can be revoked.
        thumbprint: Of the certificate that it was made for.
        not_before: Both in seconds since 1970. not_after: The first moment at which it does not hold any more.
    """

    principal: str
    roles: frozenset[Role]
    scope: ClientScope
    sources: SourceScope
    token_id: str
    jti: str
    thumbprint: str
    not_before: float
    not_after: float


class TokenVerifier:
    """Verifies tokens of one issuer for one service, and remembers those it has verified until they are over.

    Args:
        keys: Returns the issuer's keys as they are now; what was verified with a key that is gone is not believed any more.
        longest_s: The longest that a token may hold, from its making to its end.
        now: Returns the present moment.
    """

    def __init__(
        self, keys: Callable[[], Sequence[TokenKey]], *, issuer: str, audience: str, longest_s: float, now: Callable[[], datetime]
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._longest_s = longest_s
        self._now = now
        self._verified: OrderedDict[bytes, Token] = OrderedDict()
        self._verified_with: Sequence[TokenKey] = ()

    def verify(self, text: str) -> Token:
        """Return what a token says.

        Raises:
            DenialError: It does not hold now, or never did.
        """
        if len(text) > LARGEST_TOKEN:
            raise unauthenticated(Cause.BAD_TOKEN)
        keys = self._keys()
        if keys is not self._verified_with:
            self._verified.clear()
            self._verified_with = keys
        name = sha256(text.encode()).digest()
        token = self._verified.get(name)
        if token is None:
            token = self._read(text, keys)
            self._verified[name] = token
            if len(self._verified) > _REMEMBERED:
                self._verified.popitem(last=False)
        self._check_time(token)
        return token

    def _check_time(self, token: Token) -> None:
        now = self._now().timestamp()
        if not token.not_before - CLOCK_SKEW_S <= now < token.not_after + CLOCK_SKEW_S:
            raise unauthenticated(Cause.TOKEN_TIME, principal=token.principal, token=token.token_id)

    def _read(self, text: str, keys: Sequence[TokenKey]) -> Token:
        claims = self._genuine_claims(text, keys)
        try:
            return _token(claims, longest_s=self._longest_s, skew_limit=self._now().timestamp() + CLOCK_SKEW_S)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise unauthenticated(Cause.TOKEN_CLAIMS) from None

    def _genuine_claims(self, text: str, keys: Sequence[TokenKey]) -> Mapping[str, Any]:
        header = _unverified_header(text)
        if str(header.get("typ", "")).lower() != TOKEN_TYPE or "crit" in header:
            raise unauthenticated(Cause.BAD_TOKEN)
        for key in keys:
            # The key says which algorithm it is for. What the token says of its own is compared with it, and believed in nothing.
            is_named = not key.key_id or header.get("kid", "") in {key.key_id, ""}
            if header.get("alg") == key.algorithm and is_named:
                claims = self._decoded(text, key)
                if claims is not None:
                    return claims
        raise unauthenticated(Cause.TOKEN_SIGNATURE)

    def _decoded(self, text: str, key: TokenKey) -> Mapping[str, Any] | None:
        # Times are compared by us, with the clock that was handed in, whenever the token is shown.
        options: Any = {"require": _REQUIRED, "verify_exp": False, "verify_nbf": False, "verify_iat": False, "strict_aud": True}
        try:
            return jwt.decode(text, key.key, algorithms=[key.algorithm], audience=self._audience, issuer=self._issuer, options=options)
        except jwt.InvalidSignatureError:
            return None
        except jwt.InvalidIssuerError:
            raise unauthenticated(Cause.TOKEN_ISSUER) from None
        except jwt.InvalidAudienceError:
            raise unauthenticated(Cause.TOKEN_AUDIENCE) from None
        except jwt.MissingRequiredClaimError:
            raise unauthenticated(Cause.TOKEN_CLAIMS) from None
        except jwt.PyJWTError:
            raise unauthenticated(Cause.BAD_TOKEN) from None


def parse_token_keys(raw: bytes) -> Sequence[TokenKey]:
    """Return the keys of a JSON Web Key Set, or of one or more PEM blocks.

    Raises:
        ValueError: A key is neither Ed25519 nor on P-256, is a private one, or there are none.
    """
    if len(raw) > 64 * 1024:
        raise ValueError("keys of tokens: expected at most 64 KB")
    text = raw.strip()
    keys = _keys_of_set(text) if text.startswith(b"{") else [_key("", load_pem_public_key(block)) for block in _PEM_BLOCK.findall(text)]
    if not 0 < len(keys) <= _MOST_KEYS:
        raise ValueError(f"keys of tokens: there were {len(keys)} public keys; expected 1 to {_MOST_KEYS}, as a JWKS or in PEM")
    return tuple(keys)


def _keys_of_set(text: bytes) -> list[TokenKey]:
    keys = []
    for document in json.loads(text).get("keys", ()):
        if "d" in document:
            raise ValueError("keys of tokens: a private key is in the set; expected public ones")
        keys.append(_key(str(document.get("kid", "")), jwt.PyJWK(document).key))
    return keys


def _key(key_id: str, key: object) -> TokenKey:
    if isinstance(key, Ed25519PublicKey):
        return TokenKey(key_id, "EdDSA", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return TokenKey(key_id, "ES256", key)
    raise ValueError("keys of tokens: expected Ed25519 (EdDSA) or P-256 (ES256)")


def _unverified_header(text: str) -> Mapping[str, Any]:
    """Return what a token says of itself, which chooses the key that it is checked with. The check looks at all of the token again."""
    segment = text.partition(".")[0]
    try:
        header = json.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except (ValueError, RecursionError):
        raise unauthenticated(Cause.BAD_TOKEN) from None
    if not isinstance(header, dict):
        raise unauthenticated(Cause.BAD_TOKEN)
    return header


def _token(claims: Mapping[str, Any], *, longest_s: float, skew_limit: float) -> Token:
    principal, jti = _text(claims["sub"]), _text(claims["jti"])
    if principal in _RESERVED:
        raise ValueError("a reserved name")
    issued, not_before, not_after = (_moment(claims[name]) for name in ("iat", "nbf", "exp"))
    token_id = sha256(jti.encode()).hexdigest()[:32]
    if issued > skew_limit:
        raise unauthenticated(Cause.TOKEN_TIME, principal=principal, token=token_id)
    if not 0 < not_after - min(issued, not_before) <= longest_s:
        raise unauthenticated(Cause.TOKEN_LIFETIME, principal=principal, token=token_id)
    return Token(
        principal,
        roles_from_names(claims["roles"]),
        scope_from_clients(claims["clients"]),
        sources_from_names(claims.get("sources", EVERY)),
        token_id,
        jti,
        _text(claims["cnf"]["x5t#S256"]),
        not_before,
        not_after,
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not _PRINCIPAL.fullmatch(value):
        raise ValueError("no text of 1 to 128 printable characters")
    return value


def _moment(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise ValueError("no moment")
    return float(value)
