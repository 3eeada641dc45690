"""`python -m crossmargin`: serve, migrate, or show the configuration."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from crossmargin import app
from crossmargin.config import Settings

REFUSED = 1
USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 refused, 2 misused."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    flags = {name: value for name, value in vars(chosen).items() if name in Settings.model_fields}
    try:
        settings = Settings(**flags)
        return _run(chosen, settings)
    except ValidationError as error:
        print(f"error: {_sentence(error)}", file=sys.stderr)
        return USAGE
    except (app.StartError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return REFUSED


def _run(chosen: argparse.Namespace, settings: Settings) -> int:
    match chosen.command:
        case "serve":
            settings.check_database()
            settings.check_exposure()
            app.serve(settings)
        case "migrate":
            settings.check_database()
            print(app.migrate(settings))
        case "config":
            print(_shown(settings, as_json=chosen.json))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m crossmargin", description="The crossmargin service.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_settings(commands.add_parser("serve", help="serve the API until stopped"))
    _add_settings(commands.add_parser("migrate", help="bring the database to the schema this release needs"))
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
    raise SystemExit(main())
