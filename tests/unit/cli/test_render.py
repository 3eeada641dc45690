"""What is printed: the right figures in the right places, in colour for people and plain in a pipe."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.margin_views import bridge_table, contribution_table, margin_table, netting_sentence
from crossmargin_cli.render import PIPE_WIDTH, bar, console_on, counted, money, percent, segment, short_account
from crossmargin_cli.whatif import preview_table, verdict


def margin(
    *, account="clients/alpha/accounts/core", equity="1000000.10", initial="750000", maintenance="600000", utilization="0.6", band="WATCH"
):
    return margin_service_pb2.Margin(
        stamp=margin_service_pb2.MarginStamp(account=account),
        equity=margin_service_pb2.EquityBridge(equity=equity),
        requirement=margin_service_pb2.RequirementBridge(
            gross="2000000",
            netting_inside_groups="1000000",
            netting_inside_classes="300000",
            netting_across_classes="100000",
            market_requirement="600000",
            maintenance_margin=maintenance,
            initial_margin=initial,
            netting_benefit="1400000",
            netting_benefit_fraction="0.7",
        ),
        utilization=utilization,
        band=margin_service_pb2.Band.Value(f"BAND_{band}"),
        excess_to_initial=str(Decimal(equity) - Decimal(initial)),
    )


def printed(renderable, console=None):
    stream = io.StringIO()
    console = console or Console(file=stream, width=PIPE_WIDTH)
    console.file = stream
    console.print(renderable)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("amount", "places", "signed", "text"),
    [
        ("1234567.5", 0, False, "1,234,568"),
        ("-1234567.891", 2, False, "-1,234,567.89"),
        ("0", 2, True, "0.00"),
        ("-0.001", 2, True, "0.00"),
        ("12.345", 2, True, "+12.34"),
    ],
)
def test_money_has_thousands_separated(amount, places, signed, text):
    assert money(Decimal(amount), places=places, signed=signed) == text


def test_a_utilization_without_equity_is_not_a_number():
    assert percent(Decimal("inf")) == "no equity"
    assert percent(Decimal("0.2345"), signed=True) == "+23.4%"


def test_small_words():
    assert short_account("clients/alpha/accounts/core") == "alpha/core"
    assert (counted(1, "trade"), counted(0, "trade")) == ("1 trade", "0 trades")


def test_a_bridge_shows_every_charge_and_what_only_new_risk_has_to_cover():
    requirement = margin(maintenance="640000", initial="830000").requirement
    assert "initial margin" not in printed(bridge_table(console_on(io.StringIO()), requirement))
    requirement.charges.add(name="liquidity", amount="25000")
    requirement.charges.add(name="wrong-way", amount="15000")
    requirement.initial_only.add(name="depeg", amount="30000")
    lines = [" ".join(line.split()) for line in printed(bridge_table(console_on(io.StringIO()), requirement)).splitlines()]
    assert "+ charge: liquidity 25,000" in lines
    assert "+ charge: wrong-way 15,000" in lines
    assert any(line.startswith("= maintenance margin 640,000") for line in lines)
    assert lines[-3:] == ["multiple of it, for new risk 800,000", "+ new risk only: depeg 30,000", "= initial margin 830,000"]


def test_a_table_of_accounts_shows_each_figure_once_on_its_line():
    text = printed(
        margin_table(
            console_on(io.StringIO()), [margin(), margin(account="clients/beta/accounts/core", utilization="inf", band="LIQUIDATION")]
        )
    )
    (alpha,) = [line for line in text.splitlines() if line.startswith("alpha/core")]
    (beta,) = [line for line in text.splitlines() if line.startswith("beta/core")]
    assert alpha.split() == ["alpha/core", "1,000,000", "750,000", "600,000", "██████░░░░", "60.0%", "watch"]
    assert beta.split()[-4:] == ["██████████", "no", "equity", "liquidation"]


def test_figures_of_a_column_end_below_one_another():
    lines = printed(margin_table(console_on(io.StringIO()), [margin(equity="1"), margin(equity="123456789012")])).splitlines()
    first, second = lines[-2:]
    assert first.index("1 ") + 1 == second.index("123,456,789,012") + len("123,456,789,012")


def test_a_table_too_wide_for_a_hundred_columns_folds_names_and_never_figures():
    figure = "123456789012"
    name = "clients/institution-with-a-name/accounts/core"
    wide = margin(account=name, equity=figure, initial=figure, maintenance=figure, utilization="12.3456", band="LIQUIDATION")
    text = printed(margin_table(console_on(io.StringIO()), [wide]))
    assert max(map(len, text.splitlines())) <= PIPE_WIDTH
    assert text.count("123,456,789,012") == 3
    assert "1234.6%" in text
    assert "liquidation" in text
    assert "".join(line.split(" ")[0] for line in text.splitlines()[2:]) == "institution-with-a-name/core"


def test_the_bridge_goes_down_from_gross_to_the_requirement_without_gaps():
    lines = printed(bridge_table(console_on(io.StringIO()), margin().requirement)).splitlines()
    figures = [next(word for word in reversed(line.split()) if word[-1].isdigit()) for line in lines]
    assert figures == ["2,000,000", "-1,000,000", "-300,000", "-100,000", "600,000"]
    ends = [(len(line.rstrip()), line.rstrip().count("░")) for line in lines]
    assert ends[1][1:] == (16,)
    assert sum(removed for _, removed in ends) + lines[-1].count("█") == lines[0].count("█") == 32


def test_a_sentence_says_what_netting_freed():
    assert netting_sentence(margin().requirement) == "Netting freed $1,400,000 (70.0%)."


def test_a_step_too_small_to_see_is_still_there():
    console = console_on(io.StringIO())
    assert segment(console, Decimal("0.999"), Decimal(1), width=10).plain.strip() == "█"
    assert segment(console, Decimal("0.5"), Decimal("0.5"), width=10).plain.strip() == ""


def test_a_console_that_knows_ascii_only_is_given_ascii_only():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = console_on(stream)
    console.print(margin_table(console, [margin()]))
    console.print(bridge_table(console, margin().requirement))
    console.print(bar(console, Decimal("0.5"), width=4))
    stream.flush()
    assert b"##.." in stream.buffer.getvalue()


def test_a_pipe_gets_no_colour_and_a_terminal_does(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    table = margin_table(console_on(io.StringIO()), [margin()])
    assert "\x1b" not in printed(table, console_on(io.StringIO()))
    assert "\x1b[33m" in printed(table, Console(force_terminal=True, color_system="standard", width=100))


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[33m" not in printed(margin_table(console_on(io.StringIO()), [margin()]), Console(force_terminal=True, width=100))


def test_contributions_that_are_nothing_are_left_out():
    contributions = [
        margin_service_pb2.Contribution(instrument_id="BTC", amount="700000"),
        margin_service_pb2.Contribution(instrument_id="USD", amount="0"),
        margin_service_pb2.Contribution(instrument_id="BTC-F", amount="-100000"),
    ]
    text = printed(contribution_table(contributions, Decimal(600_000)))
    assert "USD  " not in text.split("──")[-1]
    assert "-16.7%" in text


def preview(*, acceptable, after_equity="1000000.10", after_initial="900000"):
    return margin_service_pb2.PreviewTradesResponse(
        before=margin(), after=margin(equity=after_equity, initial=after_initial, utilization="0.72", band="AT_RISK"), acceptable=acceptable
    )


def test_a_preview_shows_before_after_and_difference():
    lines = {line.split("  ")[0].strip(): line.split() for line in printed(preview_table(preview(acceptable=True))).splitlines()}
    assert lines["initial margin"][-3:] == ["750,000.00", "900,000.00", "+150,000.00"]
    assert lines["utilization"][-3:] == ["60.0%", "72.0%", "+12.0%"]
    assert lines["band"][1:] == ["watch", "at", "risk"]


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (preview(acceptable=True), "Acceptable: equity would exceed the initial margin by $100,000."),
        (
            preview(acceptable=False, after_initial="1200000"),
            "Not acceptable: equity would be $200,000 short of the initial margin, which the trades raise by $450,000.",
        ),
        (
            preview(acceptable=True, after_equity="500000", after_initial="700000"),
            "Acceptable: the trades do not raise the initial margin, of which equity stays short.",
        ),
    ],
)
def test_a_verdict_says_why(seen, sentence):
    assert verdict(seen) == sentence
