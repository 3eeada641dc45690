"""What happens beside the demo's market while somebody watches: callers, orders, a halt, and a feed that lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from threading import Event, Thread
from time import monotonic

from crossmargin.api.v1.risk_service_pb2 import LiquidationPlan
from crossmargin_cli.demo_data.market import moved
from crossmargin_client import Client, CrossmarginError, PreconditionFailed, QuotePublisher, order, trade, values

_BASIS = "clients/meridian-basis/accounts/core"
_PAIRS = "clients/parallax-pairs/accounts/core"
_VOLATILITY = "clients/lattice-vol/accounts/core"
_DIRECTIONAL = "clients/summit-directional/accounts/core"
_UNMARGINED = "clients/omega/accounts/core"
_RUINED = "clients/sigma/accounts/core"
_WATCHED = (_BASIS, _PAIRS, _VOLATILITY, "clients/harbour-macro/accounts/core", "clients/summit-directional/accounts/satellite")
_CALL_EVERY_S = 0.2
_QUOTE_EVERY_S = 2.0
_SLIPPED = Decimal("0.985")
_SEED = 20261128
_PATIENCE_S = 30.0
_LOT_PLACES = 3
"""Of the perpetual in bitcoin."""


@dataclass(frozen=True)
class Incident:
    """Something that happens once a share of the time has passed.

    Attributes:
        what: A sentence for whoever reads the panels.
    """

    share: float
    what: str
    act: Callable[[Client], object]


def play(target: str, duration_s: float, *, report: Callable[[str], None]) -> None:
    """Play the incidents and keep calling and quoting beside them, until the time is over; `report` is told of each."""
    began = monotonic()
    over = Event()

    def share() -> float:
        return (monotonic() - began) / duration_s

    with (
        _beside(over, _CALL_EVERY_S, target, _Caller()),
        _beside(over, _QUOTE_EVERY_S, target, _Feeds(share)),
        Client(target, timeout_s=_PATIENCE_S) as client,
    ):
        for incident in INCIDENTS:
            over.wait(max(0.0, incident.share * duration_s - (monotonic() - began)))
            incident.act(client)
            report(f"{monotonic() - began:5.0f} s  {incident.what}")
        over.wait(max(0.0, duration_s - (monotonic() - began)))
        over.set()


@contextmanager
def _beside(over: Event, pause_s: float, target: str, act: Callable[[Client], None]) -> Iterator[None]:
    """Act again and again on a thread and a connection of its own until it is over; what went wrong there is raised here."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with Client(target, timeout_s=_PATIENCE_S) as client:
                while not over.wait(pause_s):
                    act(client)
        except BaseException as error:  # noqa: BLE001 - raised where somebody sees it
            failures.append(error)

    thread = Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failures:
        raise failures[0]


class _Caller:
    """Somebody who asks for margins, previews a trade now and then, and mistakes a name."""

    def __init__(self) -> None:
        self._turn = 0

    def __call__(self, client: Client) -> None:
        self._turn += 1
        account = _WATCHED[self._turn % len(_WATCHED)]
        client.get_margin(account)
        client.list_positions(account)
        if self._turn % 10 == 0:
            client.preview_trades(_BASIS, [trade("BTC-USD-PERP", "5", "91000", executed_at=datetime.now(UTC))])
        if self._turn % 15 == 0:
            _refused(lambda: client.get_margin("clients/nobody/accounts/core"))
        if self._turn % 40 == 0:
            _refused(lambda: client.reserve_margin(_BASIS, _order("9000")))


class _Feeds:
    """Two sources that quote on from the demo's market after a third of the time, one of which goes bad.

    From the middle on nobody quotes AVAX, so that its level grows stale; late in each quarter the second source is far off in XRP; from 0.6
    on both say that RLUSD has slipped.
    """

    def __init__(self, share: Callable[[], float]) -> None:
        self._share = share
        self._random = Random(_SEED)  # noqa: S311 - a market, not a secret
        self._turn = 0

    def __call__(self, client: Client) -> None:
        share = self._share()
        if share < 1 / 3:
            return
        self._turn += 1
        snapshot = client.get_snapshot().snapshot
        levels, marks = moved(snapshot.levels, snapshot.marks, self._random)
        said = {name: value for name, value in {**levels, **marks}.items() if share < 0.5 or name != "spot:AVAX"}
        if share > 0.6:
            said["spot:RLUSD"] = _SLIPPED
        _publish(client, "exchange-a", said)
        _publish(client, "exchange-b", _far_off(said) if share % 0.25 > 0.15 else said)
        if self._turn % 5 == 0:
            _say_nonsense(client, "exchange-b")


def _publish(client: Client, source: str, said: dict[str, Decimal]) -> None:
    QuotePublisher(client, source).publish(said)


def _far_off(said: dict[str, Decimal]) -> dict[str, Decimal]:
    return {name: value * Decimal("1.3") if "XRP" in name else value for name, value in said.items()}


