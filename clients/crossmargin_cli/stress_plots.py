"""Plots of a stress: what every scenario costs, and what of it is the broker's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.plots import new_figure, write_figure
from crossmargin_cli.stress_views import account_table, failure_lines, house_table, plan_line
from crossmargin_client import decimal_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = 30
_MILLION: Final = 1e6


def write_plots(file: Path, plan: pb.StressPlan, outcomes: Sequence[pb.StressOutcome], *, is_house: bool) -> None:
    """Draw the scenarios that cost most; an .html file also has the table of all of them and stands alone."""
    table = house_table(outcomes) if is_house else account_table(outcomes)
    notes = [plan_line(plan), *(failure_lines(outcomes[0]) if outcomes else ())]
    write_figure(file, figure_of(outcomes), heading="Stress", tables=[table], notes=notes)


def figure_of(outcomes: Sequence[pb.StressOutcome]) -> Figure:
    """Return bars of profit and of the broker's loss, the worst scenario at the top."""
    worst = sorted(outcomes, key=lambda one: float(decimal_of(one.pnl)))[:_SHOWN][::-1]
    figure = new_figure(9.0, 1.2 + 0.28 * len(worst))
    panel = figure.subplots()
    places = range(len(worst))
    panel.barh(places, [float(one.pnl) / _MILLION for one in worst], color="tab:blue", label="profit and loss")
    panel.barh(places, [-float(one.broker_loss) / _MILLION for one in worst], color="tab:red", height=0.4, label="lost to the broker")
    panel.set_yticks(places, [one.scenario for one in worst], fontsize=7)
    panel.set_xlabel("USD million", fontsize=8)
    panel.axvline(0.0, color="0.3", linewidth=0.6)
    panel.legend(fontsize=7, loc="lower right", frameon=False)
    return figure
