"""Commands against a served demo, each as a process of its own."""

from __future__ import annotations

import gzip
import json
import re
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin_client import Client, bill, trade
from tests.integration.command_line import COMMAND, environment, processes_naming, run, run_json, served_demo, wait_until

ACCOUNT = "summit-directional/core"
HEADER = "book,instrument,quantity,price,settlement,executed_at,reference"


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """A demo that keeps running; in the end Ctrl-C ends it in good order."""
    folder = tmp_path_factory.mktemp("served")
    with served_demo(folder / "data", folder / "log") as (process, address):
        yield address
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, (folder / "log").read_text()
        assert processes_naming(folder / "data") == []


def test_the_statement_of_a_client_is_a_page_with_all_its_accounts(target, tmp_path):
    done = run("report", "summit-directional", "--out", str(tmp_path / "summit.html"), target=target)
    assert done.returncode == 0, done.stderr
    assert "2 accounts of summit-directional" in done.stdout
    page = (tmp_path / "summit.html").read_text(encoding="utf-8")
    for expected in (
        "core: Long digital assets",
        "satellite: AVAX, isolated",
        "Worst scenarios",
        "Collateral and liabilities",
        "Margin calls",
    ):
        assert expected in page


def test_a_statement_needs_a_client_that_is_there_and_a_file_that_can_be(target, tmp_path):
    unknown = run("report", "nobody", "--out", str(tmp_path / "x.html"), target=target)
    assert (unknown.returncode, list(tmp_path.iterdir())) == (1, [])
    misused = run("report", "summit-directional", "--out", str(tmp_path / "x.pdf"), target=target)
    assert misused.returncode == 2
    assert "ends in .html" in misused.stderr


def quantities(target, account=ACCOUNT):
    positions = run_json("book", "positions", account, target=target)["positions"]
    return {(position["book_id"], position["instrument_id"]): Decimal(position["quantity"]) for position in positions}


def test_the_service_is_healthy(target):
    assert run_json("health", target=target) == {"target": target, "serving": True}
    assert run("health", "--target", target).stdout == f"{target} is serving\n"


def test_margin_of_every_account_and_of_one_client(target):
    every = run_json("margin", "show", "--all", target=target)["margins"]
    assert len(every) == 6
    of_one = run_json("margin", "show", "summit-directional", target=target)["margins"]
    assert [margin["stamp"]["account"] for margin in of_one] == [
        "clients/summit-directional/accounts/core",
        "clients/summit-directional/accounts/satellite",
    ]
    assert all(Decimal(margin["equity"]["equity"]) > 0 for margin in every)


def test_a_margin_in_euros_is_the_same_margin(target):
    shown = run_json("margin", "show", "harbour-macro/core", "--in", "EUR", target=target)
    (margin,), (reported,) = shown["margins"], shown["reported"]
    price = Decimal(reported["price"])
    assert reported["currency"] == "EUR"
    assert 0 <= Decimal(margin["equity"]["equity"]) / price - Decimal(reported["equity"]["equity"]) < Decimal("0.2")
    assert (
        0 <= Decimal(reported["requirement"]["initial_margin"]) - Decimal(margin["requirement"]["initial_margin"]) / price < Decimal("0.01")
    )
    table = run("margin", "show", "harbour-macro/core", "--in", "EUR", target=target).stdout
    assert re.search(r"^Amounts are EUR, at 1\.\d+ dollars; risk, utilization and band are measured in dollars\.$", table, re.MULTILINE)
    refused = run("margin", "show", "harbour-macro/core", "--in", "BTC", target=target)
    assert refused.returncode == 1
    assert "report_in was BTC, a CryptoAsset; expected money such as EUR" in refused.stderr


def test_the_table_is_plain_in_a_pipe(target):
    done = run("margin", "show", "--all", target=target)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "meridian-basis/core" in done.stdout


