"""The page of all metrics, written from what a running service tells."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric

from tests.observability.dashboards import ROOT

PAGE = ROOT / "service" / "docs" / "metrics.md"
_UNITS = (
    ("_timestamp_seconds", "seconds since 1970"),
    ("_seconds", "seconds"),
    ("_usd", "USD"),
    ("_ratio", "share of one"),
)
_SECTIONS = (
    ("crossmargin_engine_", "Engine", "Of every process: margins, previews, house runs and whatever else computes."),
    ("crossmargin_database_", "Database, as each process sees it", "Of the pool of connections. `serve` and the monitor have one each."),
    ("crossmargin_build_info", "Release", "Every process has it, so it is what to count processes by."),
    (
        "crossmargin_access_",
        "Access",
        "Of every process. Who it was, and what for, is in the audit trail; causes are explained in [security](security.md).",
    ),
    (
        "crossmargin_ledger_",
        "Ledger",
        (
            "Of the process whose monitor leads; the counters are there in all that have a monitor. Anchors and checks are explained in\n"
            "[architecture](architecture.md)."
        ),
    ),
    (
        "crossmargin_requests_",
        "Refusals",
        "Of every process that serves, beside the calls below: the code says what kind of refusal, the reason which.",
    ),
    (
        "crossmargin_",
        "Margin",
        (
            "Of processes with a monitor. Accounts are the leader's only. When the lead changes hands two may have them for one scrape:\n"
            "take `max by (client, account)` before adding up."
        ),
    ),
    (
        "grpc_server_",
        "Calls",
        "Under the names that gRPC dashboards query. Every call counts, also one that was cancelled or ran out of time.",
    ),
)
_HEAD = """# Metrics

What `/metrics` on the admin port (9464) says. This page is written by `python -m tests.observability --write` from a running service, and a
test compares the two.

Counters end in `_total`; use them with `rate` or `increase`. No metric has a trade in its labels, and an instrument only as collateral of
the house, the thirty largest, or as a stablecoin. At most `client_label_limit` clients have series of their own, those closest to the line;
`crossmargin_clients_dropped` says how many have none. Series of accounts are made by whoever scrapes, on the thread of the admin port, and
not by the event loop that answers calls: `python -m tests.observability cost` times it.

`process_*` and `python_*` are those of every Python program: CPU, memory, file descriptors (Linux only), garbage collection.
"""


def render(families: Iterable[Metric]) -> str:
    """Return the page."""
    left = {family.name: family for family in families if family.name.startswith(("crossmargin_", "grpc_server_"))}
    parts = [_HEAD]
    for prefix, title, text in _SECTIONS:
        chosen = [left.pop(name) for name in sorted(left) if name.startswith(prefix)]
        parts.append(f"\n## {title}\n\n{text}\n\n| metric | type | labels | unit | what it says |\n|---|---|---|---|---|\n")
        parts.extend(_line(family) for family in chosen)
    return "".join(parts)


def _line(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    shown = ", ".join(f"`{label}`" for label in labels) or "-"
    return f"| `{name}` | {family.type} | {shown} | {_unit(family.name)} | {family.documentation} |\n"


def _unit(name: str) -> str:
    return next((unit for suffix, unit in _UNITS if name.endswith(suffix)), "number")
