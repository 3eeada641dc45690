"""The names of all values that a class of parameters holds, so that a test can ask for a case of each."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import GenericAlias
from typing import Union, get_args, get_origin, get_type_hints

from crossmargin.domain.market import FactorId


def leaves(kind, prefix=""):
    """Return the dotted names of all values a parameter class holds, through tuples, mappings and unions."""
    hints = get_type_hints(kind)
    found = set()
    for field in fields(kind):
        inner = _dataclass_in(hints[field.name])
        found |= leaves(inner, f"{prefix}{field.name}.") if inner else {f"{prefix}{field.name}"}
    return found


def _dataclass_in(hint):
    if hint is FactorId:
        return None
    if is_dataclass(hint):
        return hint
    if get_origin(hint) in (None, Union) and not isinstance(hint, GenericAlias):
        return None
    return next((found for found in map(_dataclass_in, get_args(hint)) if found), None)
