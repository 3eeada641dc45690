"""`crossmargin demo`: the service with sample institutions, from nothing to a margin report."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Annotated, Final

import typer
from rich.console import Console

from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, connect, print_json
from crossmargin_cli.demo_data.loading import account_names, load_demo
from crossmargin_cli.demo_data.market import SEED, moved
from crossmargin_cli.demo_report import DemoResult, print_report, report_json
from crossmargin_cli.demo_service import ANY_PORT, RunningService, ServiceSettings, running_service
from crossmargin_cli.dev_certs import made_dev_certificates
from crossmargin_cli.examples import callable_as, examples
from crossmargin_cli.render import console_on, error_console, money
from crossmargin_cli.security import choose_security
from crossmargin_client import Busy, Client, DeadlineExceeded, Unavailable, decimal_of, moment_of

_DEFAULT_DATA_DIR: Final = Path(".crossmargin")
_DEFAULT_ADMIN: Final = "127.0.0.1:9464"
_TICK: Final = timedelta(seconds=2)


EXAMPLES: Final = examples(
    "crossmargin demo",
    "crossmargin demo --serve",
    "crossmargin demo --serve --secure",
)


def demo(  # noqa: PLR0917 - what a command can be told
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the database keeps its data; it stays there.")] = _DEFAULT_DATA_DIR,
    serve: Annotated[bool, typer.Option("--serve", help="Keep running, with a moving market.")] = False,
    grpc_address: Annotated[str, typer.Option(metavar="HOST:PORT", help="With --serve: where the API listens.")] = DEFAULT_TARGET,
    admin_address: Annotated[str, typer.Option(metavar="HOST:PORT", help="With --serve: where /metrics listens.")] = _DEFAULT_ADMIN,
    secure: Annotated[bool, typer.Option("--secure", help="With TLS and tokens, on throw-away certificates in the data folder.")] = False,
    json: JsonOption = False,
) -> None:
    """From nothing to a margin report: a database, the service, sample institutions.

    Everything is loaded through the API. The market is simulated. Running it again on kept data changes nothing.
    """
    settings = ServiceSettings(data_dir, ANY_PORT, ANY_PORT)
    if serve:
        settings = ServiceSettings(data_dir, grpc_address, admin_address, with_monitor=True)
    with contextlib.ExitStack() as resources:
        progress = resources.enter_context(error_console().status("starting PostgreSQL and the service"))
        if secure:
            settings = replace(settings, environment=made_dev_certificates(data_dir / "dev-certs", target=settings.grpc_address))
            choose_security(profile=data_dir / "dev-certs" / "house.toml")
        service = resources.enter_context(running_service(settings))
        client = resources.enter_context(connect(service.grpc_address))
        load_demo(client, report=progress.update)
        progress.update("computing margin")
        results = _results(client)
        progress.stop()
        console = console_on()
        _report(console, results, as_json=json)
        if serve:
            if not json:
                _print_next_steps(console, service, data_dir / "dev-certs" if secure else None)
            with contextlib.suppress(KeyboardInterrupt):
                _move_market(client, service)
        elif not json:
            folder = "" if data_dir == _DEFAULT_DATA_DIR else f" --data-dir {data_dir}"
            again = f"{callable_as('crossmargin')} demo --serve{' --secure' if secure else ''}{folder}"
            console.print(f"Kept in {data_dir}. Keep it running, with a moving market: {again}", style="dim", soft_wrap=True)


def _results(client: Client) -> list[DemoResult]:
    return [DemoResult(institution, account, client.get_margin(name)) for institution, account, name in account_names()]


def _report(console: Console, results: list[DemoResult], *, as_json: bool) -> None:
    if as_json:
        print_json(report_json(results))
    else:
        print_report(console, results)


def _print_next_steps(console: Console, service: RunningService, certificates: Path | None) -> None:
    crossmargin = callable_as("crossmargin")
    target = "" if service.grpc_address == DEFAULT_TARGET else f" --target {service.grpc_address}"
    if certificates is not None:
        _print_secure_steps(console, crossmargin, certificates, target)
        return
    url = f"http://{service.grpc_address}/crossmargin.api.v1.MarginService/GetMargin"
    account = '{"account":"clients/meridian-basis/accounts/core"}'
    console.print("The market moves every two seconds. In another terminal:", style="bold")
    for command in (
        f'{crossmargin} whatif meridian-basis/core --buy "BTC-USD-PERP 50"{target}',
        f"{crossmargin} margin explain harbour-macro/core{target}",
        f"{crossmargin} margin watch summit-directional/core --step 0.0005{target}",
        f"curl -s http://{service.admin_address}/metrics | grep ^crossmargin_",
        f"{callable_as('buf')} curl --protocol grpc --http2-prior-knowledge -d '{account}' {url}",
    ):
        console.print(f"  {command}", soft_wrap=True, markup=False)
    console.print("Ctrl-C ends it.", style="dim")


def _print_secure_steps(console: Console, crossmargin: str, certificates: Path, target: str) -> None:
    console.print("The market moves every two seconds. In another terminal, as a trader of meridian-basis, and as others:", style="bold")
    for role, command in (
        ("trader", "margin show meridian-basis/core"),
        ("trader", "margin show harbour-macro/core"),
        ("risk", "margin show --all"),
        ("risk", 'halt start --reason "trying it out" --client meridian-basis'),
        ("publisher", "margin show --all"),
    ):
        console.print(f"  {crossmargin} {command} --profile {certificates / role}.toml{target}", soft_wrap=True, markup=False)
    console.print("The second is answered as if that client did not exist, the last is denied. Ctrl-C ends it.", style="dim")


def _move_market(client: Client, service: RunningService) -> None:
    """Publish a new snapshot every tick, on from the latest one, until interrupted. A tick that a busy machine misses is left out."""
    random = Random(SEED)  # noqa: S311 - a market, not a secret
    latest = client.get_snapshot().snapshot
    as_of = moment_of(latest.as_of_time)
    with error_console().status("") as status:
        for tick in count(1):
            time.sleep(_TICK.total_seconds())
            service.process.check_alive()
            levels, marks = moved(latest.levels, latest.marks, random)
            as_of += _TICK
            with contextlib.suppress(Busy, DeadlineExceeded, Unavailable):
                client.publish_snapshot(as_of, levels, marks)
                latest = client.get_snapshot().snapshot
            status.update(f"tick {tick}: BTC {money(decimal_of(latest.levels['spot:BTC']))}")
