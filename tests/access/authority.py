"""An authority of the tests: certificates and tokens that are right, or wrong in one way."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER, AUDIENCE = "https://issuer.test", "crossmargin-test"
OMS = "spiffe://test/oms"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def private_pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def thumbprint(self) -> str:
        return urlsafe_b64encode(sha256(self.certificate.public_bytes(Encoding.DER)).digest()).rstrip(b"=").decode()

    def channel_credentials(self, root: bytes) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(root, private_pem(self.key), self.pem)


@dataclass
class Authority:
    """Signs certificates of clients and the server; each call may change one thing."""

    name: str = "test authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def __post_init__(self) -> None:
        self.root = self._sign(self.name, self.key, ca=True, uris=(), uses=(), not_before=-HOUR, not_after=DAY)

    @property
    def pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def client(self, *uris: str, uses=(CLIENT,), not_before: timedelta = -HOUR, not_after: timedelta = HOUR) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._sign("client", key, ca=False, uris=uris, uses=uses, not_before=not_before, not_after=not_after)
        return Identity(signed, key)

    def server(self) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        return Identity(self._sign("server", key, ca=False, uris=(), uses=(SERVER,), not_before=-HOUR, not_after=DAY, ip=True), key)

    def _sign(self, name, key, *, ca, uris, uses, not_before, not_after, ip=False) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + not_before)
            .not_valid_after(now + not_after)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        if ip:
            names += [x509.IPAddress(IPv4Address("127.0.0.1"))]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if uses:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(uses)), critical=False)
        return builder.sign(self.key, hashes.SHA256())


@dataclass
class Issuer:
    """Makes tokens. Named claims replace the right ones; None leaves a claim out."""

    key: Any = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    key_id: str = "k1"
    start: int | None = None
    """What the issuer takes for now; the machine's clock unless it is set."""

    @property
    def jwks(self) -> bytes:
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        x = urlsafe_b64encode(raw).rstrip(b"=").decode()
        return json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.key_id, "x": x}]}).encode()

    @property
    def pem(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def token(self, identity: Identity | None = None, *, headers=None, algorithm: str = "EdDSA", key=None, **claims: Any) -> str:
        now = int(datetime.now(UTC).timestamp()) if self.start is None else self.start
        right = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "alice",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "jti": str(uuid4()),
            "roles": ["trader"],
            "clients": ["alpha"],
            "cnf": {"x5t#S256": identity.thumbprint if identity is not None else "t" * 43},
        }
        wanted = {name: value for name, value in (right | claims).items() if value is not None}
        return jwt.encode(wanted, key or self.key, algorithm=algorithm, headers={"typ": "at+jwt", "kid": self.key_id} | (headers or {}))


def allow_list(workloads: dict[str, tuple[list[str], list[str] | str]], *, principals=(), tokens=(), publishes=None) -> str:
    """The text of an allow-list: roles and clients behind each SPIFFE id, sources where they are fewer than all, and who was revoked."""
    publishes = publishes or {}
    parts = []
    for name, (roles, clients) in workloads.items():
        sources = json.dumps(publishes.get(name, "*"))
        parts.append(f'[workloads."{name}"]\nroles = {json.dumps(roles)}\nclients = {json.dumps(clients)}\nsources = {sources}\n')
    return "\n".join([*parts, f"[revoked]\nprincipals = {json.dumps(list(principals))}\ntokens = {json.dumps(list(tokens))}\n"])


ALL = ["trader", "risk", "operations", "publisher", "auditor", "administrator"]


@dataclass
class Files:
    """The files of a secure service, in a folder of the test."""

    folder: Path
    authority: Authority = field(default_factory=Authority)
    issuer: Issuer = field(default_factory=Issuer)

    def __post_init__(self) -> None:
        server = self.authority.server()
        self.write("server.pem", server.pem)
        self.write("server-key.pem", private_pem(server.key))
        self.write("ca.pem", self.authority.pem)
        self.write("token-keys.json", self.issuer.jwks)
        self.allow({OMS: (ALL, "*")})

    def allow(self, workloads, **revoked) -> None:
        self.write("allow-list.toml", allow_list(workloads, **revoked).encode())

    def write(self, name: str, content: bytes) -> None:
        new = self.folder / f"{name}.new"
        new.write_bytes(content)
        new.replace(self.folder / name)
