"""The validation page speaks of the parameters that are shipped."""

from __future__ import annotations

from pathlib import Path

from crossmargin.adapters.runtime.standard_parameters import standard_parameters

PAGE = Path(__file__).resolve().parents[3] / "service" / "docs" / "validation.md"


def test_the_page_was_written_for_the_shipped_parameter_set():
    """A page about other numbers than those in force is worse than none: run `python -m tests.validation --write` again."""
    parameters, page = standard_parameters(), " ".join(PAGE.read_text(encoding="utf-8").split())
    assert f"`{parameters.set_id}` (content hash `{parameters.content_hash[:16]}`)" in page
    assert "Every check of this page holds." in page
