"""What a client's certificate proves."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from crossmargin.adapters.grpc_server.denial import Cause, unauthenticated

_SCHEME: Final = "spiffe://"
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that is for a client and names one workload.

    Attributes:
        workload: Its SPIFFE id.
        thumbprint: SHA-256 of the certificate in base64url without padding: `x5t#S256` of RFC 8705.
    """

    workload: str
    thumbprint: str
    not_before: datetime
    not_after: datetime


# Reading one takes as long as a good part of a preview; a caller's is the same for every call.
@lru_cache(maxsize=_REMEMBERED)
def read_certificate(pem: bytes) -> ClientCertificate:
    """Return what a certificate in PEM says. That its chain leads to a trusted authority was checked when the connection was made.

    Raises:
        DenialError: It is not for clients, or does not have exactly one URI, a SPIFFE id, among its names.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        is_name = error.oid == x509.SubjectAlternativeName.oid
        raise unauthenticated(Cause.CERTIFICATE_NAMES if is_name else Cause.CERTIFICATE_USE) from None
    except ValueError:
        raise unauthenticated(Cause.BAD_CERTIFICATE) from None
    if len(uris) != 1 or not uris[0].startswith(_SCHEME):
        raise unauthenticated(Cause.CERTIFICATE_NAMES)
    if ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise unauthenticated(Cause.CERTIFICATE_USE, workload=uris[0])
    return ClientCertificate(uris[0], thumbprint_of(certificate), certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def thumbprint_of(certificate: x509.Certificate) -> str:
    """Return SHA-256 of a certificate in base64url without padding, which binds a token to it."""
    return urlsafe_b64encode(sha256(certificate.public_bytes(Encoding.DER)).digest()).rstrip(b"=").decode()
