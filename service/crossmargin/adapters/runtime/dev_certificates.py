"""A throw-away authority with certificates and tokens, so that the secure service can be tried in a minute. Never for production."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crossmargin.domain.role import Role

ISSUER: Final = "https://dev.crossmargin.invalid"
AUDIENCE: Final = "crossmargin"
TRUST_DOMAIN: Final = "spiffe://dev.crossmargin.invalid"
LIFETIME: Final = timedelta(hours=12)
_BACKDATED: Final = timedelta(minutes=1)
_KEY_ID: Final = "dev"


@dataclass(frozen=True, slots=True)
class DevCaller:
    """Somebody to play. `clients` is a list of ids, or None for the whole house."""

    name: str
    roles: tuple[Role, ...]
    clients: Sequence[str] | None = None


def dev_callers(trader_clients: Sequence[str]) -> list[DevCaller]:
    """Return one caller of each role, a second risk officer for what takes two persons, and `house`, who may do everything."""
    single = [DevCaller(role.value, (role,), trader_clients if role is Role.TRADER else None) for role in Role]
    return [*single, DevCaller("risk-second", (Role.RISK,)), DevCaller("house", tuple(Role))]


def write_dev_certificates(folder: Path, callers: Sequence[DevCaller], *, target: str) -> None:
    """Fill a folder with an authority, a server's certificate, and for each caller a certificate, a token and a profile.

    What is there already is replaced; a service that runs on it takes up the new files.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("crossmargin dev CA", authority_key, None, authority_key, is_authority=True)
    issuer_key = ed25519.Ed25519PrivateKey.generate()
    _write(folder / "ca.pem", authority.public_bytes(Encoding.PEM))
    _write_key(folder / "token-issuer-key.pem", issuer_key)
    _write(folder / "token-keys.json", json.dumps({"keys": [_jwk(issuer_key)]}, indent=2).encode())
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _certificate("crossmargin dev server", server_key, authority, authority_key, is_server=True)
    _write_key(folder / "server-key.pem", server_key)
    _write(folder / "server.pem", server.public_bytes(Encoding.PEM))
    for caller in callers:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(f"dev {caller.name}", key, authority, authority_key, workload=_workload(caller))
        _write_key(folder / f"{caller.name}-key.pem", key)
        _write(folder / f"{caller.name}.pem", certificate.public_bytes(Encoding.PEM))
        _write(folder / f"{caller.name}.token", _token(caller, issuer_key, certificate).encode(), mode=0o600)
        _write(folder / f"{caller.name}.toml", _profile(caller, target).encode())
    _write(folder / "allow-list.toml", _allow_list(callers).encode())
    _write(folder / "serve.env", "".join(f"{name}={value}\n" for name, value in dev_settings(folder.resolve()).items()).encode())


def dev_settings(folder: Path) -> Mapping[str, str]:
    """Return the settings of a service that lives on such a folder, as environment variables."""
    return {
        "CROSSMARGIN_TLS_CERT_FILE": str(folder / "server.pem"),
        "CROSSMARGIN_TLS_KEY_FILE": str(folder / "server-key.pem"),
        "CROSSMARGIN_TLS_CLIENT_CA_FILE": str(folder / "ca.pem"),
        "CROSSMARGIN_ALLOW_LIST_FILE": str(folder / "allow-list.toml"),
        "CROSSMARGIN_TOKEN_KEYS_FILE": str(folder / "token-keys.json"),
        "CROSSMARGIN_TOKEN_ISSUER": ISSUER,
        "CROSSMARGIN_TOKEN_AUDIENCE": AUDIENCE,
        "CROSSMARGIN_TOKEN_LONGEST_S": str(int(LIFETIME.total_seconds())),
    }


def _workload(caller: DevCaller) -> str:
    return f"{TRUST_DOMAIN}/{caller.name}"


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool = False,
    is_server: bool = False,
    workload: str = "",
) -> x509.Certificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if authority is None else authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
    )
    if is_server:
        names: list[x509.GeneralName] = [x509.DNSName("localhost")]
        names += [x509.IPAddress(IPv4Address("127.0.0.1")), x509.IPAddress(IPv6Address("::1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if workload:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(workload)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _token(caller: DevCaller, issuer_key: ed25519.Ed25519PrivateKey, certificate: x509.Certificate) -> str:
    now = int(datetime.now(UTC).timestamp())
    thumbprint = urlsafe_b64encode(sha256(certificate.public_bytes(Encoding.DER)).digest()).rstrip(b"=").decode()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"dev-{caller.name}",
        "iat": now,
        "nbf": now,
        "exp": now + int(LIFETIME.total_seconds()),
        "jti": str(uuid4()),
        "roles": [role.value for role in caller.roles],
        "clients": "*" if caller.clients is None else list(caller.clients),
        "cnf": {"x5t#S256": thumbprint},
    }
    return jwt.encode(claims, issuer_key, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": _KEY_ID})


def _jwk(key: ed25519.Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": _KEY_ID, "x": urlsafe_b64encode(raw).rstrip(b"=").decode()}


def _profile(caller: DevCaller, target: str) -> str:
    name = caller.name
    files = {"tls_ca": "ca.pem", "tls_cert": f"{name}.pem", "tls_key": f"{name}-key.pem", "token_file": f"{name}.token"}
    return "".join(f'{key} = "{value}"\n' for key, value in ({"target": target} | files).items())


def _allow_list(callers: Sequence[DevCaller]) -> str:
    entries = []
    for caller in callers:
        roles = json.dumps([role.value for role in caller.roles])
        clients = json.dumps("*" if caller.clients is None else list(caller.clients))
        sources = 'sources = "*"\n' if Role.PUBLISHER in caller.roles else ""
        entries.append(f'[workloads."{_workload(caller)}"]\nroles = {roles}\nclients = {clients}\n{sources}')
    return "\n".join([*entries, "[revoked]\nprincipals = []\ntokens = []\n"])


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    _write(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)


def _write(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    # Put in place whole, so that a running service never reads half a file.
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(content)
    new.replace(path)
