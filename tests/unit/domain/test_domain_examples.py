"""The examples in the docstrings of the domain are true."""

from __future__ import annotations

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest

from crossmargin import domain

MODULES = sorted(module.name for module in pkgutil.iter_modules(domain.__path__, prefix="crossmargin.domain."))


def source_has_examples(module) -> bool:
    return any(test.examples for test in doctest.DocTestFinder().find(module))


def test_the_modules_with_examples_are_found():
    assert {name for name in MODULES if source_has_examples(import_module(name))} >= {
        "crossmargin.domain.money",
        "crossmargin.domain.instrument",
        "crossmargin.domain.market",
    }


@pytest.mark.parametrize("name", MODULES)
def test_every_example_of_the_module_holds(name):
    module = import_module(name)
    results = doctest.testmod(module)
    assert results.failed == 0
    assert (results.attempted > 0) == (">>> " in inspect.getsource(module))
