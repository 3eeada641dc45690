"""Options that most commands share: where the service is, and how to answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from crossmargin_cli.failures import CommandError, MisuseError
from crossmargin_cli.security import chosen_security
from crossmargin_client import Client, Unavailable, account_name
from crossmargin_client.channels import DEFAULT_TARGET

TargetOption = Annotated[
    str,
    typer.Option("--target", envvar="CROSSMARGIN_TARGET", help="Where the service is: HOST:PORT, or dns:///NAME:PORT.", show_default=True),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]
PrincipalOption = Annotated[
    str,
    typer.Option(
        "--as", metavar="NAME", envvar="CROSSMARGIN_PRINCIPAL", help="Who you are, where the service is not told by a certificate."
    ),
]
ConfirmOption = Annotated[
    str, typer.Option("--confirm", metavar="PENDING", help="As the second person: the pending request that asks for exactly this.")
]
AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="CLIENT/ACCOUNT, or clients/CLIENT/accounts/ACCOUNT.")]
_START_IT: Final = (
    "is the service running? start it with: crossmargin serve --embedded --insecure, or name another with --target; "
    "a service with TLS asks for --profile, or --tls-ca, --tls-cert and --tls-key"
)

__all__ = [
    "DEFAULT_TARGET",
    "AccountArgument",
    "ConfirmOption",
    "JsonOption",
    "PrincipalOption",
    "TargetOption",
    "connect",
    "full_account_name",
    "full_scope",
    "moment_option",
    "print_json",
    "print_json_line",
    "to_json",
]


@contextmanager
def connect(target: str, *, principal: str = "") -> Iterator[Client]:
    """Yield a client of the service at `target`, acting under a name of its own if one is given.

    Raises:
        CommandError: When nobody answers there, with what to do about it.
    """
    with Client(target, principal=principal, **chosen_security().options) as client:
        try:
            yield client
        except Unavailable as error:
            # A service that answers gives a documented reason; without one the status is all there is.
            if error.reason != error.code.name:
                raise
            raise CommandError(f"nothing answers at {target} ({error.message})", next_step=_START_IT) from None


def full_account_name(text: str) -> str:
    """Return the resource name of an account given in full or as CLIENT/ACCOUNT.

    Raises:
        MisuseError: For anything else.

    >>> full_account_name("alpha/core")
    'clients/alpha/accounts/core'
    """
    match text.split("/"):
        case ["clients", _, "accounts", _]:
            return text
        case [client_id, account_id] if client_id and account_id:
            return account_name(client_id, account_id)
        case _:
            raise MisuseError(f"account was {text!r}; expected CLIENT/ACCOUNT or clients/CLIENT/accounts/ACCOUNT")


def full_scope(text: str) -> str:
    """Return the resource name of a client given as CLIENT, or of an account; empty, which is everybody, as it is.

    >>> full_scope("alpha"), full_scope("alpha/core"), full_scope("")
    ('clients/alpha', 'clients/alpha/accounts/core', '')
    """
    if not text or text.startswith("clients/"):
        return text
    return full_account_name(text) if "/" in text else f"clients/{text}"


def moment_option(text: str, option: str) -> datetime:
    """Return the time that an option was given as.

    Raises:
        MisuseError: For what is no time, or has no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MisuseError(f"{option} was {text!r}; expected a time with its zone, such as 2026-11-20T15:00:00Z")
    return moment


def to_json(message: Message) -> dict[str, Any]:
    """Return a message as a JSON value with the names of the API; fields left empty are there too."""
    document: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return document


def print_json(document: object) -> None:
    """Print a JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2))


def print_json_line(document: object) -> None:
    """Print a JSON document on one line and send it on its way: one of a stream."""
    print(json.dumps(document), flush=True)
