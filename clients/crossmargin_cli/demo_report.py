"""What the demo prints: every account at a glance, then how each came by its requirement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.padding import Padding

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.connection import to_json
from crossmargin_cli.demo_data.institutions import DemoAccount, Institution
from crossmargin_cli.margin_views import bridge_table, margin_table, netting_sentence
from crossmargin_client import moment_of


@dataclass(frozen=True, slots=True)
class DemoResult:
    """One account of the demo with its margin."""

    institution: Institution
    account: DemoAccount
    margin: margin_service_pb2.Margin


def print_report(console: Console, results: Sequence[DemoResult]) -> None:
    """Print every account at a glance, then each client's way from gross to requirement."""
    stamp = results[0].margin.stamp
    as_of = moment_of(stamp.as_of_time).strftime("%Y-%m-%d %H:%M UTC")
    console.print()
    console.print("crossmargin: one account, one pool of collateral, one number for the risk of the whole book", style="bold")
    console.print(f"Simulated market, {as_of}. Risk parameters {stamp.parameter_set_id}. US dollars.", style="dim")
    console.print()
    console.print(margin_table(console, [result.margin for result in results]))
    for result in results:
        console.print()
        _print_account(console, result)
    console.print()


def report_json(results: Sequence[DemoResult]) -> dict[str, object]:
    """Return the report for machines."""
    return {
        "simulated": True,
        "accounts": [
            {
                "client": result.institution.client_id,
                "account": result.margin.stamp.account,
                "story": result.account.story,
                "lesson": result.account.lesson,
                "margin": to_json(result.margin),
            }
            for result in results
        ],
    }


def _print_account(console: Console, result: DemoResult) -> None:
    requirement = result.margin.requirement
    console.print(f"{result.institution.display_name}: {result.account.display_name}", style="bold")
    for part in (
        result.account.story,
        bridge_table(console, requirement),
        f"{netting_sentence(requirement)} {result.account.lesson}",
    ):
        console.print(Padding(part, (0, 0, 0, 2), expand=False))