def test_the_history_of_an_account_is_what_the_monitor_stored(target):
    wait_until(lambda: run_json("margin", "history", ACCOUNT, target=target)["points"])
    points = run_json("margin", "history", ACCOUNT, "--since", "10m", target=target)["points"]
    assert points[0]["band_before"] == "BAND_UNSPECIFIED"
    assert Decimal(points[0]["equity"]) - Decimal(points[0]["initial_margin"]) == Decimal(points[0]["excess"])
    done = run("margin", "history", ACCOUNT, "--since", "10m", target=target)
    assert "of the last 10m; at the last one utilization was" in done.stdout


def test_the_board_is_printed_once_where_nobody_watches(target):
    done = run("top", "--filter", "summit", "--target", target)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert "1 margin call" in lines[0]
    assert [line.split()[0] for line in lines[-2:]] == ["summit-directional/satellite", "summit-directional/core"]
    worst = run_json("top", "--worst", target=target)["margins"]
    assert {"BAND_HEALTHY", "BAND_WATCH"}.isdisjoint(margin["band"] for margin in worst)
    assert "clients/summit-directional/accounts/satellite" in {margin["stamp"]["account"] for margin in worst}


def test_a_board_in_an_unknown_order_is_refused(target):
    done = run("top", "--sort", "luck", "--target", target)
    assert done.returncode == 2
    assert "expected one of utilization, excess" in done.stderr


def test_an_explanation_adds_up(target):
    explained = run_json("margin", "explain", "harbour-macro/core", target=target)
    contributions = sum(Decimal(each["amount"]) for each in explained["contributions"])
    assert contributions == Decimal(explained["margin"]["requirement"]["maintenance_margin"])
    text = run("margin", "explain", "harbour-macro/core", target=target).stdout
    for heading in ("Requirement", "Equity", "Collateral and liabilities", "Contributions", "Offset groups", "Worst scenarios", "How sure"):
        assert heading in text


def test_a_hedge_leaves_more_and_a_bet_leaves_less_and_nothing_is_stored(target):
    before = quantities(target)
    hedge = run_json("whatif", ACCOUNT, "--sell", "BTC-USD-PERP 30 @ mark", target=target)
    bet = run_json("whatif", ACCOUNT, "--buy", "BTC-USD-PERP 300", target=target)

    def excess(preview, side):
        return Decimal(preview[side]["excess_to_initial"])

    assert excess(hedge, "after") > excess(hedge, "before")
    assert excess(bet, "after") < excess(bet, "before")
    assert (hedge["acceptable"], bet["acceptable"]) == (True, False)
    assert Decimal(hedge["trades"][0]["quantity"]) == -30
    assert quantities(target) == before
    assert "Not acceptable" in run("whatif", ACCOUNT, "--buy", "BTC-USD-PERP 300", target=target).stdout


@pytest.fixture
def as_it_chooses(target):
    """Set the policy of the account's coins, and leave them as they were."""

    def choose(policy):
        assert run("collateral", "policy", ACCOUNT, "BTC", policy, "--target", target).returncode == 0

    yield choose
    choose("auto")


@pytest.mark.parametrize("policy", ["risked", "pledged"])
def test_a_hedge_lowers_the_initial_margin_of_collateral_that_stays_where_it_is(target, as_it_chooses, policy):
    as_it_chooses(policy)
    hedge = run_json("whatif", ACCOUNT, "--sell", "BTC-USD-PERP 30 @ mark", target=target)
    assert amount(hedge, "after", "requirement", "initial_margin") < amount(hedge, "before", "requirement", "initial_margin")
    assert amount(hedge, "after", "equity", "equity") == amount(hedge, "before", "equity", "equity")


def test_under_auto_a_hedge_frees_the_haircut_of_what_it_hedges_and_no_market_risk_is_added(target):
    """The coins move from the pledge into the scenarios, where the hedge meets them: worth more, at the same market requirement."""
    hedge = run_json("whatif", ACCOUNT, "--sell", "BTC-USD-PERP 30 @ mark", target=target)
    before, after = (amount(hedge, side, "requirement", "market_requirement") for side in ("before", "after"))
    assert abs(after - before) < before / 1000
    assert amount(hedge, "after", "equity", "haircuts") < amount(hedge, "before", "equity", "haircuts")
    charges = [{line["name"]: Decimal(line["amount"]) for line in hedge[side]["requirement"]["charges"]} for side in ("before", "after")]
    dearer = {name for name, charged in charges[1].items() if charged > charges[0].get(name, Decimal(0)) + 1}
    assert dearer == {"basis"}


