"""`crossmargin margin history`: the utilization of an account as the monitor found it, run by run."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from crossmargin_cli.connection import (
    DEFAULT_TARGET,
    AccountArgument,
    JsonOption,
    TargetOption,
    connect,
    full_account_name,
    print_json,
    to_json,
)
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_history_plots import write_history_plot
from crossmargin_cli.margin_history_views import band_change_table, history_sentence, utilization_lines
from crossmargin_cli.plots import check_plot_file
from crossmargin_cli.render import console_on

EXAMPLES: Final = examples(
    "crossmargin margin history meridian-basis/core",
    "crossmargin margin history meridian-basis/core --since 7d --plot meridian.png",
)
_AGE: Final = re.compile(r"([1-9][0-9]{0,5})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def history(
    account: AccountArgument,
    since: Annotated[str, typer.Option("--since", metavar="AGE", help="How far back: 90s, 30m, 24h or 7d.")] = "24h",
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Also draw it: .png, .svg or .html.")] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Utilization of an account over time, and when it changed its band. Older runs are kept at wider distances."""
    start = datetime.now(UTC) - age_of(since)
    name = full_account_name(account)
    if plot is not None:
        check_plot_file(plot)
    with connect(target) as client:
        points = list(client.list_margin_history(name, start=start))
    if plot is not None:
        write_history_plot(plot, name, points)
    if json:
        print_json({"points": [to_json(point) for point in points]})
        return
    console = console_on()
    if points:
        for line in utilization_lines(console, points):
            console.print(line)
        changes = band_change_table(points)
        if changes.row_count:
            console.print()
            console.print(changes)
    console.print(history_sentence(points, since=since))
    if plot is not None:
        console.print(f"drawn to {plot}")


def age_of(text: str, *, option: str = "--since") -> timedelta:
    """Return the age that a text such as 24h says.

    Raises:
        MisuseError: For anything else.

    >>> age_of("30m")
    datetime.timedelta(seconds=1800)
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise MisuseError(f"{option} was {text!r}; expected a number and s, m, h or d", next_step=f"{option} 24h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
