"""What commands that run without a service print: progress while they work, and what they found."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final, TextIO

from crossmargin.domain.ledger_audit import Finding
from crossmargin.domain.projection import ProjectionDifference
from crossmargin.usecases.verify_ledger import LedgerVerdict

_WIDTH: Final = 30
_WIDEST_KIND: Final = 24


@contextmanager
def progress_on(stream: TextIO, what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a report of how much is done of how much, drawn on a line of its own; silent where nobody watches."""
    is_watched = stream.isatty()

    def report(done: int, total: int) -> None:
        if is_watched:
            filled = _WIDTH * done // total if total else _WIDTH
            stream.write(f"\r{what} [{'#' * filled}{'.' * (_WIDTH - filled)}] {done:,} of {total:,}")
            stream.flush()

    try:
        yield report
    finally:
        if is_watched:
            stream.write("\r\033[K")
            stream.flush()


def verdict_as_text(verdict: LedgerVerdict) -> str:
    """Return a verdict as people read it: the findings, and what was looked at."""
    lines = [_finding_line(finding) for finding in verdict.findings]
    if verdict.finding_count > len(verdict.findings):
        lines.append(f"and {verdict.finding_count - len(verdict.findings):,} more")
    if lines:
        lines.append("")
    lines.append(
        f"{'clean' if verdict.is_clean else f'{verdict.finding_count:,} findings'}: {verdict.entry_count:,} entries with "
        f"{verdict.posting_count:,} postings of {verdict.account_count:,} accounts, as of {verdict.taken_at.isoformat(timespec='seconds')}"
    )
    lines.append(_anchor_line(verdict))
    if verdict.anchors_in_database and not verdict.signatures_checked:
        lines.append("note: no signature was checked; name the key with --public-key FILE (crossmargin anchor-key prints it)")
    if verdict.anchors_in_file is None:
        lines.append("note: without a file of anchors an old copy of the whole database looks clean; name one with --anchors FILE")
    return "\n".join(lines)


def verdict_as_json(verdict: LedgerVerdict) -> str:
    """Return a verdict for machines."""
    last = verdict.last_anchor
    return json.dumps(
        {
            "clean": verdict.is_clean,
            "as_of": verdict.taken_at.isoformat(),
            "accounts": verdict.account_count,
            "entries": verdict.entry_count,
            "postings": verdict.posting_count,
            "anchors": {
                "in_database": verdict.anchors_in_database,
                "in_file": verdict.anchors_in_file,
                "last": None if last is None else {"number": last.number, "taken_at": last.taken_at.isoformat(), "root": last.root.hex()},
                "signatures_checked": verdict.signatures_checked,
            },
            "finding_count": verdict.finding_count,
            "findings": [{**asdict(finding), "kind": finding.kind.name} for finding in verdict.findings],
        },
        indent=2,
    )


def differences_as_text(differences: Sequence[ProjectionDifference], *, repaired_count: int) -> str:
    """Return how projections differ from the ledger, as people read it."""
    if not differences:
        return "clean: every projection is what the ledger says"
    lines = [str(difference) for difference in differences]
    outcome = f"{repaired_count:,} put right" if repaired_count else "nothing was written; repair with --repair"
    return "\n".join([*lines, f"{len(differences):,} rows differ: {outcome}"])


def differences_as_json(differences: Sequence[ProjectionDifference], *, repaired_count: int) -> str:
    """Return how projections differ from the ledger, for machines."""
    listed = [{**asdict(difference), "account": str(difference.account)} for difference in differences]
    return json.dumps({"differences": listed, "repaired": repaired_count}, indent=2)


def is_confirmed(question: str, *, answers: TextIO, stream: TextIO) -> bool:
    """Return True when a person at a terminal answers `yes`; False where nobody can be asked."""
    if not answers.isatty():
        return False
    stream.write(f"{question} Answer yes to go on: ")
    stream.flush()
    return answers.readline().strip() == "yes"


def _finding_line(finding: Finding) -> str:
    where = f"{finding.account}: " if finding.account else ""
    return f"{finding.kind.value:<{_WIDEST_KIND}} {where}{finding.message}"


def _anchor_line(verdict: LedgerVerdict) -> str:
    last = verdict.last_anchor
    inside = f"{verdict.anchors_in_database:,} anchors in the database"
    outside = "" if verdict.anchors_in_file is None else f", {verdict.anchors_in_file:,} in the file"
    latest = "" if last is None else f"; the last is {last.number} of {last.taken_at.isoformat(timespec='seconds')}"
    return inside + outside + latest


def exit_code_of(run: Callable[[], int]) -> int:
    """Return what a command returns, or 1 when the reader of its output, such as `head`, has seen enough and left.

    What is still to be written then goes nowhere; otherwise Python would complain of it at exit.
    """
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
