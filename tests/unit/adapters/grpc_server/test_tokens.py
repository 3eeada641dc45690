"""A token is believed when everything about it is right, and for nothing that it says of itself alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crossmargin.adapters.grpc_server.denial import Cause, DenialError
from crossmargin.adapters.grpc_server.tokens import CLOCK_SKEW_S, TokenVerifier, parse_token_keys
from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.identifiers import ClientId
from crossmargin.domain.role import Role
from tests.access.authority import AUDIENCE, ISSUER, Issuer

START = int(datetime.now(UTC).timestamp())


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime.fromtimestamp(START, UTC)

    def now(self) -> datetime:
        return self.moment

    def pass_time(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(start=START)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(issuer) -> list:
    return [parse_token_keys(issuer.jwks)]


@pytest.fixture
def verifier(keys, clock) -> TokenVerifier:
    return TokenVerifier(lambda: keys[0], issuer=ISSUER, audience=AUDIENCE, longest_s=900, now=clock.now)


def cause_of(verifier: TokenVerifier, token: str) -> Cause:
    with pytest.raises(DenialError) as denied:
        verifier.verify(token)
    return denied.value.cause


def test_a_right_token_says_who_calls(verifier, issuer):
    token = verifier.verify(issuer.token(iat=START, nbf=START, exp=START + 900, jti="t1"))
    assert (token.principal, token.roles, token.scope) == ("alice", {Role.TRADER}, ClientScope(frozenset({ClientId("alpha")})))
    assert (token.jti, len(token.token_id), token.thumbprint) == ("t1", 32, "t" * 43)
    assert verifier.verify(issuer.token(clients="*")).scope == WHOLE_HOUSE


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"iss": "https://evil.test"}, Cause.TOKEN_ISSUER),
        ({"aud": "another"}, Cause.TOKEN_AUDIENCE),
        ({"aud": [AUDIENCE, "another"]}, Cause.TOKEN_AUDIENCE),
        *(({name: None}, Cause.TOKEN_CLAIMS) for name in ("iss", "sub", "iat", "nbf", "exp", "jti", "roles", "clients", "cnf")),
        ({"aud": None}, Cause.TOKEN_CLAIMS),
        ({"exp": START - 60}, Cause.TOKEN_LIFETIME),
        ({"iat": START - 120, "nbf": START - 120, "exp": START - 60}, Cause.TOKEN_TIME),
        ({"nbf": START + 60, "exp": START + 120}, Cause.TOKEN_TIME),
        ({"iat": START + 60, "nbf": START + 60, "exp": START + 120}, Cause.TOKEN_TIME),
        ({"exp": START + 10 * 365 * 86_400}, Cause.TOKEN_LIFETIME),
        ({"iat": START, "nbf": START, "exp": START + 901}, Cause.TOKEN_LIFETIME),
        ({"iat": START + 4, "nbf": START - 900, "exp": START + 4}, Cause.TOKEN_LIFETIME),
        ({"exp": "soon"}, Cause.TOKEN_CLAIMS),
        ({"exp": True}, Cause.TOKEN_CLAIMS),
        ({"sub": ""}, Cause.TOKEN_CLAIMS),
        ({"sub": "two words"}, Cause.TOKEN_CLAIMS),
        ({"sub": "crossmargin"}, Cause.TOKEN_CLAIMS),
        ({"sub": "local"}, Cause.TOKEN_CLAIMS),
        ({"jti": "x" * 129}, Cause.TOKEN_CLAIMS),
        ({"roles": ["king"]}, Cause.TOKEN_CLAIMS),
        ({"roles": "trader"}, Cause.TOKEN_CLAIMS),
        ({"clients": ["Alpha"]}, Cause.TOKEN_CLAIMS),
        ({"clients": "alpha"}, Cause.TOKEN_CLAIMS),
        ({"cnf": {}}, Cause.TOKEN_CLAIMS),
        ({"cnf": "x"}, Cause.TOKEN_CLAIMS),
        ({"headers": {"typ": "JWT"}}, Cause.BAD_TOKEN),
        ({"headers": {"typ": "at+jwt", "crit": ["x"]}}, Cause.BAD_TOKEN),
        ({"headers": {"kid": "another"}}, Cause.TOKEN_SIGNATURE),
        ({"key": ed25519.Ed25519PrivateKey.generate()}, Cause.TOKEN_SIGNATURE),
        ({"key": ec.generate_private_key(ec.SECP256R1()), "algorithm": "ES256"}, Cause.TOKEN_SIGNATURE),
        ({"key": "s" * 64, "algorithm": "HS256"}, Cause.TOKEN_SIGNATURE),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value.name,
)
def test_one_thing_wrong_is_enough(verifier, issuer, changes, cause):
    assert cause_of(verifier, issuer.token(**changes)) is cause


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "ey" * 100, "x" * 7000, "\u00e9y.b.c", "W10.b.c", "bnVsbA.b.c", "W1tb" * 1500 + ".b.c"]
)
def test_what_is_no_token_is_none(verifier, token):
    assert cause_of(verifier, token) is Cause.BAD_TOKEN


def test_a_public_key_is_never_a_shared_secret(verifier, issuer):
    """The oldest trick: sign by HMAC with the public key, which everybody has."""
    public = issuer.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    header, payload = issuer.token().split(".")[:2]
    forged_header = jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": "k1"}).encode()).decode()
    signature = jwt.api_jws.PyJWS().get_algorithm_by_name("HS256").sign(f"{forged_header}.{payload}".encode(), public)
    assert header
    assert cause_of(verifier, f"{forged_header}.{payload}.{jwt.utils.base64url_encode(signature).decode()}") is Cause.TOKEN_SIGNATURE


def test_a_token_that_nobody_signed_is_none(verifier, issuer):
    header = jwt.utils.base64url_encode(json.dumps({"alg": "none", "typ": "at+jwt", "kid": "k1"}).encode()).decode()
    assert cause_of(verifier, f"{header}.{issuer.token().split('.')[1]}.") is Cause.TOKEN_SIGNATURE


def test_a_changed_token_is_none(verifier, issuer):
    header, payload, signature = issuer.token().split(".")
    changed = json.loads(jwt.utils.base64url_decode(payload)) | {"roles": ["risk"]}
    payload = jwt.utils.base64url_encode(json.dumps(changed).encode()).decode()
    assert cause_of(verifier, f"{header}.{payload}.{signature}") is Cause.TOKEN_SIGNATURE


def test_a_token_that_was_verified_is_over_when_its_time_comes(verifier, issuer, clock):
    token = issuer.token(iat=START, nbf=START, exp=START + 100)
    first = verifier.verify(token)
    assert verifier.verify(token) is first
    clock.pass_time(100 + CLOCK_SKEW_S - 1)
    assert verifier.verify(token) is first
    clock.pass_time(1)
    assert cause_of(verifier, token) is Cause.TOKEN_TIME


def test_clocks_may_differ_a_little(verifier, issuer, clock):
    token = issuer.token(iat=START + CLOCK_SKEW_S, nbf=START + CLOCK_SKEW_S, exp=START + 100)
    assert verifier.verify(token)
    assert cause_of(verifier, issuer.token(iat=START, nbf=START + CLOCK_SKEW_S + 1, exp=START + 100)) is Cause.TOKEN_TIME


def test_with_the_issuers_key_goes_what_it_signed(verifier, issuer, keys):
    token, other = issuer.token(), Issuer(key_id="k2", start=START)
    verifier.verify(token)
    keys[0] = parse_token_keys(other.jwks)
    assert cause_of(verifier, token) is Cause.TOKEN_SIGNATURE
    assert verifier.verify(other.token())


def test_keys_are_read_from_a_set_or_from_pem(issuer, clock):
    elliptic = ec.generate_private_key(ec.SECP256R1())
    pem = elliptic.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    keys = parse_token_keys(issuer.pem + pem)
    assert [key.algorithm for key in keys] == ["EdDSA", "ES256"]
    verifier = TokenVerifier(lambda: keys, issuer=ISSUER, audience=AUDIENCE, longest_s=900, now=clock.now)
    assert verifier.verify(issuer.token())
    assert verifier.verify(Issuer(key=elliptic, start=START).token(algorithm="ES256"))


@pytest.mark.parametrize("what", ["nothing", "rsa", "p384", "private", "garbage", "secret"])
def test_keys_that_must_not_be_used_are_refused(what):
    rsa_key, p384 = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1())
    form = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    raw = {
        "nothing": b"",
        "rsa": rsa_key.public_key().public_bytes(*form),
        "p384": p384.public_key().public_bytes(*form),
        "private": json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "d": "A" * 43}]}).encode(),
        "garbage": b'{"keys": 1}',
        "secret": b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
    }[what]
    with pytest.raises(Exception):  # noqa: B017 - whatever it is, it is no key
        parse_token_keys(raw)
