"""A secure service as a process, on dev certificates and a database that it does not own, and how to look behind it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen
from uuid import uuid4

import grpc
import jwt
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from psycopg import sql
from psycopg.conninfo import make_conninfo

from crossmargin.adapters.postgres.walls import make_login
from crossmargin.adapters.runtime.dev_certificates import AUDIENCE, ISSUER
from crossmargin.adapters.runtime.embedded_postgres import EmbeddedPostgres
from crossmargin.app import EMBEDDED_LOGIN

AUDIT = "audit_event"
"""Grows with every denial, and should."""
_AT_DEBUG = """
import logging
from crossmargin.app import serving
from crossmargin.__main__ import main

configure = serving.configure_logs

def at_debug(*arguments):
    configure(*arguments)
    logging.getLogger().setLevel(logging.DEBUG)

serving.configure_logs = at_debug
raise SystemExit(main())
"""
"""The service with everything that libraries say below a warning, which it never shows by itself."""


@dataclass
class Service:
    """A secure service process, and how to look behind it.

    Attributes:
        database: As its owner. The service works as somebody else.
        log: What the service writes. database_log: What its PostgreSQL writes.
    """

    process: subprocess.Popen
    address: str
    admin_address: str
    folder: Path
    database: str
    log: Path
    database_log: Path

    def channel(self, name: str = "house", **options) -> grpc.aio.Channel:
        ca, key, certificate = (self.folder / part for part in ("ca.pem", f"{name}-key.pem", f"{name}.pem"))
        credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key.read_bytes(), certificate.read_bytes())
        options = {"options": [("grpc.max_send_message_length", 8 * 1024 * 1024)], **options}
        return grpc.aio.secure_channel(self.address, credentials, **options)

    def token(self, name: str = "house") -> str:
        return (self.folder / f"{name}.token").read_text()

    def new_token(self, name: str, **claims) -> str:
        """A token of the service's issuer for a caller of the dev certificates, with claims that replace or add to the right ones."""
        certificate = x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes())
        thumbprint = urlsafe_b64encode(sha256(certificate.public_bytes(Encoding.DER)).digest()).rstrip(b"=").decode()
        now = int(time.time())
        right = {"iss": ISSUER, "aud": AUDIENCE, "sub": f"dev-{name}", "iat": now, "nbf": now, "exp": now + 600, "jti": str(uuid4())}
        right |= {"roles": [name], "clients": "*", "cnf": {"x5t#S256": thumbprint}}
        key = (self.folder / "token-issuer-key.pem").read_text()
        return jwt.encode(right | claims, key, algorithm="EdDSA", headers={"typ": "at+jwt", "kid": "dev"})

    def metrics(self) -> str:
        with urlopen(f"http://{self.admin_address}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def rows(self, statement: str) -> list[tuple]:
        with psycopg.connect(self.database) as connection:
            return connection.execute(statement).fetchall()

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def contents(self) -> dict[str, tuple[int, str]]:
        """How many rows each table has, and a hash of what they say."""
        with psycopg.connect(self.database) as connection:
            tables = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ).fetchall()
            look = sql.SQL("SELECT count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM {} AS t")
            return {table: connection.execute(look.format(sql.Identifier(table))).fetchone() for (table,) in tables if table != AUDIT}

    def stop(self) -> None:
        """Have it end what runs, and wait until it has written everything down."""
        self.process.terminate()
        self.process.wait(60)


@contextmanager
def secure_service(
    *, options: Sequence[str] = (), environment: Mapping[str, str] | None = None, at_debug: bool = False
) -> Iterator[Service]:
    """A service that takes as many calls as come, and stops at the end unless it was stopped before; its database outlives it."""
    with tempfile.TemporaryDirectory(prefix="crossmargin-secure-") as name, EmbeddedPostgres(Path(name) / "data", None) as postgres:
        folder = Path(name) / "certs"
        python = [sys.executable, "-m", "crossmargin"]
        made = subprocess.run([*python, "dev-certs", "--out", str(folder)], check=True, capture_output=True, text=True)
        settings = {**os.environ, **json.loads(made.stdout), **(environment or {}), "CROSSMARGIN_DATABASE_URL": postgres.url}
        subprocess.run([*python, "migrate"], check=True, env=settings, capture_output=True)
        make_login(postgres.url, EMBEDDED_LOGIN)
        settings["CROSSMARGIN_DATABASE_URL"] = make_conninfo(postgres.url, user=EMBEDDED_LOGIN)
        ready, log = Path(name) / "ready.json", Path(name) / "service.log"
        places = ["--grpc-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0", "--ready-file", str(ready)]
        limits = ["--calls-per-s", "1000000", "--urgent-calls-per-s", "1000000"]
        served = [sys.executable, "-c", _AT_DEBUG] if at_debug else python
        with log.open("wb") as output:
            process = subprocess.Popen([*served, "serve", *places, *limits, *options], env=settings, stdout=output, stderr=output)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise RuntimeError(log.read_text()[-2000:])
                time.sleep(0.05)
            addresses = json.loads(ready.read_text())
            yield Service(
                process, addresses["grpc_address"], addresses["admin_address"], folder, postgres.url, log, Path(name) / "data/postgres.log"
            )
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)
