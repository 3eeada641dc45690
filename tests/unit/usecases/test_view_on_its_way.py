"""A view of the market goes to another process while this one goes on asking it for values that nobody has asked for before."""

from __future__ import annotations

import io
import pickle
from dataclasses import fields
from functools import cached_property

import pytest

from tests.unit.usecases.house_states import a_view


def first_asked_of(owner):
    return [name for name in dir(type(owner)) if isinstance(getattr(type(owner), name), cached_property)]


class Asking(pickle.Pickler):
    """Asks an owner for one more of its values with each field of it that is pickled."""

    def __init__(self, file, owner):
        super().__init__(file, 5)
        self._owner, self._left, self._fields = owner, first_asked_of(owner), {field.name for field in fields(owner)}

    def persistent_id(self, obj):
        if self._left and isinstance(obj, str) and obj in self._fields:
            getattr(self._owner, self._left.pop())


def owners(view):
    market = view.market
    return [market, market.scenarios, view.snapshot, view.parameters, view.parameters.market_quality, view.house]


@pytest.mark.parametrize("place", range(6))
def test_whoever_is_the_first_to_ask_for_a_value_is_in_nobodys_way(place):
    view = a_view()
    owner = owners(view)[place]
    assert first_asked_of(owner)
    for name in first_asked_of(owner):
        owner.__dict__.pop(name, None)
    file = io.BytesIO()
    Asking(file, owner).dump(owner)
    found = pickle.loads(file.getvalue())  # noqa: S301 - our own
    assert type(found) is type(owner)
