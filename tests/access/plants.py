"""Secrets in every text of a request: what to put where, and how to find it again wherever it may have come to."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tests.access.plausible import is_well_formed, violations

_FOUND: Final = re.compile(r"planted(\d{6})|PLANTED(\d{6})|5ec4e7(\d{6})|8\.?64209(\d{6})", re.ASCII)
_DEEPEST: Final = 6
WHOLE, KEY, VALUE = "", "[key]", "[value]"


@dataclass(frozen=True)
class Plant:
    """A secret in one place of a request.

    Attributes:
        number: Names the secret.
        field: Where, such as trades.instrument_id, or moves[key].
        is_well_formed: Whether the request passes the field rules, so that the secret comes further than to them.
    """

    number: int
    field: str
    request: Message
    is_well_formed: bool


@dataclass(frozen=True)
class _Place:
    """A field of a filled message that holds text: its path, the message that has it, and which half of a map is meant."""

    path: str
    owner: Message
    field: FieldDescriptor
    half: str = WHOLE

    @property
    def name(self) -> str:
        return self.path + self.half

    def put(self, text: str) -> None:
        value = text.encode() if self.field.type == FieldDescriptor.TYPE_BYTES else text
        held = getattr(self.owner, self.field.name)
        if self.half:
            (key, level), *_ = [*held.items(), ("BTC", "1")]
            held.clear()
            held[text if self.half == KEY else key] = text if self.half == VALUE else level
        elif self.field.is_repeated:
            held[:] = [value]
        else:
            setattr(self.owner, self.field.name, value)


def found_in(text: str) -> set[int]:
    """Return the numbers of the secrets that a text holds, in whatever form."""
    return {int(next(filter(None, match.groups()))) for match in _FOUND.finditer(text)}


class Gardener:
    """Plants secrets, each with a number of its own."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def one_by_one(self, requests: Iterable[Message]) -> Iterator[Plant]:
        """Yield requests with one secret each, for every text that is in some of them.

        Once as the field rules allow, where they leave room for a secret, and once as they do not.
        """
        known: set[str] = set()
        for request in requests:
            for name in [place.name for place in _places(request)]:
                if name not in known:
                    known.add(name)
                    yield from self._planted(request, name)

    def all_at_once(self, request: Message) -> list[Plant]:
        """Return one request with a secret in each of its texts, told one by one."""
        filled = _copy(request)
        numbers = {}
        for place in list(_places(filled)):
            numbers[place.name] = number = next(self._numbers)
            place.put(next((text for text in _forms(number) if _fits(place, text)), _forms(number)[0]))
        return [Plant(number, name, filled, is_well_formed(filled)) for name, number in numbers.items()]

    def _planted(self, request: Message, name: str) -> Iterator[Plant]:
        number = next(self._numbers)
        for text in _forms(number):
            allowed = _with(request, name, text)
            if is_well_formed(allowed):
                yield Plant(number, name, allowed, is_well_formed=True)
                break
        number = next(self._numbers)
        refused = _with(request, name, f"planted{number:06d}\x07")
        yield Plant(number, name, refused, is_well_formed(refused))


def fields_with_text(descriptor: Descriptor, prefix: str = "", depth: int = _DEEPEST) -> Iterator[str]:
    """Yield where a request may hold text or bytes, by its descriptor."""
    for field in descriptor.fields:
        path = prefix + field.name
        if field.message_type is None:
            if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
                yield path
        elif field.message_type.GetOptions().map_entry:
            halves = {KEY: "key", VALUE: "value"}
            yield from (
                path + half
                for half, name in halves.items()
                if field.message_type.fields_by_name[name].cpp_type == FieldDescriptor.CPPTYPE_STRING
            )
        elif depth:
            yield from fields_with_text(field.message_type, f"{path}.", depth - 1)


def _places(message: Message, prefix: str = "") -> Iterator[_Place]:
    for field in message.DESCRIPTOR.fields:
        path = prefix + field.name
        if field.message_type is None:
            if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
                yield _Place(path, message, field)
        elif field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].cpp_type == FieldDescriptor.CPPTYPE_STRING:
                yield _Place(path, message, field, KEY)
                yield _Place(path, message, field, VALUE)
        elif field.is_repeated:
            for child in getattr(message, field.name)[:1]:
                yield from _places(child, f"{path}.")
        elif message.HasField(field.name):
            yield from _places(getattr(message, field.name), f"{path}.")


def _forms(number: int) -> tuple[str, ...]:
    """Texts that hold a secret: the first that the rules of a field allow is what it gets."""
    small, large = f"planted{number:06d}", f"PLANTED{number:06d}"
    names = (f"a secret {small}", small, large, f"clients/{small}/accounts/core", f"clients/{small}", f"clients/alpha/accounts/{small}")
    factors = (f"spot:{large}", f"zero:{large}", f"zero:{large}:1Y")
    numbers = (f"864209{number:06d}", f"0.864209{number:06d}", f"5ec4e7{number:06d}5ec4", f"5ec4e7{number:06d}".ljust(32, "0"))
    return (*names, *factors, *numbers)


def _fits(place: _Place, text: str) -> bool:
    place.put(text)
    return not any(place.field.name == part.field_name for found in violations(place.owner) for part in found.proto.field.elements[:1])


def _with(request: Message, name: str, text: str) -> Message:
    changed = _copy(request)
    next(place for place in _places(changed) if place.name == name).put(text)
    return changed


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
