"""The market as people read it: levels with their quality, and breakers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin_cli.render import add_number_column, percent, plain_table, short_account
from crossmargin_client import decimal_of, moment_of

VERDICT_NAMES: Final = {
    pb.VERDICT_VALID: ("valid", "green"),
    pb.VERDICT_SUSPECT: ("suspect", "dark_orange"),
    pb.VERDICT_STALE: ("stale", "red"),
    pb.VERDICT_MISSING: ("missing", "bold red"),
}
BREAKER_NAMES: Final = {
    pb.BREAKER_KIND_CALLS: "calls",
    pb.BREAKER_KIND_LIQUIDATIONS: "liquidations",
    pb.BREAKER_KIND_CONCENTRATION: "concentration",
}


def market_line(found: pb.GetSnapshotResponse) -> str:
    """Return a sentence that says which market it is and how much of it can be believed."""
    counts = Counter(VERDICT_NAMES[quality.verdict][0] for _, _, quality in _lines(found))
    listed = ", ".join(f"{counts[name]} {name}" for name, _ in VERDICT_NAMES.values() if counts[name])
    return f"market {_moment(found.snapshot.as_of_time)} ({found.snapshot_id[:8]}): {listed}"


def quality_table(found: pb.GetSnapshotResponse, *, only_doubted: bool) -> Table:
    """Return a table with one line for each level and mark: verdict, level, range, what waits, and when it was seen."""
    table = plain_table()
    table.add_column("Subject", overflow="fold")
    table.add_column("Verdict", no_wrap=True)
    for heading in ("Level", "Not below", "Not above", "Said now"):
        add_number_column(table, heading)
    table.add_column("Seen", no_wrap=True)
    for subject, level, quality in _lines(found):
        is_valid = quality.verdict == pb.VERDICT_VALID
        if is_valid and only_doubted:
            continue
        name, style = VERDICT_NAMES[quality.verdict]
        ends = ("", "") if is_valid else (_short(quality.low), _short(quality.high))
        table.add_row(
            subject, Text(name, style=style), _short(level), *ends, _short(quality.candidate), _moment(quality.observe_time, "%d %H:%M:%S")
        )
    return table


def breaker_table(standing: pb.GetBreakersResponse) -> Table:
    """Return a table with one line for each breaker."""
    table = plain_table()
    for heading in ("Breaker", "State", "Since", "What it saw, or what was found"):
        table.add_column(heading, no_wrap=heading != "What it saw, or what was found", overflow="fold")
    for breaker in standing.breakers:
        name = BREAKER_NAMES.get(breaker.kind, "unknown")
        if breaker.tripped:
            table.add_row(name, Text("tripped", style="bold red"), _moment(breaker.trip_time), breaker.cause)
        elif breaker.HasField("reset_time"):
            table.add_row(name, Text("ready", style="green"), _moment(breaker.reset_time), f"{breaker.note} ({breaker.reset_by})")
        else:
            table.add_row(name, Text("ready", style="green"), "", "")
    return table


def doubt_lines(margin: margin_service_pb2.Margin) -> Iterator[str]:
    """Yield what doubted market data leaves open about a margin, in words; nothing without doubt."""
    if not margin.HasField("quality"):
        return
    quality = margin.quality
    low, high = percent(decimal_of(quality.utilization_low)), percent(decimal_of(quality.utilization_high))
    named = ", ".join(f"{one.subject} {VERDICT_NAMES[one.quality.verdict][0]}" for one in quality.doubted[:4])
    more = f" and {len(quality.doubted) - 4} more" if len(quality.doubted) > 4 else ""
    provisional = "; provisional: look before calling" if quality.provisional else ""
    yield f"{short_account(margin.stamp.account)}: utilization {low} to {high} while {named}{more}{provisional}"


def _lines(found: pb.GetSnapshotResponse) -> Iterator[tuple[str, str, pb.Quality]]:
    for values, known in ((found.snapshot.levels, found.level_quality), (found.snapshot.marks, found.mark_quality)):
        for subject in sorted(values):
            plain = pb.Quality(verdict=pb.VERDICT_VALID, observe_time=found.snapshot.as_of_time)
            yield subject, values[subject], known.get(subject, plain)


def _short(text: str) -> str:
    return f"{decimal_of(text):.8g}" if text else ""


def _moment(wire: Timestamp, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    return moment_of(wire).strftime(form)
