"""The first field in which two messages differ."""

from __future__ import annotations

from google.protobuf.message import Message

from crossmargin.api.v1 import margin_service_pb2 as pb

ABSENT = "absent"


def first_difference(recorded: Message, recomputed: Message, *, path: str = "") -> pb.MarginDifference | None:
    """Return where the messages differ first, in the order of their fields; None when they are equal."""
    for field in recorded.DESCRIPTOR.fields:
        name, before, after = f"{path}{field.name}", getattr(recorded, field.name), getattr(recomputed, field.name)
        if before == after and _is_there(recorded, field.name) == _is_there(recomputed, field.name):
            continue
        if _is_there(recorded, field.name) and _is_there(recomputed, field.name):
            return first_difference(before, after, path=f"{name}.") or _difference(name, before, after)
        return _difference(name, before, after)
    return None


def _is_there(message: Message, name: str) -> bool:
    field = message.DESCRIPTOR.fields_by_name[name]
    return field.message_type is not None and field.has_presence and message.HasField(name)


def _difference(name: str, before: object, after: object) -> pb.MarginDifference:
    return pb.MarginDifference(field=name, recorded=str(before).strip() or ABSENT, recomputed=str(after).strip() or ABSENT)
