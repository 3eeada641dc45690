"""That the benchmark of a scrape runs, which needs a house of its own and nothing else."""

from __future__ import annotations

from tests.benchmarks import scrape
from tests.benchmarks.harness import Plan


def test_a_scrape_is_timed_beside_a_loop_and_says_how_large_it_is(monkeypatch):
    monkeypatch.setattr(scrape, "CLIENTS", 2)
    for name in ("pin", "unpin"):
        monkeypatch.setattr(scrape, name, lambda *core: None)
    (row,) = scrape.run(Plan(rounds=2, is_quick=True))
    assert row.path == "metrics scrape, 2 clients, ms"
    assert row.measured > 0.0
    assert "MiB, each of a new house run" in row.note
