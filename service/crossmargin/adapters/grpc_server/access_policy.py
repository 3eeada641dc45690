"""The access policy: which roles open a call, and whose books it is about, read from `access_policy.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from importlib.resources import files
from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from crossmargin.domain.role import Role

PACKAGE: Final = "crossmargin.api.v1."
ANYONE: Final = "anyone"
_KEYS: Final = frozenset({"roles", "clients", "unnamed", "house", "sources", "audited", "urgent"})
_ACCOUNT_PATTERN: Final = b"clients/"
_DEEPEST: Final = 6

Names: TypeAlias = Callable[[Message], Iterator[str]]


@unique
class Unnamed(Enum):
    """What a request that names no client is about."""

    NOBODY = "nobody"
    INSIDE = "inside"
    HOUSE = "house"


class AccessPolicyError(ValueError):
    """The policy does not fit the API, so the service must not start; the message says where."""


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What the policy says of one RPC.

    Attributes:
        method: Its short name, such as MarginService/GetMargin.
        roles: Any one of them opens it; None for anyone.
        paths: The fields that name clients or accounts.
        names: Yields what a request says in these fields, where they are filled.
        sources: Yields the sources of market data that a request is of; None for a call that is of none. One that names none is of all.
        is_of_house: Whether it concerns the whole house whomever it names.
    """

    method: str
    roles: frozenset[Role] | None
    paths: tuple[str, ...]
    names: tuple[Names, ...]
    unnamed: Unnamed
    is_of_house: bool
    sources: tuple[Names, ...] | None
    is_audited: bool
    is_urgent: bool

    def named_by(self, request: Message) -> list[str]:
        """Return the names of clients and accounts in a request, in the order of the policy's fields."""
        return [name for names in self.names for name in names(request)]


AccessPolicy: TypeAlias = Mapping[str, AccessRule]
"""The rule of every RPC, by its path, such as /crossmargin.api.v1.MarginService/GetMargin."""


def shipped_policy() -> str:
    """Return the policy that comes with this release, as written."""
    return files(__package__).joinpath("access_policy.toml").read_text()


def read_policy(text: str, services: Iterable[ServiceDescriptor]) -> AccessPolicy:
    """Return the policy for the services that are served.

    Raises:
        AccessPolicyError: An RPC has no entry, an entry no RPC, or an entry says what cannot be; all of them are named.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AccessPolicyError(f"the access policy is no TOML: {error}") from None
    methods = {(_short(service), method.name): method for service in services for method in service.methods}
    entries = {(service, name): entry for service, table in document.items() for name, entry in table.items()}
    faults = [f"{service}/{name} has no entry" for service, name in sorted(methods.keys() - entries.keys())]
    # Services of grpc's own differ by a method or two from one of its releases to the next.
    ours = [(service, name) for service, name in sorted(entries.keys() - methods.keys()) if not service.startswith("grpc.")]
    faults += [f"{service}/{name} has an entry and is no RPC" for service, name in ours]
    rules = {}
    for key in sorted(methods.keys() & entries.keys()):
        try:
            rules[_path(methods[key])] = _rule("/".join(key), entries[key], methods[key])
        except AccessPolicyError as error:
            faults.append(f"{'/'.join(key)}: {error}")
    if faults:
        raise AccessPolicyError("the access policy does not fit the API: " + "; ".join(faults))
    return rules


def _short(service: ServiceDescriptor) -> str:
    return service.full_name.removeprefix(PACKAGE)


def _path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _rule(name: str, entry: object, method: MethodDescriptor) -> AccessRule:
    if not isinstance(entry, dict) or entry.keys() - _KEYS:
        raise AccessPolicyError(f"expected a table with some of {', '.join(sorted(_KEYS))}; it was {entry}")
    paths = tuple(entry.get("clients", ()))
    missed = sorted(set(_naming_fields(method.input_type)) - set(paths))
    if missed:
        raise AccessPolicyError(f"{', '.join(missed)} of the request names a client or an account; list it under clients")
    return AccessRule(
        name,
        _roles(entry.get("roles")),
        paths,
        tuple(_names(method.input_type, path) for path in paths),
        _unnamed(entry, paths),
        _flag(entry, "house"),
        tuple(_names(method.input_type, path) for path in entry["sources"]) if "sources" in entry else None,
        _flag(entry, "audited"),
        _flag(entry, "urgent"),
    )


def _roles(given: object) -> frozenset[Role] | None:
    if given == ANYONE:
        return None
    known = {role.value for role in Role}
    if not isinstance(given, list) or not given or not set(given) <= known:
        raise AccessPolicyError(f"roles were {given!r}; expected one or more of {', '.join(sorted(known))}, or {ANYONE!r}")
    return frozenset(map(Role, given))


def _unnamed(entry: Mapping[str, object], paths: Sequence[str]) -> Unnamed:
    # A field that is required and left empty never comes here: the field rules refuse it. So the strictest reading costs nobody anything.
    default = Unnamed.HOUSE if paths else Unnamed.NOBODY
    given = entry.get("unnamed", default.value)
    if given not in {each.value for each in Unnamed}:
        raise AccessPolicyError(f"unnamed was {given!r}; expected one of {', '.join(each.value for each in Unnamed)}")
    return Unnamed(given)


def _flag(entry: Mapping[str, object], key: str) -> bool:
    if not isinstance(given := entry.get(key, False), bool):
        raise AccessPolicyError(f"{key} was {given!r}; expected true or false")
    return given


def _naming_fields(message: Descriptor, prefix: str = "", depth: int = 0) -> Iterator[str]:
    """Yield the paths of the fields that are declared to name a client or an account."""
    for field in message.fields:
        if field.message_type is not None:
            if depth < _DEEPEST and field.message_type.file.package == message.file.package:
                yield from _naming_fields(field.message_type, f"{prefix}{field.name}.", depth + 1)
        elif field.name == "client_id" or _names_account(field):
            yield prefix + field.name


def _names_account(field: FieldDescriptor) -> bool:
    # The field's pattern is in an extension that only the validator knows the type of; its bytes are enough here.
    return _ACCOUNT_PATTERN in field.GetOptions().SerializeToString()


def _names(message: Descriptor, path: str) -> Names:
    """Return what reads the field at a path; AccessPolicyError unless there is one that holds text."""
    step, _, rest = path.partition(".")
    field = message.fields_by_name.get(step)
    if field is None:
        raise AccessPolicyError(f"{message.name} has no field {step}")
    if not rest:
        if field.type != FieldDescriptor.TYPE_STRING:
            raise AccessPolicyError(f"{path} of {message.name} is no text")
        return _texts(field)
    if field.message_type is None:
        raise AccessPolicyError(f"{step} of {message.name} has no fields")
    return _inner(field, _names(field.message_type, rest))


def _texts(field: FieldDescriptor) -> Names:
    def one(request: Message) -> Iterator[str]:
        if text := getattr(request, field.name):
            yield text

    def several(request: Message) -> Iterator[str]:
        yield from getattr(request, field.name)

    return several if field.is_repeated else one


def _inner(field: FieldDescriptor, names: Names) -> Names:
    def one(request: Message) -> Iterator[str]:
        if request.HasField(field.name):
            yield from names(getattr(request, field.name))

    def several(request: Message) -> Iterator[str]:
        for each in getattr(request, field.name):
            yield from names(each)

    return several if field.is_repeated else one
