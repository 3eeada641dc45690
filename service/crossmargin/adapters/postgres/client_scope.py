"""Lists cut to the clients that a caller is let in to."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, Boolean, Column, ColumnElement, Text, any_, bindparam, or_

from crossmargin.domain.client_scope import ClientScope


def is_inside_scope(client_id: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that a row's client is inside the scope whose values `scope_values` gives."""
    return or_(bindparam("whole_house", type_=Boolean), client_id == any_(bindparam("scope_clients", type_=ARRAY(Text))))


def scope_values(scope: ClientScope) -> dict[str, object]:
    """Return what `is_inside_scope` compares with."""
    return {"whole_house": scope.is_whole_house, "scope_clients": sorted(scope.clients or ())}
