"""Who calls over TLS: a known certificate, and a token that was made for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crossmargin.adapters.grpc_server.allow_list import AllowList, Workload
from crossmargin.adapters.grpc_server.certificates import ClientCertificate, read_certificate
from crossmargin.adapters.grpc_server.context import Context
from crossmargin.adapters.grpc_server.denial import Cause, DenialError, unauthenticated
from crossmargin.adapters.grpc_server.tokens import Token, TokenVerifier
from crossmargin.usecases.caller import Caller

AUTHORIZATION: Final = "authorization"
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class SecureCaller:
    """Identifies callers; everything it goes by may change while it runs, and counts from the next call on.

    Attributes:
        allow_list: Returns the allow-list as it is now.
        now: Returns the present moment. The connection was checked against the authority once; whether the certificate still holds is
            checked at every call, because a connection outlives it.
    """

    allow_list: Callable[[], AllowList]
    tokens: TokenVerifier
    now: Callable[[], datetime]

    def __call__(self, context: Context) -> Caller:
        """Return the caller: in the roles and for the clients that both his token and his workload have.

        Raises:
            DenialError: UNAUTHENTICATED.
        """
        allowed = self.allow_list()
        certificate, workload = self._workload(context, allowed)
        try:
            token = self.tokens.verify(_token_of(context))
        except DenialError as denial:
            known = denial.caller
            raise unauthenticated(denial.cause, principal=known.principal, workload=certificate.workload, token=known.token) from None
        _check_token(token, certificate, allowed)
        return Caller(
            token.principal,
            roles=token.roles & workload.roles,
            scope=token.scope.within(workload.scope),
            sources=token.sources.within(workload.sources),
            workload=certificate.workload,
            token=token.token_id,
        )

    def _workload(self, context: Context, allowed: AllowList) -> tuple[ClientCertificate, Workload]:
        found = list(context.auth_context().get("x509_pem_cert", ()))
        if not found:
            raise unauthenticated(Cause.NO_CERTIFICATE)
        certificate = read_certificate(found[0])
        if not certificate.not_before <= self.now() <= certificate.not_after:
            raise unauthenticated(Cause.CERTIFICATE_TIME, workload=certificate.workload)
        workload = allowed.workloads.get(certificate.workload)
        if workload is None:
            raise unauthenticated(Cause.UNKNOWN_WORKLOAD, workload=certificate.workload)
        return certificate, workload


def _check_token(token: Token, certificate: ClientCertificate, allowed: AllowList) -> None:
    known = {"principal": token.principal, "workload": certificate.workload, "token": token.token_id}
    if token.thumbprint != certificate.thumbprint:
        raise unauthenticated(Cause.TOKEN_BINDING, **known)
    if token.principal in allowed.revoked_principals or token.jti in allowed.revoked_tokens:
        raise unauthenticated(Cause.REVOKED, **known)


def _token_of(context: Context) -> str:
    given = [value for name, value in context.invocation_metadata() or () if name == AUTHORIZATION]
    if len(given) != 1 or not isinstance(given[0], str) or not given[0][: len(_BEARER)].lower() == _BEARER:
        raise unauthenticated(Cause.NO_TOKEN if not given else Cause.BAD_TOKEN)
    return given[0][len(_BEARER) :].strip()
