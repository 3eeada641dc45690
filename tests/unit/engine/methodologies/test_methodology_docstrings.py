"""The examples in the docstrings of the methodologies and of what goes with them are true."""

import doctest
from importlib import import_module

import pytest

MODULES = (
    "methodologies.largest_loss",
    "methodologies.ratio",
    "methodologies.standard_schedule",
    "methodologies.tims_grid",
    "mitigated_exposure",
    "backtest_statistics",
)


@pytest.mark.parametrize("name", MODULES)
def test_every_example_of_the_module_is_true(name):
    results = doctest.testmod(import_module(f"crossmargin.engine.{name}"))
    assert results.failed == 0
    assert results.attempted > 0