def test_orders_of_a_file_are_answered_a_line_each(target):
    orders = "sell BTC-USD-PERP 30 @ mark\n\nbuy BTC-USD-PERP 300\nbuy BTC-USD-PERP 0.00000000001 @ 65000\n"
    while True:
        done = run("whatif", ACCOUNT, "--lines", "--json", target=target, says=orders)
        hedge, bet, crumb = map(json.loads, done.stdout.splitlines())
        alone = run_json("whatif", ACCOUNT, "--buy", "BTC-USD-PERP 300", target=target)
        # The demo's market may move between the two.
        if bet["after"]["stamp"]["snapshot_id"] == alone["after"]["stamp"]["snapshot_id"]:
            break
    assert [answer["line"] for answer in (hedge, bet, crumb)] == [1, 3, 4]
    assert (hedge["acceptable"], bet["acceptable"]) == (True, False)
    assert bet["after"] == alone["after"]
    assert crumb["reason"] == "INVALID_DECIMAL"
    assert done.returncode == 1, "one of them could not be answered"


def test_a_line_that_is_no_order_ends_it_after_what_came_before(target):
    done = run("whatif", ACCOUNT, "--lines", target=target, says="sell BTC-USD-PERP 30 @ mark\nhold everything\n")
    assert done.stdout.startswith("1  acceptable, excess at worst ")
    assert done.returncode == 2
    assert "line was 'hold everything'; expected 'buy' or 'sell'" in done.stderr


def amount(preview, side, bridge, line):
    return Decimal(preview[side][bridge][line])


def test_a_price_that_was_given_is_used(target):
    preview = run_json("whatif", ACCOUNT, "--buy", "BTC-USD-PERP 5 @ 65,000", target=target)
    assert preview["trades"][0]["price"] == "65000"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["margin", "show", "nobody/core"], 1, ["error: ", "reason: UNKNOWN_ACCOUNT", "next: "]),
        (["margin", "show", "nobody"], 1, ["reason: UNKNOWN_CLIENT"]),
        (["whatif", ACCOUNT, "--buy", "NOPE 1 @ 5"], 1, ["reason: UNKNOWN_INSTRUMENT"]),
        (["whatif", ACCOUNT, "--buy", "BTC-26MAR27-80000-P 1"], 1, ["has no mark for BTC-26MAR27-80000-P", "next: give a price"]),
        (["whatif", ACCOUNT, "--buy", "a lot"], 2, ["error: trade was 'a lot'", "expected INSTRUMENT QUANTITY"]),
        (["whatif", ACCOUNT], 2, ["error: there is no trade to try"]),
        (["margin", "show"], 2, ["error: expected an account, a client or --all"]),
        (["margin", "show", "--wrong"], 2, ["--wrong"]),
    ],
)
def test_a_failure_says_what_was_wrong_and_has_its_exit_code(target, arguments, code, words):
    done = run(*arguments, target=target)
    assert done.returncode == code
    assert done.stdout == ""
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


def test_nobody_at_the_target_is_said_in_words():
    done = run("margin", "show", "--all", "--target", "127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: nothing answers at 127.0.0.1:1 (")


def test_importing_a_file_twice_books_it_once(target, tmp_path):
    file = tmp_path / "trades.csv"
    rows = [f"desk-2,BTC-USD-PERP,0.25,91000,,2026-11-20T16:00:{second % 60:02d}Z,t-{second}" for second in range(300)]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    arguments = ("book", "import", str(file), "--account", "parallax-pairs/core")
    read = run_json(*arguments, "--dry-run", target=target)
    assert (read["read"], read["booked"]) == (300, 0)
    first = run_json(*arguments, target=target)
    second = run_json(*arguments, target=target)
    assert (first["booked"], first["already_booked"]) == (300, 0)
    assert (second["booked"], second["already_booked"]) == (0, 300)
    assert quantities(target, "parallax-pairs/core")["desk-2", "BTC-USD-PERP"] == Decimal("75.00")


