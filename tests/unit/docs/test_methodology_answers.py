"""What a reviewer attacks: every attack has an answer, and every answer names a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
PAGE = TESTS.parent / "service" / "docs" / "methodology.md"
ATTACKS = 18
ANSWERS = dict(re.findall(r"^\| (\d+) \|(.*)\|$", PAGE.read_text(), flags=re.MULTILINE))
NAMED = re.compile(r"`(?:tests/)?((?:\w+/)+test_\w+\.py)(?:::(test_\w+))?`")
"""A test file below tests/, and one test in it."""


def test_every_attack_is_answered_in_order():
    assert list(ANSWERS) == [str(number) for number in range(1, ATTACKS + 1)]


@pytest.mark.parametrize("number", ANSWERS)
def test_every_answer_names_a_test(number):
    assert any(name for _, name in NAMED.findall(ANSWERS[number])), ANSWERS[number]


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE.read_text()))), ids=str)
def test_every_test_that_the_page_names_is_there(path, name):
    assert f"def {name}" in (TESTS / path).read_text()
