"""An account that is kept from trade to trade does not drift: `python -m tests.benchmarks drift` does the same 200,000 times."""

from __future__ import annotations

from tests.benchmarks.drift import Drift, drifts


def test_an_account_kept_over_many_trades_has_the_bits_of_one_made_of_all_of_them_at_once():
    found = list(drifts(1_000, looks=5))
    assert found == [Drift(0.0, same_bits=True)] * 5
