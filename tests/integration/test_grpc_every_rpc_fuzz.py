"""Every RPC of the API with a few of the values and bytes that nobody should send; `python -m tests.faults fuzz` sends all of them.

Which RPCs there are is asked of the generated descriptors, so that a new one is fuzzed from its first day, and of the running service,
so that it is one that can be called.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import pkgutil
import random
from dataclasses import fields
from types import SimpleNamespace

import grpc
import pytest

import crossmargin.api.v1
from tests.faults.fuzz import PACKAGE, Fuzzer, _leaves, _mutilated, _nasty, _set, methods_of
from tests.integration.grpc_rig import a_batch, a_trade, create_books, memory_use_cases, publish_market, served

EACH = 6
"""Requests of each RPC with a value that it must not hold, and so many with mutilated bytes; the long form sends thousands."""


def every_method():
    """Every RPC of every generated module."""
    for module in pkgutil.iter_modules(crossmargin.api.v1.__path__):
        if module.name.endswith("_pb2"):
            described = importlib.import_module(f"crossmargin.api.v1.{module.name}").DESCRIPTOR
            for service in described.services_by_name.values():
                yield from service.methods


METHODS = sorted(every_method(), key=lambda method: method.full_name)


class FewOfEach(Fuzzer):
    """Sends a few requests of each RPC, and counts rows in dictionaries."""

    contents = None

    def _requests(self, method, wire_count):
        bases = list(self._bases(method))
        for _ in range(EACH):
            mutated = type(bases[0])()
            mutated.CopyFrom(self.chance.choice(bases))
            if places := list(_leaves(mutated)):
                path = self.chance.choice(places)
                _set(mutated, path, self.chance.choice(_nasty(path[-1][0])))
            yield mutated.SerializeToString()
        for _ in range(wire_count):
            yield _mutilated(self.chance.choice(bases).SerializeToString(), self.chance)

    async def _oversized(self, method, size):
        return grpc.StatusCode.INVALID_ARGUMENT  # megabytes for every RPC are for the long form

    def _row_counts(self):
        return {part.name: len(getattr(self.contents, part.name)) for part in fields(self.contents)}


@pytest.fixture
def fuzzer():
    return FewOfEach(SimpleNamespace(findings=[]), None, random.Random(20260302))  # noqa: S311 - to be drawn again


async def test_the_service_answers_every_rpc_that_the_descriptors_know(fuzzer):
    async with memory_use_cases() as use_cases, served(use_cases) as rig:
        await create_books(rig)
        await publish_market(rig)
        await rig.books.RecordTrades(a_batch(a_trade()))
        fuzzer.contents = use_cases.books._contents
        fuzzer.channel = rig.channel
        reflected = {method.full_name for method in await asyncio.to_thread(methods_of, rig.address)}
        assert reflected == {method.full_name for method in METHODS}
        for method in METHODS:
            await fuzzer.fuzz(method, wire_count=EACH)
        assert fuzzer.rig.findings == []
        assert fuzzer.codes.total() >= len(METHODS) * EACH
        assert fuzzer.codes[grpc.StatusCode.INVALID_ARGUMENT] > fuzzer.codes.total() / 3, "most of what is sent is refused in words"


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_every_field_of_a_request_is_given_what_it_must_not_hold(fuzzer, method):
    """A field that is reached by no value would be a hole in the long form as well."""
    assert method.full_name.startswith(PACKAGE)
    reached = set()
    for base in fuzzer._bases(method):
        for mutated in fuzzer._with_nasty_values(base):
            reached |= {field.name for field, _ in mutated.ListFields()}
    optional = {field.name for field in method.input_type.fields}
    assert reached == optional


def test_nothing_of_the_api_is_left_out():
    assert len({method.full_name for method in METHODS}) == len(METHODS) > 40
    services = {name for name, _ in itertools.groupby(METHODS, key=lambda method: method.containing_service.name)}
    assert services == {service.containing_service.name for service in METHODS}
