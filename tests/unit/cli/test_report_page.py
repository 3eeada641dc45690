"""The statement of a client: what is on the page, and that nothing on it is more than text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from crossmargin.api.v1 import account_service_pb2, book_service_pb2, collateral_service_pb2, margin_service_pb2
from crossmargin_cli.report_drawings import HistoryPoint, Step, bars_drawing, bridge_drawing, history_drawing, utilization_drawing
from crossmargin_cli.report_page import MOST_ENTRIES, AccountStatement, ClientStatement, statement_page
from tests.unit.cli.test_render import margin

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
CORE = "clients/alpha/accounts/core"


class Read(HTMLParser):
    """What a browser sees of a page: its tags with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data + "\n"


def an_account(**changes):
    found = margin(account=CORE, utilization="0.75", band="AT_RISK", equity="1000000", maintenance="750000")
    found.requirement.MergeFrom(
        margin_service_pb2.RequirementBridge(
            gross="900000",
            netting_inside_groups="100000",
            netting_inside_classes="60000",
            netting_across_classes="40000",
            market_requirement="700000",
            charges=[margin_service_pb2.Charge(name="liquidity", amount="50000")],
            initial_margin="937500",
            netting_benefit="200000",
            netting_benefit_fraction="0.2222",
        )
    )
    found.equity.MergeFrom(margin_service_pb2.EquityBridge(collateral="1200000", liabilities="-150000", contract_value="-50000"))
    found.excess_to_initial, found.excess_to_maintenance = "62500", "250000"
    explained = margin_service_pb2.ExplainMarginResponse(
        margin=found,
        contributions=[margin_service_pb2.Contribution(instrument_id="BTC-USD-PERP", amount="750000")],
        worst_scenarios=[margin_service_pb2.WorstScenario(name="Covid, 2020-03-12", stress=True, pnl="-820000")],
        holdings=[
            a_holding("BTC", value="800000", haircut="80000", counted="700000", over="20000"),
            a_holding("RLUSD", value="500000", haircut="0", counted="500000"),
        ],
    )
    settings = {
        "account": account_service_pb2.Account(name=CORE, display_name="Core"),
        "explained": explained,
        "positions": [
            book_service_pb2.Position(book_id="a", instrument_id="BTC-USD-PERP", quantity="12.5", cost="750000"),
            book_service_pb2.Position(book_id="b", instrument_id="BTC-USD-PERP", quantity="-2"),
        ],
        "reservations": [],
        "entries": [an_entry(1)],
    }
    return AccountStatement(**{**settings, **changes})


def a_holding(asset, *, value, haircut, counted, over="0"):
    return collateral_service_pb2.CollateralHolding(
        instrument_id=asset,
        policy=collateral_service_pb2.COLLATERAL_POLICY_PLEDGED,
        quantity="1",
        market_value=value,
        haircut=haircut,
        over_limit=over,
        value_in_equity=counted,
    )


def an_entry(sequence, reference="desk-7"):
    entry = book_service_pb2.Entry(sequence=sequence, kind=book_service_pb2.ENTRY_KIND_TRADE, reference=reference)
    entry.effective_time.FromDatetime(NOON)
    entry.postings.add(ledger_account="core", instrument_id="BTC-USD-PERP", quantity="12.5")
    entry.postings.add(ledger_account="street", instrument_id="BTC-USD-PERP", quantity="-12.5")
    return entry


def a_statement(*accounts, name="Alpha Capital"):
    client = account_service_pb2.Client(client_id="alpha", display_name=name)
    return ClientStatement(client, accounts or [an_account()], date(2026, 3, 2), NOON)


def words_of(*accounts, **changes):
    return " ".join(Read(statement_page(a_statement(*accounts, **changes))).text.split())


def test_the_page_has_the_margin_and_both_bridges_to_it():
    text = words_of()
    for expected in (
        "Alpha Capital",
        "made 2026-03-02 12:00:00 UTC",
        "at risk",
        "75.0%",
        "collateral, after haircuts and limits +1,200,000",
        "liabilities -150,000",
        "value of contracts -50,000",
        "equity 1,000,000",
        "gross: each position alone +900,000",
        "offsets inside an underlying -100,000",
        "charge: liquidity +50,000",
        "maintenance margin 750,000",
        "for new risk +187,500",
        "initial margin 937,500",
        "Covid, 2020-03-12 -820,000",
    ):
        assert expected in text


def test_haircuts_are_shown_with_their_rate_and_added_up():
    text = words_of()
    assert "BTC pledged 1 800,000 80,000 10.0% 20,000 700,000" in text
    assert "Total 1,300,000 80,000 20,000 1,200,000" in text


def test_positions_name_what_they_add_and_an_instrument_in_two_books_adds_once():
    text = words_of()
    assert "BTC-USD-PERP a 12.5 750,000.00 750,000" in text
    assert "BTC-USD-PERP b -2 Entries" in text.replace("Entries written", "Entries")


def test_entries_show_what_the_account_received_and_not_the_other_leg():
    text = words_of()
    assert "1 2026-03-02 12:00:00 trade desk-7 +12.5 BTC-USD-PERP" in text
    assert "-12.5" not in text


def test_a_day_with_very_many_entries_says_how_many_are_left_out():
    text = words_of(an_account(entries=[an_entry(number) for number in range(1, MOST_ENTRIES + 3)]))
    assert "And 2 more of the day" in text


