"""Stresses as tables, sentences and plots."""

from __future__ import annotations

import io

from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.stress_plots import figure_of, write_plots
from crossmargin_cli.stress_views import account_table, failure_lines, house_table, plausibility_lines, reverse_table, worst_tables

CORE, RUINED = "clients/alpha/accounts/core", "clients/beta/accounts/core"
PLAN = pb.StressPlan(
    scenarios=["crash", "rally"],
    account_count=2,
    snapshot_id="ab" * 16,
    parameter_set_id="standard-1",
    parameters_hash="cd" * 32,
    scenario_set_hash="ef" * 32,
    engine_version="9",
)


def stood(equity: str, margin: str, utilization: str, band: int) -> pb.StressStanding:
    return pb.StressStanding(equity=equity, maintenance_margin=margin, utilization=utilization, band=band)


REST = stood("1000000", "500000", "0.5", margin_service_pb2.BAND_HEALTHY)
FALLEN = pb.AccountStress(
    account=RUINED,
    before=REST,
    after=stood("-250000.5", "500000", "inf", margin_service_pb2.BAND_LIQUIDATION),
    pnl="-1250000.5",
    broker_loss="250000.5",
)
SAFE = pb.AccountStress(
    account=CORE, before=REST, after=stood("900000", "500000", "0.555556", margin_service_pb2.BAND_HEALTHY), pnl="-100000", broker_loss="0"
)
CRASH = pb.StressOutcome(
    scenario="crash",
    account_count=2,
    equity_before="2000000",
    equity_after="649999.5",
    pnl="-1350000.5",
    broker_loss="250000.5",
    bands_before=pb.BandCounts(healthy=2),
    bands_after=pb.BandCounts(healthy=1, liquidation=1),
    fallen_count=1,
    groups=[pb.GroupProfit(group_id="BTC", pnl="-1350000.5")],
    positions=[pb.PositionProfit(instrument_id="BTC-USD-PERP", pnl="-1350000.5")],
    accounts=[FALLEN, SAFE],
    failures=[pb.StressFailure(account="clients/gamma/accounts/core", reason="MISSING_RISK_FACTOR", message="gone")],
    failure_count=3,
)
RALLY = pb.StressOutcome(scenario="rally", account_count=2, equity_after="3000000", pnl="1000000", broker_loss="0", accounts=[SAFE])


def shown(*tables) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    for table in tables:
        console.print(table)
    return console.file.getvalue()


def test_the_house_shows_the_worst_scenario_first_with_who_falls_and_who_pays():
    lines = shown(house_table([RALLY, CRASH])).splitlines()
    crash, rally = (next(line for line in lines if name in line) for name in ("crash", "rally"))
    assert lines.index(crash) < lines.index(rally)
    assert crash.split() == ["crash", "-1,350,000", "650,000", "0", "1", "1", "250,000"]
    assert max(map(len, lines)) <= 100


def test_an_account_shows_its_worst_scenario_first():
    one = pb.StressOutcome(scenario="crash", accounts=[FALLEN])
    other = pb.StressOutcome(scenario="rally", accounts=[SAFE])
    lines = shown(account_table([other, one])).splitlines()
    assert next(line for line in lines if "crash" in line).split()[-3:] == ["equity", "liquidation", "250,000"]
    assert [line.split()[0] for line in lines if line.startswith(("crash", "rally"))] == ["crash", "rally"]


def test_who_and_what_loses_and_who_is_left_out():
    text = shown(*worst_tables(CRASH, with_accounts=True))
    assert "beta/core" in text
    assert "BTC-USD-PERP" in text
    assert list(failure_lines(CRASH)) == ["gamma/core is left out: gone", "and 2 more"]


def test_what_breaks_an_account_comes_with_how_likely_it_is_and_how_it_was_found():
    found = pb.ReverseStressResult(
        account=CORE,
        line=pb.BREAK_LINE_LIQUIDATION,
        moves=[margin_service_pb2.MarketMove(group_id="BTC", factor_kind="spot", simple_return="-0.21")],
        outcome=FALLEN,
        plausibility=pb.Plausibility(
            distance="3.5", normal_probability="0.000233", greatest_probability="0.075472", scenario_weight="0.0012"
        ),
        start_count=4,
        evaluation_count=1234,
    )
    nothing = pb.ReverseStressResult(account=RUINED, line=pb.BREAK_LINE_LIQUIDATION, searched_to="30")
    failed = pb.ReverseStressResult(account=RUINED, failure=pb.StressFailure(message="no price"))
    text = shown(reverse_table([nothing, failed, found]))
    assert text.index("alpha/core") < text.index("> 30")
    assert "BTC price -21.0%" in text
    assert "no price" in text
    sentences = " ".join(plausibility_lines(found))
    assert "2.33E-4, which is too low" in sentences.replace("e-", "E-").replace("E-04", "E-4")
    assert "at most 7.5%" in sentences
    assert "from 4 starts, 1,234 revaluations" in sentences
    assert "within 30 standard deviations leaves beta/core liquidated" in " ".join(plausibility_lines(nothing))


def test_a_plot_is_drawn_and_a_page_has_the_table(tmp_path):
    page, picture = tmp_path / "stress.html", tmp_path / "stress.png"
    for file in (page, picture):
        write_plots(file, PLAN, [CRASH, RALLY], is_house=True)
    assert "crash" in page.read_text(encoding="utf-8")
    assert picture.read_bytes().startswith(b"\x89PNG")
    (panel,) = figure_of([CRASH, RALLY]).axes
    assert [bar.get_width() for bar in panel.patches] == [1.0, -1.3500005, 0.0, -0.2500005]
