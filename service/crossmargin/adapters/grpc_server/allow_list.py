"""The allow-list: which workloads may call, the most that a token can give behind each, and who was revoked."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from crossmargin.domain.client_scope import WHOLE_HOUSE, ClientScope
from crossmargin.domain.errors import DomainError
from crossmargin.domain.identifiers import ClientId, SourceId
from crossmargin.domain.role import Role
from crossmargin.domain.source_scope import EVERY_SOURCE, NO_SOURCE, SourceScope

EVERY = "*"


@dataclass(frozen=True, slots=True)
class Workload:
    """The most that a caller can be who comes with a certificate of one SPIFFE id."""

    roles: frozenset[Role]
    scope: ClientScope
    sources: SourceScope = NO_SOURCE


@dataclass(frozen=True, slots=True)
class AllowList:
    """Workloads by SPIFFE id; principals and ids of tokens that are not let in any more."""

    workloads: Mapping[str, Workload]
    revoked_principals: frozenset[str] = field(default_factory=frozenset)
    revoked_tokens: frozenset[str] = field(default_factory=frozenset)


def parse_allow_list(raw: bytes) -> AllowList:
    """Return what an allow-list says.

        [workloads."spiffe://broker.example/oms"]
        roles = ["trader"]
        clients = ["alpha"]        # or "*"
        sources = []               # or "*"; for publishers, and none unless it is there

        [revoked]
        principals = ["mallory"]
        tokens = []

    Raises:
        ValueError: It is no allow-list; the message says where.
    """
    document = tomllib.loads(raw.decode())
    if unknown := document.keys() - {"workloads", "revoked"}:
        raise ValueError(f"allow-list: {', '.join(sorted(unknown))} means nothing; expected workloads and revoked")
    revoked = document.get("revoked", {})
    return AllowList(
        {name: _workload(name, entry) for name, entry in document.get("workloads", {}).items()},
        frozenset(revoked.get("principals", ())),
        frozenset(revoked.get("tokens", ())),
    )


def scope_from_clients(clients: object) -> ClientScope:
    """Return the scope that a list of client ids, or "*" for the whole house, gives; ValueError for anything else."""
    if clients == EVERY:
        return WHOLE_HOUSE
    if not isinstance(clients, list) or not all(isinstance(client, str) for client in clients):
        raise ValueError('clients: expected a list of client ids, or "*" for the whole house')
    try:
        return ClientScope(frozenset(map(ClientId, clients)))
    except DomainError as error:
        raise ValueError(f"clients: {error.message}") from None


def sources_from_names(sources: object) -> SourceScope:
    """Return the scope that a list of sources of market data, or "*" for every one, gives; ValueError for anything else."""
    if sources == EVERY:
        return EVERY_SOURCE
    if not isinstance(sources, list) or not all(isinstance(source, str) for source in sources):
        raise ValueError('sources: expected a list of sources, or "*" for every one')
    try:
        return SourceScope(frozenset(map(SourceId, sources)))
    except DomainError as error:
        raise ValueError(f"sources: {error.message}") from None


def roles_from_names(names: object) -> frozenset[Role]:
    """Return the roles of these names; ValueError for anything else than a list of known ones."""
    if not isinstance(names, list):
        raise ValueError("roles: expected a list")  # noqa: TRY004 - what is wrong is the document
    return frozenset(map(Role, names))


def _workload(name: str, entry: object) -> Workload:
    if not name.startswith("spiffe://") or not isinstance(entry, dict) or entry.keys() - {"sources"} != {"roles", "clients"}:
        raise ValueError(f'allow-list: workload {name!r}: expected "spiffe://..." with roles and clients, and sources for a publisher')
    try:
        sources = sources_from_names(entry.get("sources", []))
        return Workload(roles_from_names(entry["roles"]), scope_from_clients(entry["clients"]), sources)
    except ValueError as error:
        raise ValueError(f"allow-list: workload {name!r}: {error}") from None
