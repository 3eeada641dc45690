"""What a process is made ready for before it serves."""

from __future__ import annotations

import sys

import pytest

from crossmargin.app import serving
from crossmargin.app.start_error import StartError
from crossmargin.config import Settings


def test_threads_that_compute_give_the_interpreter_away_soon(monkeypatch):
    def refuse(_):
        raise StartError("no database")

    for name in ("configure_logs", "allow_open_files"):
        monkeypatch.setattr(serving, name, lambda *_: None)
    monkeypatch.setattr(serving, "database_url", refuse)
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.005)
        with pytest.raises(StartError, match="no database"):
            serving.serve(Settings(embedded=True))
        assert sys.getswitchinterval() == pytest.approx(serving.SWITCH_INTERVAL_S)
    finally:
        sys.setswitchinterval(before)
