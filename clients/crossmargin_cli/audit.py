"""`crossmargin audit`: who was turned away, and who looked at what is not his own."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Final

import typer

from crossmargin.api.v1 import audit_service_pb2 as pb
from crossmargin_cli.audit_views import audit_table
from crossmargin_cli.connection import DEFAULT_TARGET, JsonOption, TargetOption, connect, print_json, to_json
from crossmargin_cli.examples import examples
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_history import age_of
from crossmargin_cli.render import console_on

app = typer.Typer(no_args_is_help=True, help="Who was turned away, and who looked at what is not his own. For risk and auditors.")
_KINDS: Final = {"": pb.AUDIT_KIND_UNSPECIFIED, "denied": pb.AUDIT_KIND_DENIED, "privileged": pb.AUDIT_KIND_PRIVILEGED_CALL}


@app.command(
    "list",
    epilog=examples(
        "crossmargin audit list --since 24h --kind denied",
        "crossmargin audit list --client meridian-basis --since 7d",
        "crossmargin audit list --principal alice --json",
    ),
)
def list_events(  # noqa: PLR0917 - typer reads options from the signature
    principal: Annotated[str, typer.Option("--principal", metavar="NAME", help="Only those of this caller.")] = "",
    client: Annotated[str, typer.Option("--client", metavar="CLIENT", help="Only those that name this client.")] = "",
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Only denied, or only privileged.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="AGE", help="How far back: 90s, 30m, 24h or 7d.")] = "24h",
    until: Annotated[str, typer.Option("--until", metavar="AGE", help="Only those older than this. Default: all up to now.")] = "",
    most: Annotated[int, typer.Option("--most", metavar="NUMBER", min=1, help="How many to show, the newest of them.")] = 200,
    json: JsonOption = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Events of the audit trail, newest first. Reading them is an event as well."""
    if kind not in _KINDS:
        raise MisuseError(f"--kind was {kind!r}; expected denied or privileged")
    now = datetime.now(UTC)
    start, end = now - age_of(since), now - age_of(until) if until else None
    with connect(target) as connected:
        events = connected.list_audit_events(principal=principal, client_id=client, kind=_KINDS[kind], start=start, end=end)
        found = list(islice(events, most + 1))
    if json:
        print_json({"events": [to_json(one) for one in found[:most]]})
        return
    console = console_on()
    console.print(audit_table(found[:most]) if found else "Nothing of the kind is in the audit trail.")
    if len(found) > most:
        console.print(f"and older ones; show more with --most, or look before {found[most - 1].event_time.ToJsonString()} with --until")
