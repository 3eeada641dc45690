"""A day of one account through the real service, and its statement to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import margin_call_service_pb2 as calls_pb
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin_cli.demo_data.market import LAST_DAY, simulated_history, todays_levels
from crossmargin_client import CALL, CASH_PAID, Client, PreconditionFailed, add_up, decimal_of, lifecycle, order, trade, values
from tests.integration.command_line import wait_until
from tests.integration.test_serve import serving

D = Decimal
CORE = "clients/alpha/accounts/core"
BUCKET = "clients/alpha/accounts/bucket"
TODAY = date(2026, 3, 2)
PERP, BOND, OPTION = "BTC-USD-PERP", "UST-2031-03-02", "BTC-2MAR26-95000-C"
TROUBLED = frozenset({margin_pb.BAND_MARGIN_CALL, margin_pb.BAND_LIQUIDATION})


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


@pytest.fixture
def client(tmp_path):
    """A service with a database of its own, a market of today's morning, and one account without holdings."""
    with serving(tmp_path) as (_, addresses), Client(addresses["grpc_address"]) as client:
        for instrument in (
            values.cash("USD", collateral_class="USD"),
            values.crypto_asset("BTC", collateral_class="BTC"),
            values.stablecoin("RLUSD", pegged_to="USD", issuer="Ripple", collateral_class="REGULATED_STABLECOIN"),
            values.perpetual(PERP, underlying="BTC", settlement="USD"),
            values.fixed_rate_bond(
                BOND,
                settlement="USD",
                coupon_rate="0.0425",
                coupons_per_year=2,
                issued_on=date(2021, 3, 2),
                matures_on=date(2031, 3, 2),
                collateral_class="TREASURY",
            ),
            values.european_option(
                OPTION, underlying="BTC", settlement="USD", right=CALL, strike=95_000, expires_at=at(8), premium=CASH_PAID
            ),
        ):
            client.create_instrument(instrument)
        history = simulated_history()
        client.import_history([day - (LAST_DAY - TODAY) for day in history.dates], history.columns)
        publish(client, at(7), "91400")
        client.create_client("alpha", "Alpha")
        client.create_account(CORE, "Core")
        client.create_account(BUCKET, "Bucket", parent_account=CORE)
        yield client


def publish(client: Client, moment: datetime, bitcoin: str) -> None:
    client.publish_snapshot(moment, todays_levels() | {"spot:BTC": D(bitcoin)})


def book(client: Client, *deals: books_pb.Trade) -> list[int]:
    return [outcome.sequence for outcome in client.record_trades(CORE, deals).outcomes]


def apply(client: Client, event: books_pb.LifecycleEvent) -> dict[str, Decimal]:
    """What the account received and gave."""
    outcome, last = client.apply_lifecycle_event(event)
    assert last.summary.booked == 1
    return {amount.instrument_id: decimal_of(amount.quantity) for amount in outcome.outcome.amounts}


def last_call(client: Client) -> calls_pb.MarginCall:
    """The only call of the day, open or closed."""
    (call,) = client.list_calls(CORE)
    return call


def equity(client: Client) -> Decimal:
    return decimal_of(client.get_margin(CORE).equity.equity)