def _say_nonsense(client: Client, source: str) -> None:
    """Quote what cannot be, after a gap in the sequence."""
    (answer,) = client.publish_quotes(source, [])
    sequence = answer.acknowledged_sequence + 4
    client.publish_quotes(source, [values.quote("spot:BTC", 0, sequence=sequence, observed_at=datetime.now(UTC))])


def _order(quantity: str, *, lifetime_s: int = 600) -> object:
    return order("BTC-USD-PERP", quantity, "92000", lifetime=timedelta(seconds=lifetime_s))


def _reserve(client: Client, account: str, quantity: str, lifetime_s: int = 600) -> None:
    client.reserve_margin(account, _order(quantity, lifetime_s=lifetime_s))


def _refused(act: Callable[[], object]) -> None:
    with suppress(CrossmarginError):
        act()
        raise AssertionError("this should have been refused")


def _refused_reservation(client: Client) -> None:
    _refused(partial(_reserve, client, _PAIRS, "1"))


def _halt(client: Client) -> None:
    client.halt("Its owner asked for it.", client_id="parallax-pairs")


def _breach_limit(client: Client) -> None:
    limits = values.exposure_limits(_DIRECTIONAL, gross="1")
    asked = client.set_limits(limits).pending_request
    with Client(client.target, principal="second-person", timeout_s=_PATIENCE_S) as second:
        second.set_limits(limits, confirms=asked.pending_id)
    client.record_trades(_DIRECTIONAL, [trade("BTC-USD-PERP", "1", "91500", executed_at=datetime.now(UTC))])


def _buy_into_a_call(client: Client) -> None:
    client.record_trades(_DIRECTIONAL, [trade("BTC-USD-PERP", "40", "91500", executed_at=datetime.now(UTC))])


def _buy_more_than_is_borne(client: Client) -> None:
    client.create_client("sigma", "Sigma")
    client.create_account(_RUINED, "Core")
    bought_at = datetime.now(UTC)
    client.deposit(_RUINED, "USD", 20_000, received_at=bought_at)
    client.record_trades(_RUINED, [trade("BTC-USD-PERP", "4", "91500", executed_at=bought_at)])


def _liquidate(client: Client) -> None:
    """Agree to it, and report that a quarter of the first order is sold at the limit; planned again when the market runs off."""
    until = monotonic() + _PATIENCE_S
    while True:
        try:
            plan = client.plan_liquidation(_RUINED).plan
            liquidation_id = _approve(client, plan)
            first = plan.pieces[0].trades[0]
            sold = trade(
                first.instrument_id, round(Decimal(first.quantity) / 4, _LOT_PLACES), first.limit_price, executed_at=datetime.now(UTC)
            )
            client.report_liquidation(_RUINED, liquidation_id, [sold])
        except PreconditionFailed:
            if monotonic() > until:
                raise
        else:
            return


def _approve(client: Client, plan: LiquidationPlan) -> str:
    """Have a second person approve, on a newer market than the plan's; return the liquidation's name."""
    proposed = client.approve_liquidation(plan).pending_request
    until = monotonic() + _PATIENCE_S
    while client.get_snapshot().snapshot.as_of_time.ToDatetime() <= plan.as_of.ToDatetime() and monotonic() < until:
        Event().wait(_CALL_EVERY_S)
    with Client(client.target, principal="second-person", timeout_s=_PATIENCE_S) as second:
        return second.approve_liquidation(plan, confirms=proposed.pending_id).liquidation_id


def _book_what_has_no_price(client: Client) -> None:
    client.create_client("omega", "Omega")
    client.create_account(_UNMARGINED, "Core")
    client.create_instrument(values.cash("NOK"))
    client.deposit(_UNMARGINED, "NOK", 1_000, received_at=datetime.now(UTC) - timedelta(minutes=1))


INCIDENTS: Sequence[Incident] = (
    Incident(0.04, "an order of meridian-basis is open for ten minutes", lambda client: _reserve(client, _BASIS, "2")),
    Incident(0.06, "another is over after a second, and nobody says what became of it", lambda client: _reserve(client, _BASIS, "1", 1)),
    Incident(0.12, "parallax-pairs is halted", _halt),
    Incident(0.14, "an order of parallax-pairs is refused", _refused_reservation),
    Incident(0.20, "a trade of summit-directional breaches a limit: a fact, booked and flagged", _breach_limit),
    Incident(0.25, "omega deposits what has no price", _book_what_has_no_price),
    Incident(0.30, "summit-directional buys so much that its margin is called", _buy_into_a_call),
    Incident(0.31, "sigma buys more than it can bear", _buy_more_than_is_borne),
    Incident(1 / 3, "two sources begin to quote; now and then one of them says what cannot be", lambda _: None),
    Incident(0.36, "two persons agree to liquidate sigma, and a quarter of the first order is sold", _liquidate),
    Incident(0.4, "exchange-b is 30% off in XRP for a while, and again in each quarter", lambda _: None),
    Incident(0.5, "nobody quotes AVAX any more", lambda _: None),
    Incident(0.6, "RLUSD slips to 0.985", lambda _: None),
)