def test_a_file_with_bad_rows_books_nothing(target, tmp_path):
    before = quantities(target)
    file = tmp_path / "trades.csv"
    good = "main,BTC-USD-PERP,1,91000,,2026-11-20T16:00:00Z,"
    file.write_text("\n".join([HEADER, good, good.replace("Z", ""), good.replace("91000", "x")]) + "\n")
    done = run("book", "import", str(file), "--account", ACCOUNT, target=target)
    assert done.returncode == 1
    assert "line 3: executed_at was '2026-11-20T16:00:00' without a time zone" in done.stderr
    assert "line 4: price was 'x'" in done.stderr
    assert quantities(target) == before


def test_a_trade_that_the_service_refuses_is_named_by_its_line_and_the_others_are_booked(target, tmp_path):
    file = tmp_path / "trades.csv"
    rows = ["desk-3,NOPE,1,1,,2026-11-20T16:00:00Z,", "desk-3,BTC-USD-PERP,2,91000,,2026-11-20T16:00:00Z,"]
    file.write_text("\n".join([HEADER, *rows]) + "\n")
    done = run("book", "import", str(file), "--account", ACCOUNT, "--json", target=target)
    outcome = json.loads(done.stdout)
    assert done.returncode == 1
    assert outcome["booked"] == 1
    assert [(refusal["line"], refusal["reason"]) for refusal in outcome["refused"]] == [(2, "UNKNOWN_INSTRUMENT")]
    assert quantities(target)["desk-3", "BTC-USD-PERP"] == 2


def test_a_file_that_is_refused_whole_says_where_it_stopped(target, tmp_path):
    file = tmp_path / "trades.csv"
    file.write_text(f"{HEADER}\nmain,NOPE,1,1,,2026-11-20T16:00:00Z,\n")
    done = run("book", "import", str(file), "--account", ACCOUNT, target=target)
    assert done.returncode == 1
    assert "reason: UNKNOWN_INSTRUMENT" in done.stderr
    assert "note: stopped at lines 2 to 2 with 0 trades booked; importing the file again is safe" in done.stderr


def test_history_of_ones_own_is_imported(target, tmp_path):
    file = tmp_path / "rates.csv.gz"
    file.write_bytes(gzip.compress(b"date,DGS2,spot:DOGE\n2026-11-18,3.7,0.15\n2026-11-19,,0.16\n2026-11-20,3.71,0.17\n"))
    arguments = ("import", "history", str(file), "--map", "DGS2=zero:CAD:2Y", "--percent", "zero:")
    imported = run_json(*arguments, target=target)
    assert (imported["factors"], imported["levels"]) == (2, 5)
    assert (imported["first"], imported["last"]) == ("2026-11-18", "2026-11-20")


def test_a_margin_is_watched_as_the_market_moves(target):
    process = subprocess.Popen(
        [*COMMAND, "margin", "watch", ACCOUNT, "--step", "0.000001", "--json"], stdout=subprocess.PIPE, text=True, env=environment(target)
    )
    try:
        snapshots = [json.loads(process.stdout.readline())["stamp"]["snapshot_id"] for _ in range(3)]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        process.stdout.close()
    assert len(set(snapshots)) == 3
    assert process.returncode == 130