def test_only_open_orders_are_listed():
    def a_reservation(number, status):
        order = margin_service_pb2.Order(instrument_id="BTC-USD-PERP", quantity="3", price="92000")
        return margin_service_pb2.Reservation(reservation=number, order=order, filled="1", status=status)

    text = words_of(
        an_account(
            reservations=[
                a_reservation(7, margin_service_pb2.RESERVATION_STATUS_SUSPECT),
                a_reservation(8, margin_service_pb2.RESERVATION_STATUS_FILLED),
            ]
        )
    )
    assert "7 BTC-USD-PERP +3 92,000 1 suspect" in text
    assert "8 BTC-USD-PERP" not in text


def test_an_account_that_cannot_be_margined_says_why_and_shows_the_rest():
    text = words_of(an_account(explained=None, trouble="no level for spot:BTC"))
    assert "Its margin is not known: no level for spot:BTC" in text
    assert "BTC-USD-PERP a 12.5" in text


def test_equity_that_is_gone_has_no_utilization_and_still_a_page():
    account = an_account()
    account.explained.margin.utilization = "inf"
    account.explained.margin.equity.equity = "-5"
    assert "no equity" in words_of(account)


def test_what_somebody_wrote_is_text_and_never_markup():
    account = an_account(
        account=account_service_pb2.Account(name=CORE, display_name=HOSTILE), entries=[an_entry(1, HOSTILE)], trouble=HOSTILE
    )
    account.explained.worst_scenarios[0].name = HOSTILE
    account.explained.margin.requirement.charges[0].name = HOSTILE
    page = Read(statement_page(a_statement(account, an_account(explained=None, trouble=HOSTILE), name=HOSTILE)))
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert page.text.count(HOSTILE) >= 6, "it is all there, as text"


def test_nothing_is_fetched_when_the_page_is_opened():
    page = statement_page(a_statement())
    read = Read(page)
    assert not {"link", "script", "img", "iframe", "object"} & {tag for tag, _ in read.tags}
    assert not [attributes for _, attributes in read.tags if {"src", "href", "srcset"} & set(attributes)]
    assert "url(" not in page
    policies = [attributes["content"] for tag, attributes in read.tags if tag == "meta" and "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_history_is_drawn_where_there_is_any():
    points = [HistoryPoint(NOON + timedelta(hours=hour), Decimal(hour) / 4) for hour in range(8)]
    assert "Utilization over time" in words_of(an_account(history=points))
    assert "Utilization over time" not in words_of(an_account(history=points[:1]))


# Drawings


def numbers(drawing, tag, name):
    return [float(attributes[name]) for found, attributes in Read(drawing).tags if found == tag and name in attributes]


def test_a_bridge_is_drawn_on_one_scale_and_each_step_begins_where_the_last_one_ended():
    steps = [
        Step("gross", Decimal(0), Decimal(100), Decimal(100), "adds"),
        Step("netting", Decimal(100), Decimal(40), Decimal(-60), "frees"),
        Step("rest", Decimal(0), Decimal(40), Decimal(40), "total"),
    ]
    drawing = bridge_drawing(steps)
    lefts, widths = numbers(drawing, "rect", "x"), numbers(drawing, "rect", "width")
    assert widths[1] == pytest.approx(0.6 * widths[0], abs=0.1)
    assert lefts[1] + widths[1] == pytest.approx(lefts[0] + widths[0], abs=0.1)
    assert lefts[1] == pytest.approx(lefts[2] + widths[2], abs=0.1)


def test_the_largest_loss_has_the_longest_bar():
    widths = numbers(bars_drawing([("worst", Decimal(-200)), ("second", Decimal(-50))]), "rect", "width")
    assert widths[1] == pytest.approx(widths[0] / 4, abs=0.1)


@pytest.mark.parametrize(("utilization", "place"), [("0", 0), ("0.6", 360), ("1.2", 720), ("7", 720), ("inf", 720)])
def test_the_mark_stands_at_the_utilization_and_at_the_end_beyond_it(utilization, place):
    assert f'd="M{place:.1f} 30' in utilization_drawing(Decimal(utilization))


def test_of_very_many_points_the_worst_are_drawn_and_the_last():
    points = [HistoryPoint(NOON + timedelta(seconds=second), Decimal("0.3")) for second in range(20_000)]
    points[7_003] = HistoryPoint(points[7_003].at, Decimal(2))
    (line,) = (attributes["points"] for tag, attributes in Read(history_drawing(points)).tags if tag == "polyline")
    drawn = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(drawn) < 800
    assert min(y for _, y in drawn) == 10.0, "a single peak is not lost"
    assert drawn[-1][0] == 720.0


def test_history_goes_from_left_to_right_and_up_with_utilization():
    drawing = history_drawing([HistoryPoint(NOON, Decimal("0.2")), HistoryPoint(NOON + timedelta(hours=1), Decimal("inf"))])
    (line,) = (attributes["points"] for tag, attributes in Read(drawing).tags if tag == "polyline")
    (x0, y0), (x1, y1) = (map(float, point.split(",")) for point in line.split())
    assert x0 < x1
    assert y0 > y1 >= 0, "what cannot be drawn is drawn at the top"


@pytest.mark.parametrize(
    ("span", "first", "second"),
    [
        (timedelta(minutes=4), "03-02 12:00:00", "03-02 12:01:00"),
        (timedelta(minutes=12), "03-02 12:00", "03-02 12:03"),
        (timedelta(days=8), "2026-03-02", "2026-03-04"),
    ],
)
def test_times_below_a_history_tell_themselves_apart(span, first, second):
    drawing = history_drawing([HistoryPoint(NOON, Decimal("0.2")), HistoryPoint(NOON + span, Decimal("0.3"))])
    assert f">{first}<" in drawing
    assert f">{second}<" in drawing
