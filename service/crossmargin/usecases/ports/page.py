"""A part of a list."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: at most `size` items whose names come after `after` (None starts at the beginning)."""

    size: int
    after: str | None = None
