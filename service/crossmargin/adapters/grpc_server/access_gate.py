"""The gate that every call passes: who it is, whether a role of his opens the call, and whether what it names is his."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

from google.protobuf.message import Message

from crossmargin.adapters.grpc_server.access_policy import AccessPolicy, AccessRule, Unnamed
from crossmargin.adapters.grpc_server.context import Context, Identify
from crossmargin.adapters.grpc_server.denial import Cause, DenialError, permission_denied, unauthenticated
from crossmargin.domain.audit_event import AuditEvent, AuditKind
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import AccountRef, ClientId
from crossmargin.domain.role import Role
from crossmargin.usecases.caller import ADMITTED, Caller
from crossmargin.usecases.ports.runtime import Clock
from crossmargin.usecases.storage_errors import unknown_account, unknown_client

_NOBODY: Final = Caller("")
_AUDITOR: Final = frozenset({Role.AUDITOR})
_PUBLISHER: Final = frozenset({Role.PUBLISHER})


@dataclass(frozen=True, slots=True)
class AccessGate:
    """Lets calls in by the policy, and tells the audit trail of those it does not, and of those that must not go unseen.

    Attributes:
        identify: Says who calls.
        record: Takes events of the audit trail; may refuse to take down a privileged call, which is then not made.
    """

    policy: AccessPolicy
    identify: Identify
    record: Callable[[AuditEvent], None]
    clock: Clock

    def admit(self, path: str, context: Context) -> Caller:
        """Return whom the call is made for, from now on known as `ADMITTED`; nothing of the request has been read yet.

        Raises:
            DomainError: UNAUTHENTICATED, PERMISSION_DENIED.
        """
        rule = self.policy[path]
        try:
            caller = _NOBODY if rule.roles is None else self._known(rule, context)
        except DenialError as denial:
            self._tell_denial(rule, denial)
            raise
        ADMITTED.set(caller)
        return caller

    def check_still_admitted(self, path: str, caller: Caller, context: Context) -> None:
        """Return if a stream may go on: whoever it was begun for would be let in now, for the same roles and clients.

        Raises:
            DomainError: UNAUTHENTICATED, PERMISSION_DENIED.
        """
        rule = self.policy[path]
        if rule.roles is None:
            return
        try:
            now = self._known(rule, context)
            if (now.roles, now.scope, now.sources) != (caller.roles, caller.scope, caller.sources):
                raise unauthenticated(Cause.CHANGED, principal=caller.principal, workload=caller.workload, token=caller.token)
        except DenialError as denial:
            self._tell_denial(rule, denial)
            raise

    def check_clients(self, path: str, caller: Caller, request: Message) -> None:
        """Return if everything that a request names is inside the caller's scope.

        What is not is answered like what does not exist: nobody looks whether it does, so neither text nor time can tell.

        Raises:
            DomainError: UNKNOWN_CLIENT, UNKNOWN_ACCOUNT; PERMISSION_DENIED for what concerns the whole house, and for sources of market
                data that a publisher does not publish for.
        """
        rule = self.policy[path]
        self._check_sources(rule, caller, request)
        names = rule.named_by(request)
        if rule.is_of_house and not caller.scope.is_whole_house:
            self._refuse_house(rule, caller)
        outside = None if caller.scope.is_whole_house else next((name for name in names if not caller.scope.covers(_client_of(name))), None)
        if outside is not None:
            self._tell(AuditKind.DENIED, rule, caller, names, Cause.FOREIGN_CLIENT)
            raise _unknown(outside)
        if not names and rule.unnamed is Unnamed.HOUSE and not caller.scope.is_whole_house:
            self._refuse_house(rule, caller)
        if rule.is_audited or _opening(rule, caller) == _AUDITOR:
            self._tell(AuditKind.PRIVILEGED_CALL, rule, caller, names)

    def _check_sources(self, rule: AccessRule, caller: Caller, request: Message) -> None:
        # Whoever may make the call in another role, such as risk, does not speak for a source.
        if rule.sources is None or caller.sources.is_every_source or _opening(rule, caller) != _PUBLISHER:
            return
        named = [source for sources in rule.sources for source in sources(request)]
        if not named or not all(map(caller.sources.covers, named)):
            denial = permission_denied(rule.method, caller, Cause.SOURCE)
            self._tell_denial(rule, denial)
            raise denial

    def _refuse_house(self, rule: AccessRule, caller: Caller) -> NoReturn:
        denial = permission_denied(rule.method, caller, Cause.HOUSE)
        self._tell_denial(rule, denial)
        raise denial

    def _known(self, rule: AccessRule, context: Context) -> Caller:
        caller = self.identify(context)
        if not _opening(rule, caller):
            raise permission_denied(rule.method, caller, Cause.ROLE)
        return caller

    def _tell_denial(self, rule: AccessRule, denial: DenialError) -> None:
        self._tell(AuditKind.DENIED, rule, denial.caller, (), denial.cause)

    def _tell(self, kind: AuditKind, rule: AccessRule, caller: Caller, names: Iterable[str], cause: Cause | None = None) -> None:
        clients = tuple(sorted({_client_of(name) for name in names}))
        reason = "" if cause is None else cause.name.lower()
        self.record(
            AuditEvent(self.clock.now(), kind, caller.principal, caller.roles, rule.method, clients, reason, caller.workload, caller.token)
        )


def _opening(rule: AccessRule, caller: Caller) -> frozenset[Role]:
    return frozenset() if rule.roles is None else rule.roles & caller.roles


def _client_of(name: str) -> str:
    """Return the client of clients/{client}, of clients/{client}/accounts/{account}, or of a client's bare id."""
    kind, _, rest = name.partition("/")
    return rest.partition("/")[0] if kind == "clients" and rest else name


def _unknown(name: str) -> DomainError:
    return unknown_account(AccountRef.parse(name)) if "/accounts/" in name else unknown_client(ClientId(_client_of(name)))
