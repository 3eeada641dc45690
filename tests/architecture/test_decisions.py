"""Decisions are numbered one after the other, in the order in which they landed, and links to them and between pages lead somewhere."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "service" / "docs"
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PAGES = sorted(DOCS.rglob("*.md"))


def _number(path: Path) -> int:
    return int(path.name.partition("-")[0])


def test_no_two_decisions_have_one_number_and_none_is_left_out():
    twice = [number for number, count in Counter(map(_number, DECISIONS)).items() if count > 1]
    free = max(map(_number, DECISIONS)) + 1
    assert not twice, f"decisions {twice} are there twice: the one that landed last becomes {free:04d}, its title and links too"
    assert [_number(path) for path in DECISIONS] == list(range(1, free))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_is_titled_by_its_number(path):
    assert path.read_text().startswith(f"# {_number(path)}. ")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_every_link_to_a_page_of_ours_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_a_decision_named_by_number_is_the_one_linked():
    named = [found for page in PAGES for found in re.findall(r"\[decision (\d+)\]\((?:decisions/)?(\d+)-", page.read_text())]
    assert named
    assert all(int(number) == int(file) for number, file in named)