def test_a_top_up_is_the_cheapest_delivery_and_moves_nothing(target):
    before = quantities(target)
    offers = ("--have", "USD=9000000@0.05", "--have", "RLUSD=3000000@0.01")
    found = run_json("margin", "topup", ACCOUNT, *offers, "--utilization", "0.4", target=target)
    dollars, coins = found["lines"]
    assert found["reaches_target"]
    assert Decimal(coins["quantity"]) > 0
    assert Decimal(found["cost"]) < Decimal(found["before"]["equity"]) * Decimal("0.05")
    assert Decimal(found["after"]["utilization"]) <= Decimal("0.4")
    shown = run("margin", "topup", ACCOUNT, "--have", "RLUSD=1000", "--utilization", "0.4", target=target)
    assert (shown.returncode, "USD of value are missing" in shown.stdout.replace("\n", " ")) == (0, True), shown.stderr
    assert dollars["instrument_id"] == "USD"
    assert quantities(target) == before
    misused = run("margin", "topup", ACCOUNT, "--have", "RLUSD", target=target)
    assert (misused.returncode, "INSTRUMENT=QUANTITY" in misused.stderr) == (2, True)


def test_the_doctor_finds_nothing_broken(target):
    checks = {check["name"]: check for check in run_json("doctor", target=target)["checks"]}
    assert {"service", "risk parameters", "market snapshot", "margin"} <= set(checks)
    for name in ("service", "risk parameters", "margin", "lifecycle events"):
        assert checks[name]["verdict"] == "ok", checks[name]


def test_a_bill_that_nobody_redeemed_is_listed_and_the_doctor_speaks_of_it(target):
    matured = datetime.now(tz=UTC) - timedelta(days=7)
    with Client(target) as client:
        client.create_client("forgotten", "Forgotten Paper")
        client.create_account("clients/forgotten/accounts/core", "Bills")
        client.create_instrument(bill("OLD-BILL", settlement="USD", matures_on=matured.date()))
        bought = trade("OLD-BILL", 100_000, 99, executed_at=matured - timedelta(days=30), settlement="USD")
        client.record_trades("clients/forgotten/accounts/core", [bought])
    listed = run("book", "lifecycle", "due", "--account", "forgotten/core", target=target)
    assert "maturity OLD-BILL" in listed.stdout
    (said,) = (check for check in run_json("doctor", target=target)["checks"] if check["name"] == "lifecycle events")
    assert (said["verdict"], said["next_step"]) == ("warn", "look at them: crossmargin book lifecycle due")
    assert said["finding"].startswith("1 event due and not booked; the oldest is maturity OLD-BILL of forgotten/core, since 20")
    at = f"{matured.date()}T20:00:00Z"
    done = run("book", "lifecycle", "maturity", "OLD-BILL", "--at", at, "--account", "forgotten/core", target=target)
    assert done.returncode == 0, done.stderr
    assert run("book", "lifecycle", "due", "--account", "forgotten/core", target=target).stdout == "nothing is due\n"


def test_the_client_reads_what_the_commands_wrote(target):
    with Client(target) as client:
        entries = list(client.list_entries("clients/meridian-basis/accounts/core"))
        assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
        assert {client.client_id for client in client.list_clients()} >= {"meridian-basis", "harbour-macro"}


def test_the_settings_of_the_service_are_shown():
    settings = run_json("config", "show")
    assert settings["grpc_address"] == "127.0.0.1:50051"


def test_a_backtest_of_benchmark_books_and_of_an_account(target, tmp_path):
    plot = tmp_path / "backtest.html"
    done = run("backtest", "btc-long", "eurusd-short", "--from", "2026-09-01", "--every", "4", "--plot", str(plot), target=target)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines()[:5])) <= 100
    assert "btc-long" in done.stdout
    assert "under standard-1" in done.stdout
    assert "<svg" in plot.read_text(encoding="utf-8")
    of_account = run_json("backtest", "--account", ACCOUNT, "--from", "2026-10-01", "--every", "10", target=target)
    (book,) = of_account["books"]
    assert book["book"] == "clients/summit-directional/accounts/core"
    assert [one["measure"] for one in book["requirements"]] == ["market", "maintenance"]
    assert len(book["series"]["pnl"]) == book["requirements"][0]["day_count"] > 0


