"""`crossmargin cascade`: what a shock would set off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.cascade_views import cascade_figure, round_table, summary_lines
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.plots import check_plot_file, write_figure
from crossmargin_cli.render import console_on, counted, error_console
from crossmargin_cli.stress_words import scenario_from_words

EXAMPLES: Final = examples(
    'crossmargin cascade "All crypto falls as one by 40%" --depth-multiple 0.05 --plot cascade.html',
    "crossmargin cascade --shock class:CRYPTO=-30% --without-isolation",
    "crossmargin cascade --shock spot:BTC=-25% --depth infinite --json",
)
_DEPTHS: Final = {
    "square-root": pb.MARKET_DEPTH_KIND_SQUARE_ROOT,
    "linear": pb.MARKET_DEPTH_KIND_LINEAR,
    "infinite": pb.MARKET_DEPTH_KIND_INFINITE,
}


def cascade(  # noqa: PLR0917 - typer reads options from the signature
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO]", help="A name from `crossmargin stress list`.", show_default=False)] = "",
    shock: Annotated[
        list[str] | None, typer.Option("--shock", metavar="WHAT=SIZE", help="A move of your own, such as spot:BTC=-30%; several make one.")
    ] = None,
    depth: Annotated[str, typer.Option("--depth", help="square-root, linear or infinite.")] = "square-root",
    depth_multiple: Annotated[str, typer.Option("--depth-multiple", metavar="X", help="Of the usual daily volumes.")] = "1",
    impact: Annotated[str, typer.Option("--impact", metavar="Y", help="Coefficient of the depth; else that of the risk parameters.")] = "",
    without_isolation: Annotated[bool, typer.Option("--without-isolation", help="Count every bucket with its core account.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the order inside a round.")] = 0,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: FILE.png, FILE.svg or FILE.html.")] = None,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Simulate what a shock would set off: liquidations that move prices, until nobody is left to fall."""
    if plot is not None:
        check_plot_file(plot)
    if depth not in _DEPTHS:
        raise MisuseError(f"--depth was {depth!r}; expected one of {', '.join(_DEPTHS)}")
    if bool(scenario) == bool(shock):
        raise MisuseError("expected the name of a scenario, or --shock", next_step="crossmargin stress list")
    request = pb.SimulateCascadeRequest(
        depth=_DEPTHS[depth],
        depth_multiple=depth_multiple,
        impact_coefficient=impact,
        without_isolation=without_isolation,
        seed=seed,
    )
    if shock:
        request.ad_hoc.CopyFrom(scenario_from_words("ad hoc", shock, both_directions=False))
    else:
        request.scenario = scenario
    rounds: list[pb.CascadeRound] = []
    summary: pb.CascadeSummary | None = None
    with connect(target) as client, error_console().status("the shock") as status:
        for response in client.simulate_cascade(request):
            match response.WhichOneof("message"):
                case "round":
                    rounds.append(response.round)
                    status.update(f"round {response.round.number}: {counted(response.round.fallen_count, 'account')} fallen")
                case "summary":
                    summary = response.summary
    if summary is None:
        raise CommandError("the cascade ended before its end", next_step="run it again")
    if plot is not None:
        write_figure(plot, cascade_figure(rounds), heading="Cascade", tables=[round_table(rounds)], notes=summary_lines(summary))
    if json:
        print_json({"rounds": [to_json(one) for one in rounds], "summary": to_json(summary)})
        return
    console = console_on()
    console.print(round_table(rounds))
    for line in summary_lines(summary):
        console.print(line, soft_wrap=True)
