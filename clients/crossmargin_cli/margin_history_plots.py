"""A drawing of an account's utilization over time, with its equity and margins below."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import margin_service_pb2 as pb
from crossmargin_cli.render import short_account
from crossmargin_client import decimal_of, moment_of

_MILLION: Final = 1e6
_DRAWN_AS_INFINITE: Final = 2.0
_COLOURS: Final = {
    pb.BAND_HEALTHY: "tab:green",
    pb.BAND_WATCH: "gold",
    pb.BAND_AT_RISK: "tab:orange",
    pb.BAND_MARGIN_CALL: "tab:red",
    pb.BAND_LIQUIDATION: "darkred",
}


def write_history_plot(file: Path, account: str, points: Sequence[pb.MarginPoint]) -> None:
    """Draw the points to a .png, an .svg, or an .html page that stands alone."""
    if file.suffix == ".html":
        title = html.escape(f"Margin of {short_account(account)}")
        svg = _drawing(account, points, "svg").decode()
        page = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>{svg[svg.index('<svg') :]}</html>\n"
        file.write_text(page, encoding="utf-8")
    else:
        file.write_bytes(_drawing(account, points, file.suffix[1:]))


def _drawing(account: str, points: Sequence[pb.MarginPoint], kind: str) -> bytes:
    from matplotlib import rc_context  # noqa: PLC0415 - an extra: most commands must do without it
    from matplotlib.dates import date2num  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    times = date2num([moment_of(point.record_time) for point in points]).tolist()  # type: ignore[no-untyped-call]
    used = [min(float(decimal_of(point.utilization)), _DRAWN_AS_INFINITE) for point in points]
    upper.plot(times, used, color="0.6", linewidth=0.8)
    upper.scatter(times, used, s=8, c=[_COLOURS.get(point.remembered_band, "0.5") for point in points])
    upper.set_ylabel("utilization")
    upper.set_title(f"{short_account(account)}: utilization, in the colour of its band")
    for label, amounts in (
        ("equity", [point.equity for point in points]),
        ("initial margin", [point.initial_margin for point in points]),
        ("maintenance margin", [point.maintenance_margin for point in points]),
    ):
        lower.plot(times, [float(decimal_of(amount)) / _MILLION for amount in amounts], linewidth=1.0, label=label)
    lower.set_ylabel("USD million")
    lower.xaxis_date()
    lower.legend(frameon=False, ncols=3)
    drawing = io.BytesIO()
    with rc_context({"svg.hashsalt": "crossmargin"}):
        figure.savefig(drawing, format=kind, dpi=110, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return drawing.getvalue()