def test_a_backtest_that_cannot_be_drawn_or_asked_is_refused_before_it_runs(target, tmp_path):
    drawn = run("backtest", "--plot", str(tmp_path / "plot.gif"), target=target)
    assert (drawn.returncode, drawn.stdout) == (2, "")
    assert "expected a file that ends in .html, .png, .svg" in drawn.stderr
    asked = run("backtest", "btc-longs", target=target)
    assert asked.returncode == 1
    assert "expected one of btc-long, btc-short" in asked.stderr


def test_the_house_and_an_account_are_stressed_by_name_and_by_a_move_of_ones_own(target, tmp_path):
    plot = tmp_path / "stress.html"
    done = run("stress", "run", "All crypto falls as one by 40%", "--show", "3", "--plot", str(plot), target=target)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines()[:5])) <= 100
    assert "Broker loss" in done.stdout
    assert "<svg" in plot.read_text(encoding="utf-8")
    own = run_json("stress", "run", "--account", ACCOUNT, "--shock", "spot:BTC=-50%", "--both-directions", target=target)
    fall, rise = own["outcomes"]
    assert float(fall["pnl"]) < 0 < float(rise["pnl"])
    assert fall["accounts"][0]["account"] == "clients/summit-directional/accounts/core"
    listed = run("stress", "list", target=target)
    assert "All crypto falls as one by 40% reversed" in listed.stdout
    misread = run("stress", "run", "--shock", "BTC=-50%", target=target)
    assert (misread.returncode, misread.stdout) == (2, "")
    assert "expected WHAT=SIZE" in misread.stderr


def test_what_breaks_an_account_is_found_at_the_command_line(target):
    found = run_json("stress", "reverse", "--account", ACCOUNT, target=target)
    (result,) = found["results"]
    assert float(result["plausibility"]["distance"]) > 0
    assert result["moves"]
    shown = run("stress", "reverse", "--account", ACCOUNT, "--until-ruin", target=target)
    assert "a nearer move cannot be ruled out" in shown.stdout


# Books. These change the demo's, so they come last.


def entry_count(target, account=ACCOUNT):
    return run_json("book", "positions", account, target=target)["as_of_seq"]


def test_a_trade_is_listed_cancelled_once_and_said_to_be(target):
    trades = run_json("book", "trades", ACCOUNT, target=target)["trades"]
    sequence = trades[0]["sequence"]
    name = trades[0]["trade"]["instrument_id"]
    before = quantities(target)
    done = run("book", "cancel", ACCOUNT, sequence, "--reason", "busted by the venue", target=target)
    assert (done.returncode, done.stdout) == (0, f"trade {sequence} was taken back by entry {entry_count(target)}\n")
    again = run("book", "cancel", ACCOUNT, sequence, "--reason", "busted by the venue", target=target)
    assert again.returncode == 1
    assert "reason: ALREADY_CANCELLED" in again.stderr
    listed = run_json("book", "trades", ACCOUNT, "--instrument", name, target=target)["trades"]
    assert {each["trade"]["instrument_id"] for each in listed} == {name}
    assert listed[0]["cancelled_by_seq"] == str(entry_count(target))
    assert f"cancelled by {entry_count(target)}" in run("book", "trades", ACCOUNT, target=target).stdout
    assert quantities(target) != before


def test_an_event_is_booked_for_every_holder_once_and_a_bad_one_for_nobody(target):
    now = datetime.now(UTC).replace(microsecond=0).isoformat()
    words = ("book", "lifecycle", "funding", "BTC-USD-PERP", "--rate", "0.0001", "--price", "60000", "--at", now)
    first = run_json(*words, target=target)
    assert first["summary"]["booked"] >= 1
    assert first["summary"]["refused"] == 0
    table = run(*words, target=target)
    assert f"0 booked, {first['summary']['booked']} booked before" in table.stdout
    other_rate = [word if word != "0.0001" else "0.0002" for word in words]
    refused = run(*other_rate, target=target)
    assert refused.returncode == 1
    assert "ALREADY_EXISTS" in refused.stderr
    misfit = run("book", "lifecycle", "maturity", "BTC-USD-PERP", "--at", now, target=target)
    assert "reason: INVALID_EVENT" in misfit.stderr
    for wrong in ("yesterday", "2026-03-02T16:00:00"):
        assert run(*words[:-1], wrong, target=target).returncode == 2


