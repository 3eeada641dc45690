"""The server's side of mutual TLS: its certificate and the authorities of clients, read again as they change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

log = structlog.get_logger()


class TlsFilesError(ValueError):
    """The files do not make a server's identity; the message says which and why."""


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """A certificate chain with its key, and the authorities of clients, in PEM. `not_after` is when the certificate ends."""

    certificate: bytes
    key: bytes
    client_authorities: bytes
    not_after: datetime


def load_tls(certificate_file: Path, key_file: Path, client_ca_file: Path) -> TlsMaterial:
    """Return what the three files hold.

    Raises:
        TlsFilesError: One cannot be read, or the key is not the certificate's, as half-way through a replacement.
    """
    try:
        chain, key, authorities = (path.read_bytes() for path in (certificate_file, key_file, client_ca_file))
    except OSError as error:
        raise TlsFilesError(f"{error.filename} cannot be read: {error.strerror}") from None
    try:
        certificate = x509.load_pem_x509_certificates(chain)[0]
        x509.load_pem_x509_certificates(authorities)
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, IndexError):
        files = f"{certificate_file}, {key_file} and {client_ca_file}"
        raise TlsFilesError(f"{files}: expected certificates and a key without a password, in PEM") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise TlsFilesError(f"{key_file} is not the key of {certificate_file}")
    return TlsMaterial(chain, key, authorities, certificate.not_valid_after_utc)


class ServerTls:
    """Credentials of the server that follow their files: every new connection is made with what they hold then.

    What cannot be used leaves what there was before in force, and the log says so.
    """

    def __init__(self, certificate_file: Path, key_file: Path, client_ca_file: Path) -> None:
        self._files = (certificate_file, key_file, client_ca_file)
        self._material = load_tls(*self._files)
        self._served = self._material

    @property
    def not_after(self) -> datetime:
        """When the certificate in force ends; the files are looked at first."""
        self._refresh()
        return self._material.not_after

    def credentials(self) -> grpc.ServerCredentials:
        """Return credentials that ask every client for a certificate."""
        # grpc takes None for nothing new; its types do not say so.
        changed: Any = self._changed_configuration
        found: grpc.ServerCredentials = grpc.dynamic_ssl_server_credentials(
            _configuration(self._material), changed, require_client_authentication=True
        )
        return found

    def _changed_configuration(self) -> grpc.ServerCertificateConfiguration | None:
        # Called by grpc, in a thread of its own, at every handshake; None leaves what it has.
        self._refresh()
        if self._served is self._material:
            return None
        self._served = self._material
        return _configuration(self._served)

    def _refresh(self) -> None:
        try:
            found = load_tls(*self._files)
        except TlsFilesError as error:
            log.error("TLS files cannot be used; what they held before stays in force", why=str(error))  # noqa: TRY400 - no stack needed
            return
        if found == self._material:
            return
        self._material = found
        log.info("TLS files were read again", not_after=found.not_after.isoformat())


def _configuration(material: TlsMaterial) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(material.key, material.certificate)], root_certificates=material.client_authorities)
