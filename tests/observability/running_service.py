"""What a really running service tells Prometheus once it has seen calls, a house, and an account that cannot be margined."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from crossmargin_cli.demo_data.loading import load_demo
from crossmargin_cli.demo_data.market import AS_OF, todays_levels, todays_marks
from crossmargin_client import Client, CrossmarginError, values
from tests.integration.command_line import wait_until
from tests.integration.test_serve import serving

_LAST_TO_COME = (
    "crossmargin_accounts_failed{",
    "crossmargin_halt_timestamp_seconds{",
    "crossmargin_margin_call_due_timestamp_seconds{",
    "crossmargin_doubted_level_timestamp_seconds{",
    "crossmargin_projected_utilization_ratio{",
    "crossmargin_liquidation_expiry_timestamp_seconds{",
)
_UNMARGINED = "clients/omega/accounts/core"
_CALLED = "clients/sigma/accounts/core"


@contextmanager
def observed_service(data_dir: Path) -> Iterator[list[Metric]]:
    """Yield the families scraped from a service that has seen everything that has a metric."""
    with serving(data_dir) as (_, addresses):
        with Client(addresses["grpc_address"]) as client:
            load_demo(client, report=lambda _: None)
            _book_what_has_no_price(client)
            _buy_more_than_is_borne(client)
            _agree_to_a_liquidation(addresses["grpc_address"])
            _quote_what_cannot_be(client)
            client.get_margin("clients/meridian-basis/accounts/core")
            client.halt("Its owner asked for it.", client_id="omega", request_id="halt")
            with suppress(CrossmarginError):
                client.get_margin("clients/nobody/accounts/core")
        wait_until(lambda: _has_all(_scrape(addresses), *_LAST_TO_COME))
        yield families(_scrape(addresses))


def families(text: str) -> list[Metric]:
    """Return the families of a scrape, without those that only say since when something is counted."""
    return [family for family in text_string_to_metric_families(text) if not family.name.endswith("_created")]


def _book_what_has_no_price(client: Client) -> None:
    client.create_client("omega", "Omega")
    client.create_account(_UNMARGINED, "Core")
    client.create_instrument(values.cash("NOK"))
    client.deposit(_UNMARGINED, "NOK", 1_000, received_at=datetime(2026, 11, 20, tzinfo=UTC), request_id="without-price")


def _buy_more_than_is_borne(client: Client) -> None:
    client.create_client("sigma", "Sigma")
    client.create_account(_CALLED, "Core")
    bought_at = datetime(2026, 11, 20, tzinfo=UTC)
    client.deposit(_CALLED, "USD", 1_000, received_at=bought_at, request_id="too-little")
    client.record_trades(_CALLED, [values.trade("BTC-USD-PERP", 1, 90_000, executed_at=bought_at)], request_id="too-much")


def _agree_to_a_liquidation(address: str) -> None:
    """Let two persons approve of what closes the account that bought too much, the second one on a newer market."""
    with Client(address, principal="alice") as alice, Client(address, principal="bob") as bob:
        plan = alice.plan_liquidation(_CALLED).plan
        proposed = alice.approve_liquidation(plan, request_id="propose")
        bob.publish_snapshot(AS_OF + timedelta(minutes=1), todays_levels(), todays_marks())
        bob.approve_liquidation(plan, confirms=proposed.pending_request.pending_id, request_id="approve")


def _quote_what_cannot_be(client: Client) -> None:
    seen = datetime.now(tz=UTC)
    quotes = [values.quote("spot:BTC", 0, sequence=number, observed_at=seen) for number in (1, 3)]
    jump = values.quote("spot:ETH", 1, sequence=4, observed_at=seen)
    client.publish_quotes("exchange-a", [*quotes, jump])


def _has_all(page: str, *words: str) -> bool:
    return all(word in page for word in words)


def _scrape(addresses: dict[str, str]) -> str:
    with urlopen(f"http://{addresses['admin_address']}/metrics") as answer:
        return answer.read().decode()