def test_a_watch_tells_every_entry_and_the_statement_of_the_day_adds_up(target):
    count = int(entry_count(target))
    with subprocess.Popen(
        [*COMMAND, "book", "watch", ACCOUNT, "--after", "0", "--json"], stdout=subprocess.PIPE, text=True, env=environment(target)
    ) as watching:
        sequences = [json.loads(watching.stdout.readline())["seq"] for _ in range(count)]
        watching.send_signal(signal.SIGINT)
    assert sequences == [str(number) for number in range(1, count + 1)]
    day = datetime.now(UTC).date().isoformat()
    statement = run_json("book", "statement", ACCOUNT, "--date", day, target=target)
    assert int(statement["closing_seq"]) == count
    closing = {(line["book_id"], line["instrument_id"]): Decimal(line["closing"]) for line in statement["lines"]}
    assert {name: quantity for name, quantity in closing.items() if quantity} == quantities(target)
    assert f"to {count} add up" in run("book", "statement", ACCOUNT, "--date", day, target=target).stdout
    assert run("book", "statement", ACCOUNT, "--date", "soon", target=target).returncode == 2


def test_an_order_is_reserved_listed_and_released(target):
    reserved = run_json("reservations", "reserve", ACCOUNT, "--sell", "BTC-USD-PERP 1 @ 80000", "--lifetime", "600", target=target)
    number = reserved["reservation"]["reservation"]
    listed = run_json("reservations", "list", ACCOUNT, target=target)["reservations"]
    assert [(one["reservation"], one["status"], one["remaining"]) for one in listed] == [(number, "RESERVATION_STATUS_ACTIVE", "-1")]
    assert "1 reservation open, 0 of them suspect" in run("reservations", "list", ACCOUNT, target=target).stdout
    done = run("reservations", "release", ACCOUNT, number, target=target)
    assert done.stdout.startswith(f"reservation {number} is released")
    assert run_json("reservations", "list", ACCOUNT, target=target)["reservations"] == []
    (ended,) = run_json("reservations", "list", ACCOUNT, "--all", target=target)["reservations"]
    assert ended["status"] == "RESERVATION_STATUS_RELEASED"
    refused = run("reservations", "reserve", ACCOUNT, "--buy", "BTC-USD-PERP 3000 @ 95000", target=target)
    assert (refused.returncode, "reason: INSUFFICIENT_MARGIN" in refused.stderr) == (1, True)


def test_collateral_leaves_as_far_as_it_can_be_spared(target):
    refused = run("collateral", "withdraw", ACCOUNT, "USD", "100000000000", "--check", target=target)
    assert (refused.returncode, "reason: INSUFFICIENT_HOLDING" in refused.stderr) == (1, True)
    satellite = "summit-directional/satellite"
    tried = run("collateral", "transfer", ACCOUNT, satellite, "USD", "1", "--check", target=target)
    assert tried.returncode == 0, tried.stderr
    assert tried.stdout.startswith("1 USD may be moved; excess at worst ")
    before = quantities(target, satellite)
    done = run_json("collateral", "transfer", ACCOUNT, satellite, "USD", "1", target=target)
    assert min(int(done["source_sequence"]), int(done["destination_sequence"])) > 0
    after = quantities(target, satellite)
    assert sum(after.values()) - sum(before.values()) == 1


def by_two(*command, target):
    """Run a command as alice and as bob, and return the answer that bob gets."""
    asked = run_json(*command, "--as", "alice", target=target)["pending_request"]
    return run_json(*command, "--confirm", asked["pending_id"], "--as", "bob", target=target)


