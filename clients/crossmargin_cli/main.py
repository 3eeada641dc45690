"""The `crossmargin` command."""

from __future__ import annotations

import os
import sys

import typer

from crossmargin_cli import (
    accounts,
    audit,
    backtest,
    book,
    calls,
    cascade,
    clients,
    collateral,
    config,
    demo,
    dev_certs,
    doctor,
    example,
    halt,
    health,
    history,
    instruments,
    ledger,
    limits,
    liquidation,
    margin,
    market,
    migrate,
    parameters,
    pending,
    quotes,
    reconcile,
    report,
    reservations,
    serve,
    stress,
    top,
    whatif,
)
from crossmargin_cli.failures import FAILED, INTERRUPTED, MISUSED, CommandError, MisuseError, failure_lines
from crossmargin_cli.security import choose_security, hoisted
from crossmargin_client import CrossmarginError

app = typer.Typer(
    name="crossmargin",
    help="Cross-margin for a prime broker: one account, one pool of collateral, one number for the risk of the whole book.",
    epilog="Start here: crossmargin demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(choose_security)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("top", epilog=top.EXAMPLES)(top.top)
app.command("whatif", epilog=whatif.EXAMPLES)(whatif.whatif)
app.command("example", epilog=example.EXAMPLES)(example.example)
app.add_typer(margin.app, name="margin")
app.add_typer(instruments.app, name="instruments")
app.add_typer(clients.app, name="clients")
app.add_typer(accounts.app, name="accounts")
app.add_typer(book.app, name="book")
app.add_typer(calls.app, name="calls")
app.add_typer(reservations.app, name="reservations")
app.add_typer(collateral.app, name="collateral")
app.add_typer(limits.app, name="limits")
app.add_typer(halt.app, name="halt")
app.add_typer(pending.app, name="pending")
app.add_typer(audit.app, name="audit")
app.add_typer(history.app, name="import")
app.add_typer(quotes.app, name="quotes")
app.add_typer(market.app, name="market")
app.command("reconcile", epilog=reconcile.EXAMPLES)(reconcile.reconcile)
app.add_typer(reconcile.app, name="breaks")
app.add_typer(parameters.app, name="parameters")
app.command("report", epilog=report.EXAMPLES)(report.report)
app.command("backtest", epilog=backtest.EXAMPLES)(backtest.backtest)
app.add_typer(stress.app, name="stress")
app.add_typer(liquidation.app, name="liquidation")
app.command("cascade", epilog=cascade.EXAMPLES)(cascade.cascade)
app.command("serve", epilog=serve.EXAMPLES, context_settings=serve.PASS_THROUGH)(serve.serve)
app.command("dev-certs", epilog=dev_certs.EXAMPLES)(dev_certs.dev_certs)
app.command("migrate", epilog=migrate.EXAMPLES, context_settings=serve.PASS_THROUGH)(migrate.migrate)
app.command("verify-ledger", epilog=ledger.VERIFY_EXAMPLES, context_settings=serve.PASS_THROUGH)(ledger.verify_ledger)
app.command("rebuild-projections", epilog=ledger.REBUILD_EXAMPLES, context_settings=serve.PASS_THROUGH)(ledger.rebuild_projections)
app.command("anchor-key", epilog=ledger.KEY_EXAMPLES, context_settings=serve.PASS_THROUGH)(ledger.anchor_key)
app.add_typer(config.app, name="config")
app.command("doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
app.command("health", epilog=health.EXAMPLES)(health.health)
app.command("version")(health.version)


def main() -> None:
    """Run one command. Exit code 0: done; 1: refused or failed, with a message and no traceback; 2: misused."""
    try:
        try:
            app(hoisted(sys.argv[1:]))
        finally:
            sys.stdout.flush()
    except (CommandError, CrossmarginError) as error:
        print("\n".join(failure_lines(error)), file=sys.stderr)
        sys.exit(MISUSED if isinstance(error, MisuseError) else FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
