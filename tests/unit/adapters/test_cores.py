"""How many processes work on runs follows from the cores that this process may use, not from those of the machine."""

from __future__ import annotations

import os

import pytest

from crossmargin.adapters.runtime.cores import cores_at_hand


@pytest.fixture
def sixteen(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("limit", "cores"),
    [("max 100000", 16), ("400000 100000", 4), ("350000 100000", 3), ("50000 100000", 1), ("6400000 100000", 16), ("what?", 16)],
)
def test_the_limit_of_a_container_counts_rounded_down(sixteen, tmp_path, limit, cores):
    (tmp_path / "cpu.max").write_text(f"{limit}\n")
    assert cores_at_hand(tmp_path) == cores


def test_without_a_container_the_affinity_counts(sixteen, tmp_path):
    assert cores_at_hand(tmp_path / "nowhere") == 16