def test_what_takes_two_persons_is_seen_confirmed_and_cancelled(target):
    command = ("collateral", "withdraw", ACCOUNT, "USD", "1200000", "--reference", "w1")
    tried = run(*command, "--check", target=target)
    assert tried.stdout.startswith("1200000 USD may be withdrawn, by two persons; "), tried.stderr
    asked = run(*command, "--as", "alice", target=target)
    name, _, said = asked.stdout.partition(",")
    words = f"withdraw 1200000 USD from clients/{ACCOUNT.replace('/', '/accounts/')}, book main, reference 'w1'"
    assert said.startswith(f" asked for by alice, awaits a second person: to {words}\nsecond person, until "), asked.stderr
    assert f"--confirm {name} --as NAME" in said
    assert name in run("pending", "list", target=target).stdout
    refused = run(*command, "--confirm", name, "--as", "alice", target=target)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "reason: FOUR_EYES_REQUIRED" in refused.stderr
    assert run("pending", "cancel", name, "--as", "alice", target=target).stdout.startswith(
        f"{name}, asked for by alice, is cancelled by alice"
    )
    assert "reason: PENDING_REQUEST_ENDED" in run(*command, "--confirm", name, "--as", "bob", target=target).stderr
    assert name not in run("pending", "list", target=target).stdout
    assert {one["pending_id"]: one["state"] for one in run_json("pending", "list", "--all", target=target)["pending_requests"]}[
        name
    ] == "PENDING_STATE_CANCELLED"


def test_limits_and_halts_are_set_and_seen(target):
    assert run_json("limits", "show", ACCOUNT, target=target)["gross"] == ""
    by_two("limits", "set", ACCOUNT, "--order", "1000", "--group", "BTC=99000000", target=target)
    stored = run_json("limits", "show", ACCOUNT, target=target)
    assert (stored["order_notional"], stored["groups"], stored["set_by"]) == ("1000", {"BTC": "99000000"}, "alice and bob")
    order = ("reservations", "reserve", ACCOUNT, "--sell", "BTC-USD-PERP 1 @ 80000")
    assert "reason: LIMIT_EXCEEDED" in run(*order, target=target).stderr
    by_two("limits", "set", ACCOUNT, target=target)
    halted = run("halt", "start", "--client", "summit-directional", "--reason", "a drill", "--as", "alice", target=target)
    assert halted.stdout.startswith("client summit-directional is HALTED since ")
    assert "by alice: a drill" in halted.stdout
    assert "reason: HALTED" in run(*order, target=target).stderr
    assert not run_json("halt", "show", "--house", target=target)["halted"]
    resumed = by_two("halt", "resume", "--client", "summit-directional", "--reason", "over", target=target)["state"]
    assert (resumed["halted"], resumed["changed_by"]) == (False, "alice and bob")
    assert run("halt", "show", target=target).returncode == 2


def test_the_audit_trail_is_read_by_who_and_when_and_reading_is_in_it(target):
    first = run_json("audit", "list", "--client", "nobody-of-ours", target=target)
    assert [event["method"] for event in first["events"]][:1] in ([], ["AuditService/ListAuditEvents"])
    again = wait_for_event("nobody-of-ours", target=target)
    assert again["kind"] == "AUDIT_KIND_PRIVILEGED_CALL"
    assert again["client_ids"] == ["nobody-of-ours"]
    shown = run("audit", "list", "--client", "nobody-of-ours", "--kind", "privileged", target=target)
    assert "AuditService/ListAuditEvents" in shown.stdout, shown.stderr
    assert run("audit", "list", "--principal", "nobody", "--since", "1m", target=target).stdout.startswith("Nothing of the kind")
    misused = run("audit", "list", "--kind", "strange", target=target)
    assert (misused.returncode, "expected denied or privileged" in misused.stderr) == (2, True)


def wait_for_event(client, *, target):
    """The newest event that names a client, once it is in the storage, where events come in batches."""
    for _ in range(50):
        found = run_json("audit", "list", "--client", client, target=target)["events"]
        if found:
            return found[0]
    raise AssertionError("the trail never told of its being read")
