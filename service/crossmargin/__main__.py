"""`python -m crossmargin`: serve, migrate, verify the ledger, or show the configuration."""

from __future__ import annotations

import gc

# Of what is imported nothing is garbage, and looking for it is a fifth of what a start takes.
gc.disable()

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from crossmargin import app
from crossmargin.adapters.runtime.dev_certificates import dev_callers, dev_settings, write_dev_certificates
from crossmargin.adapters.runtime.logs import configure_logs
from crossmargin.adapters.runtime.terminal import (
    differences_as_json,
    differences_as_text,
    exit_code_of,
    is_confirmed,
    progress_on,
    verdict_as_json,
    verdict_as_text,
)
from crossmargin.config import SECRETS, Settings
from crossmargin.domain.projection import ProjectionDifference

gc.enable()

REFUSED = 1
USAGE = 2
_INSECURE = """\
*** INSECURE: without TLS and without tokens. Whoever is on this machine may do everything. ***
*** For certificates and tokens to try: crossmargin dev-certs                              ***"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 refused, 2 misused."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    flags = {name: value for name, value in vars(chosen).items() if name in Settings.model_fields}
    if chosen.command == "dev-certs":
        return _dev_certs(chosen)
    try:
        _refuse_passwords(flags)
        settings = Settings(**flags)
        return _run(chosen, settings)
    except ValidationError as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return USAGE
    except (app.StartError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def _refuse_passwords(flags: Mapping[str, str]) -> None:
    """Return if no flag holds a password: everybody on a machine can read the words of its commands."""
    for name in SECRETS:
        text = flags.get(name, "")
        if "password=" in text or ("://" in text and urlsplit(text).password):
            raise ValueError(
                f"--{name.replace('_', '-')} holds a password, which everybody on this machine can read; "
                f"use CROSSMARGIN_{name.upper()}_FILE, CROSSMARGIN_{name.upper()} or ~/.pgpass"
            )


def _run(chosen: argparse.Namespace, settings: Settings) -> int:
    match chosen.command:
        case "serve":
            settings.check_database()
            settings.check_exposure()
            if settings.insecure and sys.stderr.isatty():
                print(_INSECURE, file=sys.stderr)
            settings.check_history()
            app.serve(settings)
        case "migrate":
            settings.check_database()
            print(app.migrate(settings))
        case "verify-ledger":
            settings.check_database()
            return _verify_ledger(chosen, settings)
        case "rebuild-projections":
            settings.check_database()
            return _rebuild_projections(chosen, settings)
        case "check-walls":
            settings.check_database()
            return _check_walls(chosen, settings)
        case "anchor-key":
            print(app.anchor_public_key(settings), end="")
        case "config":
            print(_shown(settings, as_json=chosen.json))
    return 0


def _dev_certs(chosen: argparse.Namespace) -> int:
    try:
        write_dev_certificates(chosen.out, dev_callers(chosen.client), target=chosen.target)
    except OSError as error:
        print(f"error: {chosen.out} cannot be written: {error.strerror}", file=sys.stderr)
        return REFUSED
    print(json.dumps(dev_settings(chosen.out.resolve()), indent=2))
    return 0


def _verify_ledger(chosen: argparse.Namespace, settings: Settings) -> int:
    with progress_on(sys.stderr, "verifying entries") as report:
        verdict = app.verify_ledger(settings, anchor_file=chosen.anchors, public_keys=chosen.public_key, report=report)
    print(verdict_as_json(verdict) if chosen.json else verdict_as_text(verdict))
    return 0 if verdict.is_clean else REFUSED


def _check_walls(chosen: argparse.Namespace, settings: Settings) -> int:
    gaps = app.database_gaps(settings)
    said = json.dumps({"gaps": gaps}) if chosen.json else "\n".join(gaps) or "the database keeps clients apart from one another"
    print(said)
    return REFUSED if gaps else 0


def _rebuild_projections(chosen: argparse.Namespace, settings: Settings) -> int:
    if chosen.repair:
        configure_logs()  # every row that is put right is logged

    def may_repair(differences: Sequence[ProjectionDifference]) -> bool:
        question = f"{len(differences):,} rows are not what the ledger says and will be replaced."
        return chosen.repair and (chosen.yes or is_confirmed(question, answers=sys.stdin, stream=sys.stderr))

    report = app.rebuild_projections(settings, may_repair=may_repair)
    show = differences_as_json if chosen.json else differences_as_text
    print(show(report.differences, repaired_count=report.repaired_count))
    return 0 if not report.differences or report.repaired_count else REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crossmargin", description="The crossmargin service.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_settings(commands.add_parser("serve", help="serve the API until stopped"))
    _add_settings(commands.add_parser("migrate", help="bring the database to the schema this release needs"))
    verify = commands.add_parser("verify-ledger", help="verify everything that is stored of the ledger; exit code 1 for any finding")
    verify.add_argument("--anchors", type=Path, metavar="FILE", help="anchors kept outside the database; default: the service's own file")
    verify.add_argument(
        "--public-key", type=Path, action="append", default=[], metavar="FILE", help="PEM to check anchors with, may be given several times"
    )
    verify.add_argument("--json", action="store_true", help="for machines")
    _add_settings(verify)
    rebuild = commands.add_parser("rebuild-projections", help="compare projections with the ledger; exit code 1 when any differs")
    rebuild.add_argument("--repair", action="store_true", help="replace what differs by what the ledger says, after asking")
    rebuild.add_argument("--yes", action="store_true", help="do not ask")
    rebuild.add_argument("--json", action="store_true", help="for machines")
    _add_settings(rebuild)
    walls = commands.add_parser("check-walls", help="say whether the database keeps clients apart for the service; exit code 1 if not")
    walls.add_argument("--json", action="store_true", help="for machines")
    _add_settings(walls)
    _add_settings(commands.add_parser("anchor-key", help="print the public key that anchors are checked with"))
    certs = commands.add_parser("dev-certs", help="make throw-away certificates and tokens; prints the settings of a service on them")
    certs.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to fill")
    certs.add_argument("--target", default="127.0.0.1:50051", metavar="HOST:PORT", help="where the service will be, for the profiles")
    certs.add_argument("--client", action="append", default=[], metavar="ID", help="client that the trader is let in to, several times")
    config = commands.add_parser("config", help="configuration").add_subparsers(dest="verb", required=True)
    show = config.add_parser("show", help="print every setting with its value")
    show.add_argument("--json", action="store_true", help="for machines")
    _add_settings(show)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    for name, field in Settings.model_fields.items():
        flag = "--" + name.replace("_", "-")
        if field.annotation is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, help=field.description)
        else:
            shown = "" if field.default in (None, PydanticUndefined) else f" Default: {field.default}."
            parser.add_argument(flag, default=argparse.SUPPRESS, metavar="VALUE", help=f"{field.description}{shown}")


def _shown(settings: Settings, *, as_json: bool) -> str:
    # Secrets render as asterisks in both forms.
    values = json.loads(settings.model_dump_json())
    if as_json:
        return json.dumps(values, indent=2)
    width = max(map(len, values))
    lines = [(name, "-" if values[name] is None else str(values[name]), field.description) for name, field in Settings.model_fields.items()]
    return "\n".join(f"{name:<{width}}  {value:<24}  {description}" for name, value, description in lines)


def _sentence(error: ValidationError) -> str:
    parts = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        parts.append(f"{where}: {message}" if where else message)
    return "; ".join(parts)


if __name__ == "__main__":
    raise SystemExit(exit_code_of(main))