def test_a_day_adds_up_to_the_cent(client):
    usd = D(0)

    # Morning: collateral and trades, one of them a mistake.
    client.deposit(CORE, "USD", "1000000", received_at=at(7))
    usd += 1_000_000
    *_, spot, wrong = book(
        client,
        trade(PERP, 5, "90000.5", executed_at=at(7, 5)),
        trade(BOND, 500_000, "98.515625", executed_at=at(7, 6)),
        trade(OPTION, 2, "150.25", executed_at=at(7, 7)),
        trade("BTC", 1, "91400", settlement="USD", executed_at=at(7, 8), settle_date=TODAY),
        trade(PERP, 500, "90000", executed_at=at(7, 9), reference="fat finger"),
    )
    usd -= D("492578.125") + D("300.5") + 91_400
    client.cancel_trade(CORE, wrong, reason="fat finger")
    assert [booked.cancelled_by_seq for booked in client.list_trades(CORE, instrument_id=PERP)] == [0, wrong + 1]

    # An order for two more is approved, its margin held, and it fills in two parts.
    reserved = client.reserve_margin(CORE, order(PERP, 2, "90500", lifetime=timedelta(hours=1))).reservation.reservation
    for part, minute in ((D("0.5"), 10), (D("1.5"), 11)):
        (filled,) = client.record_trades(CORE, [trade(PERP, part, "90500", executed_at=at(7, minute), reservation=reserved)]).outcomes
        assert filled.sequence
    assert [one.reservation for one in client.list_reservations(CORE)] == [reserved]

    # Eight o'clock: the option ends, funding and a coupon are due. Until the end is booked the account has no margin, and is told why.
    publish(client, at(8), "91400")
    with pytest.raises(PreconditionFailed) as refused:
        client.get_margin(CORE)
    assert (refused.value.reason, refused.value.metadata["missing_event"]) == ("INSTRUMENT_EXPIRED", "expiry or exercise")
    assert apply(client, lifecycle.expiry(OPTION, "91400", at=at(8))) == {OPTION: D(-2)}
    assert apply(client, lifecycle.funding(PERP, "0.0001", "91400", at=at(8))) == {"USD": D("-63.98")}
    assert apply(client, lifecycle.coupon(BOND, TODAY, at=at(8))) == {"USD": D("10625")}
    usd += D("10625") - D("63.98")

    # Noon: the perpetual's profit is paid. Its form changes and not the account's value.
    before = equity(client)
    mark = D("91400")
    profit = 5 * (mark - D("90000.5")) + 2 * (mark - 90_500)
    assert apply(client, lifecycle.variation(PERP, mark, at=at(12))) == {"USD": profit}
    usd += profit
    assert equity(client) == before

    # What the street owed is delivered.
    (settled,) = client.settle_trades(TODAY)
    assert list(settled.trade_seqs) == [spot]
    assert equity(client) == before

    # Afternoon: more risk than is good, a fall, and a call that is met with RLUSD in two parts.
    book(client, trade(PERP, 35, mark, executed_at=at(13)))
    publish(client, at(14), "85000")
    margin = client.get_margin(CORE)
    assert margin.band in TROUBLED
    need = decimal_of(margin.requirement.maintenance_margin) / D("0.75") - decimal_of(margin.equity.equity)
    stablecoins = (need / D("0.9")).quantize(D(1))
    wait_until(lambda: list(client.list_calls(CORE, only_open=True)))
    call = client.acknowledge_call(CORE, 1, "RLUSD is on its way") if margin.band == margin_pb.BAND_MARGIN_CALL else last_call(client)
    assert decimal_of(call.amount) >= decimal_of(margin.requirement.maintenance_margin) / D("0.8") - decimal_of(margin.equity.equity)
    client.deposit(CORE, "RLUSD", stablecoins // 4, received_at=at(14, 30))
    wait_until(lambda: 0 < decimal_of(last_call(client).met) < decimal_of(last_call(client).amount))
    client.deposit(CORE, "RLUSD", stablecoins - stablecoins // 4, received_at=at(15))
    assert client.get_margin(CORE).band not in TROUBLED
    wait_until(lambda: last_call(client).state == calls_pb.CALL_STATE_MET)
    kinds = [notice.kind for notice in client.get_call(CORE, 1).notices]
    assert (kinds[0], kinds[-1]) == (calls_pb.CALL_NOTICE_KIND_ISSUED, calls_pb.CALL_NOTICE_KIND_MET)
    assert calls_pb.CALL_NOTICE_KIND_PARTIALLY_MET in kinds

    # What met the call may not leave; when the market has recovered, what is not needed may.
    with pytest.raises(PreconditionFailed) as refused:
        client.withdraw(CORE, "RLUSD", stablecoins)
    assert refused.value.reason in {"INSUFFICIENT_MARGIN", "INSUFFICIENT_HOLDING"}
    publish(client, at(16), "93000")
    client.withdraw(CORE, "RLUSD", 1_000)
    client.transfer(CORE, BUCKET, "USD", "20000.25")
    usd -= D("20000.25")
    bucket = {position.instrument_id: position.quantity for position in client.list_positions(BUCKET).positions}
    assert bucket == {"USD": "20000.25"}

    # Evening: the statement. The service wrote all of it today, by its own clock.
    day = datetime.now(UTC).date()
    statement = client.get_statement(CORE, day)
    if statement.opening_seq:  # midnight came while the test ran
        statement = client.get_statement(CORE, day - timedelta(days=1))
    entries = [entry for entry in client.list_entries(CORE) if statement.opening_seq < entry.sequence <= statement.closing_seq]
    lines = {line.instrument_id: line for line in add_up(statement, entries)}
    assert {name: line.closing for name, line in lines.items()} == {
        "BTC": D(1),
        "RLUSD": stablecoins - 1_000,
        "USD": usd,
        BOND: D(500_000),
        OPTION: D(0),
        PERP: D(42),
    }
    assert usd == D("415079.645")
    assert lines[PERP].closing_cost == 7 * mark + 35 * mark
    assert [books_pb.EntryKind.Name(entry.kind).removeprefix("ENTRY_KIND_") for entry in entries] == [
        "DEPOSIT", "TRADE", "TRADE", "TRADE", "TRADE", "TRADE", "TRADE_CANCELLATION", "RESERVATION", "TRADE", "RESERVATION_FILL", "TRADE",
        "RESERVATION_FILL", "EXPIRY", "FUNDING", "COUPON", "VARIATION", "SETTLEMENT", "TRADE", "DEPOSIT", "DEPOSIT", "WITHDRAWAL",
        "TRANSFER",
    ]  # fmt: skip
