"""The file of anchors: what is written is there, and a line that a crash cut off is neither lost nor in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crossmargin.adapters.runtime import anchor_file
from crossmargin.adapters.runtime.anchor_file import AnchorFile, read_anchor_file
from crossmargin.domain.audit_anchor import AnchoredHead, HeadTree, sign_anchor
from crossmargin.domain.ledger_audit import UnreadableAnchor
from tests.ledger_rig import KEY


def a_series(count):
    anchors, tree = [], HeadTree([AnchoredHead("alpha", "core", 3, bytes(32))])
    for number in range(count):
        previous = anchors[-1] if anchors else None
        taken_at = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=number)
        anchors.append(sign_anchor(previous, tree, [] if anchors else None, taken_at=taken_at, signer=KEY))
    return anchors


@pytest.fixture
def path(tmp_path):
    return tmp_path / "anchors.jsonl"


async def test_anchors_are_read_as_they_were_written(path):
    anchors, file = a_series(3), AnchorFile(path)
    assert await file.last_anchor() is None
    for anchor in anchors:
        await file.append(anchor)
        assert await AnchorFile(path).last_anchor() == anchor
    assert list(read_anchor_file(path)) == anchors
    assert path.read_text().count("\n") == 3


async def test_the_last_one_is_found_however_long_the_lines_are(path, monkeypatch):
    monkeypatch.setattr(anchor_file, "_TAIL_BYTES", 10)
    for anchor in a_series(4):
        await AnchorFile(path).append(anchor)
    assert (await AnchorFile(path).last_anchor()).number == 4


async def test_a_line_cut_off_by_a_crash_is_written_again(path):
    first, second, third = a_series(3)
    await AnchorFile(path).append(first)
    await AnchorFile(path).append(second)
    path.write_bytes(path.read_bytes()[:-100])
    assert list(read_anchor_file(path)) == [first], "whoever reads just now sees a line being written"
    assert await AnchorFile(path).last_anchor() == first
    await AnchorFile(path).append(second)
    await AnchorFile(path).append(third)
    assert list(read_anchor_file(path)) == [first, second, third]
    assert await AnchorFile(path).last_anchor() == third


async def test_a_line_that_was_broken_and_not_written_again_is_named(path):
    anchors = a_series(3)
    for anchor in anchors:
        await AnchorFile(path).append(anchor)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-9], lines[2]]) + "\n")
    first, broken, third = read_anchor_file(path)
    assert (first, third) == (anchors[0], anchors[2])
    assert isinstance(broken, UnreadableAnchor)
    assert broken.number == 2
    assert broken.fault.startswith("line 2 of anchors.jsonl holds no anchor")
    path.write_text("\n".join([*lines[:2], lines[2][:-9]]) + "\n")
    assert isinstance(list(read_anchor_file(path))[2], UnreadableAnchor)
    with pytest.raises(ValueError, match=r"anchors.jsonl: a line near the end"):
        await AnchorFile(path).last_anchor()


async def test_an_empty_file_has_no_anchors(path):
    path.touch()
    assert await AnchorFile(path).last_anchor() is None
    assert list(read_anchor_file(path)) == []
    await AnchorFile(path).append(a_series(1)[0])
    assert len(list(read_anchor_file(path))) == 1
