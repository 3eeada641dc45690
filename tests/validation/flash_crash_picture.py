"""Draws replayed crashes: what coins did, how full the accounts were, and what the two that fell were worth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crossmargin.domain.call_life import NoticeKind
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.margin import MarginResult
from crossmargin_cli.plots import drawn, new_figure
from tests.validation.flash_crash import Crash, EventKind
from tests.validation.flash_crash_checks import BUCKET, OVER_LEVERED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CUT: Final = 1.6
"""Utilization above it is drawn at it."""
_MILLION: Final = 1e6
_COLORS: Final = {"meridian-basis": "tab:green", "parallax-pairs": "tab:blue", "harbour-macro": "tab:cyan", "lattice-vol": "tab:purple"}
_BAND_COLORS: Final = ("#fff8d6", "#ffe9c4", "#ffd6c4", "#ffc0c0")


def draw_flash_crash(crashes: Sequence[Crash], file: Path) -> None:
    """Draw one column for each crash, PNG."""
    from matplotlib.dates import DateFormatter  # noqa: PLC0415 - an extra: a run without a picture must do without it

    figure = new_figure(6.4 * len(crashes), 9.5)
    panels = figure.subplots(3, len(crashes), squeeze=False, sharex="col")
    for column, crash in enumerate(crashes):
        _draw_prices(panels[0][column], crash)
        _draw_utilization(panels[1][column], crash)
        _draw_equity(panels[2][column], crash)
        panels[2][column].xaxis.set_major_formatter(DateFormatter("%m-%d"))
    file.write_bytes(drawn(figure, "png"))


def _draw_prices(panel: Axes, crash: Crash) -> None:
    times = _times(crash)
    for coin, color in (("BTC", "tab:orange"), ("ETH", "tab:blue"), ("AVAX", "tab:gray")):
        panel.plot(times, [move[coin] for move in crash.moves], color=color, linewidth=1.0, label=coin if coin != "AVAX" else "AVAX, proxy")
    panel.set_title(crash.episode.name)
    panel.set_ylabel("price, first tick = 1")
    panel.legend(loc="lower left", fontsize=8)
    panel.grid(alpha=0.3)


def _draw_utilization(panel: Axes, crash: Crash) -> None:
    times, lines = _times(crash), crash.acted.parameters.bands
    edges = [float(edge) for edge in (lines.watch, lines.at_risk, lines.margin_call, lines.liquidation)]
    for low, high, color in zip(edges, [*edges[1:], _CUT + 0.1], _BAND_COLORS, strict=True):
        panel.axhspan(low, high, color=color, zorder=0)
    for account, path in crash.acted.path.items():
        panel.plot(times, [_cut(result) for result in path], color=_color(account), linewidth=1.0, label=_label(account))
    when = dict(zip((tick.at for tick in crash.ticks), times, strict=True))
    for event in crash.acted.events:
        if event.plan is not None or (event.notice is not None and event.notice.kind is NoticeKind.ISSUED):
            entered = next(e for e in crash.acted.events if e.at == event.at and e.account == event.account)
            height = _CUT if entered.utilization is None else min(float(entered.utilization), _CUT)
            marker = "v" if event.kind is EventKind.PLAN else "o"
            panel.plot(
                [when[event.at]],
                [height],
                marker=marker,
                color=_color(event.account),
                markersize=6 if event.account == BUCKET else 9,
                linestyle="none",
            )
    panel.set_ylim(0.0, _CUT + 0.1)
    panel.set_ylabel("utilization, after what was done")
    panel.legend(loc="upper right", fontsize=7, ncols=2)


def _draw_equity(panel: Axes, crash: Crash) -> None:
    times = _times(crash)
    for account in (OVER_LEVERED, BUCKET):
        color = _color(account)
        for replay, style, what in ((crash.acted, "-", "acts"), (crash.idle, ":", "nobody acts")):
            worth = [float(result.equity.equity) / _MILLION for result in replay.path[account]]
            panel.plot(times, worth, color=color, linestyle=style, linewidth=1.1, label=f"{_label(account)}, {what}")
    panel.axhline(0.0, color="black", linewidth=0.6)
    panel.set_ylabel("equity, million USD")
    if crash.idle.path[OVER_LEVERED][-1].equity.equity > 0:
        panel.legend(loc="lower right", bbox_to_anchor=(1.0, 0.2), fontsize=7)
    else:
        panel.legend(loc="upper right", fontsize=7)
    panel.grid(alpha=0.3)


def _times(crash: Crash) -> list[float]:
    from matplotlib.dates import date2num  # noqa: PLC0415 - an extra: a run without a picture must do without it

    times: list[float] = date2num([tick.at for tick in crash.ticks]).tolist()  # type: ignore[no-untyped-call]
    return times


def _cut(result: MarginResult) -> float:
    return _CUT if result.utilization is None else min(float(result.utilization), _CUT)


def _color(account: AccountRef) -> str:
    return "tab:brown" if account == BUCKET else _COLORS.get(account.client_id, "tab:red")


def _label(account: AccountRef) -> str:
    return f"{account.client_id}/{account.account_id}" if account in {OVER_LEVERED, BUCKET} else account.client_id
