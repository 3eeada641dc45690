"""Loads the demo through the client. Every write has a fixed name, so loading it again changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

from crossmargin.api.v1 import book_service_pb2
from crossmargin_cli.demo_data.institutions import INSTITUTIONS, DemoAccount, DemoTrade, Institution, instruments
from crossmargin_cli.demo_data.market import AS_OF, simulated_history, todays_levels, todays_marks
from crossmargin_cli.failures import CommandError
from crossmargin_client import PLEDGED, AlreadyExists, Client, PreconditionFailed, trade

_DONE_AT: Final = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
_VERSION: Final = "demo-1"


def load_demo(client: Client, *, report: Callable[[str], None]) -> None:
    """Load instruments, market and books; `report` is told of each step.

    Raises:
        CommandError: When the data folder holds other data under the same names.
    """
    try:
        for step, load in (
            ("instruments", _load_instruments),
            ("market history, simulated", _load_history),
            ("today's market", _load_snapshot),
            ("institutions and their books", _load_institutions),
        ):
            report(f"loading {step}")
            load(client)
    except (AlreadyExists, PreconditionFailed) as error:
        raise CommandError(
            f"the data folder holds something else under the names of the demo: {error.message}",
            next_step="name another folder: crossmargin demo --data-dir FOLDER",
        ) from error


def account_names() -> Iterator[tuple[Institution, DemoAccount, str]]:
    """Yield every account of the demo with its institution and its resource name."""
    for institution in INSTITUTIONS:
        for account in institution.accounts:
            yield institution, account, institution.name_of(account.account_id)


def _load_instruments(client: Client) -> None:
    for instrument in instruments():
        client.create_instrument(instrument, request_id=f"{_VERSION}-instrument-{instrument.instrument_id}")


def _load_history(client: Client) -> None:
    history = simulated_history()
    client.import_history(history.dates, history.columns)


def _load_snapshot(client: Client) -> None:
    client.publish_snapshot(AS_OF, todays_levels(), todays_marks())


def _load_institutions(client: Client) -> None:
    for institution in INSTITUTIONS:
        key = f"{_VERSION}-client-{institution.client_id}"
        client.create_client(institution.client_id, institution.display_name, request_id=key)
    for institution, account, name in account_names():
        _load_account(client, institution, account, name)


def _load_account(client: Client, institution: Institution, account: DemoAccount, name: str) -> None:
    key = f"{_VERSION}-{institution.client_id}-{account.account_id}"
    parent = institution.name_of(account.parent) if account.parent else ""
    client.create_account(name, account.display_name, parent_account=parent, request_id=f"{key}-account")
    for asset, quantity in account.deposits.items():
        client.deposit(name, asset, quantity, received_at=_DONE_AT, reference=f"{_VERSION} collateral", request_id=f"{key}-deposit-{asset}")
    for asset in account.pledged:
        client.set_policy(name, asset, PLEDGED, request_id=f"{key}-policy-{asset}")
    response = client.record_trades(name, [_executed(item) for item in account.trades], request_id=f"{key}-trades")
    refused = [outcome.refusal.message for outcome in response.outcomes if outcome.HasField("refusal")]
    if refused:
        raise CommandError(f"trades of {name} were refused: {'; '.join(refused)}")


def _executed(item: DemoTrade) -> book_service_pb2.Trade:
    return trade(
        item.instrument_id, item.quantity, item.price, executed_at=_DONE_AT, settlement=item.settlement, book=item.book, reference=_VERSION
    )
