"""What runs came to: a table for people, a document for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.faults.checker import COUNTERS
from tests.faults.rig import Result


def table(results: Sequence[Result]) -> str:
    """Return one line for each run; below it what its callers did, what there is to say of it, and every finding."""
    header = (
        "run",
        "s",
        "operations",
        "calls",
        "kills",
        "crashes",
        "freezes",
        "cuts",
        "holes",
        "unknown",
        "timed",
        "late",
        "gap s",
        "counters",
        "",
    )
    rows = [header, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append("")
    lines.append(f"counters: {', '.join(COUNTERS)}; each of them zero is {'0/' * (len(COUNTERS) - 1)}0")
    for result in results:
        if result.by_kind:
            lines.append(f"{result.name}: {', '.join(f'{count} {kind}' for kind, count in result.by_kind.items())}")
        lines += [f"{result.name}: {remark}" for remark in result.remarks]
        lines += [f"{result.name}: FOUND {finding}" for finding in result.findings]
    return "\n".join(lines)


def document(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the results as plain values."""
    return [{**asdict(result), "holds": result.holds} for result in results]


def _row(result: Result) -> tuple[str, ...]:
    tally = result.tally
    counts = [result.counters[name].total if name in result.counters else None for name in COUNTERS]
    return (
        result.name,
        f"{result.seconds:.0f}",
        *map(str, (result.operations, result.calls, tally.kills, tally.crashes, tally.freezes)),
        f"{tally.cuts_before}+{tally.cuts_after}",
        str(tally.black_holes),
        str(result.unknown),
        str(result.timed),
        str(result.late),
        f"{result.longest_gap_s:.1f}",
        "/".join("-" if count is None else str(count) for count in counts) if result.counters else "",
        "holds" if result.holds else "FOUND",
    )
