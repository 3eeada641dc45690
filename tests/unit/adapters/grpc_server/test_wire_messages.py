"""Clients, accounts, trades, entries, markets and margin results on the wire."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from protovalidate import Validator

from crossmargin.adapters.grpc_server.wire.account import (
    account_from_message,
    account_to_message,
    client_from_message,
    client_to_message,
    methodology_from_message,
    methodology_from_request,
    methodology_to_message,
)
from crossmargin.adapters.grpc_server.wire.book import (
    entry_to_message,
    outcome_to_message,
    positions_to_messages,
    trade_from_message,
    trades_from_messages,
    trades_or_errors,
)
from crossmargin.adapters.grpc_server.wire.collateral import deposit_from_request, holdings_to_messages, policy_from_request
from crossmargin.adapters.grpc_server.wire.margin import (
    StandingMargins,
    comparison_to_message,
    explanation_to_message,
    margin_to_message,
    reproduction_to_message,
)
from crossmargin.adapters.grpc_server.wire.market import (
    found_snapshot_to_message,
    history_from_block,
    snapshot_from_message,
    snapshot_to_message,
)
from crossmargin.adapters.grpc_server.wire.values import moment_from_message
from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import collateral_service_pb2 as collateral_pb
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.domain.book import Entry, EntryKind, NewEntry, Posting
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import (
    AccountId,
    AccountRef,
    BookId,
    ClientId,
    InstrumentId,
    OffsetGroupId,
    RiskParameterSetId,
    SnapshotId,
)
from crossmargin.domain.margin import (
    Band,
    Charge,
    CollateralLine,
    Contribution,
    EquityBridge,
    GapLoss,
    GroupRequirement,
    HeldPeg,
    MarginResult,
    MarginStamp,
    RequirementBridge,
    WorstScenario,
)
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.methodology import AccountMethodology, Methodology, methodology_unavailable
from crossmargin.domain.peg import Peg
from crossmargin.domain.position import Position
from crossmargin.usecases.compare_methodologies import MethodologyComparison, MethodologyMargin
from crossmargin.usecases.record_trades import Booked, Refused
from crossmargin.usecases.reproduce_margin import Reproduction

ALPHA = AccountRef(ClientId("alpha"), AccountId("core"))
NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
NOON_MESSAGE = Timestamp(seconds=1_772_452_800, nanos=250_000_000)
D = Decimal
A_THIRD = D(1) / D(3)


def refused_for(work) -> DomainError:
    with pytest.raises(DomainError) as refused:
        work()
    return refused.value


def a_trade_message(**changes) -> books_pb.Trade:
    fields = {"instrument_id": "BTC", "quantity": "-0.5", "price": "50000", "settlement": "USD", "execute_time": NOON_MESSAGE}
    return books_pb.Trade(**(fields | changes))


# Accounts


def test_a_client_comes_back_as_it_went():
    message = accounts_pb.Client(client_id="alpha", display_name="Alpha Fund")
    assert client_to_message(client_from_message(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        accounts_pb.Account(name="clients/a/accounts/core", display_name="Core", mode=accounts_pb.ACCOUNT_MODE_CROSS),
        accounts_pb.Account(
            name="clients/a/accounts/sat",
            display_name="Satellite",
            mode=accounts_pb.ACCOUNT_MODE_ISOLATED,
            parent_account="clients/a/accounts/core",
        ),
    ],
    ids=["cross", "isolated"],
)
def test_an_account_comes_back_as_it_went(message):
    sent = accounts_pb.Account()
    sent.CopyFrom(message)
    sent.methodology = accounts_pb.METHODOLOGY_EXPECTED_SHORTFALL
    assert account_to_message(account_from_message(message)) == sent


def test_every_methodology_has_its_value_and_none_is_the_main_one():
    values = {methodology_to_message(methodology) for methodology in Methodology}
    assert values == set(accounts_pb.Methodology.values()) - {accounts_pb.METHODOLOGY_UNSPECIFIED}
    assert [methodology_from_message(methodology_to_message(methodology)) for methodology in Methodology] == list(Methodology)
    assert methodology_from_message(accounts_pb.METHODOLOGY_UNSPECIFIED) is Methodology.EXPECTED_SHORTFALL


def test_a_methodology_is_read_in_full():
    request = accounts_pb.SetMethodologyRequest(account=str(ALPHA), methodology=accounts_pb.METHODOLOGY_RATIO)
    assert methodology_from_request(request) == AccountMethodology(ALPHA, Methodology.RATIO)


def test_an_isolated_account_cannot_hang_on_another_client():
    message = accounts_pb.Account(
        name="clients/a/accounts/sat",
        display_name="Satellite",
        mode=accounts_pb.ACCOUNT_MODE_ISOLATED,
        parent_account="clients/b/accounts/core",
    )
    refused = refused_for(lambda: account_from_message(message))
    assert (refused.reason, refused.facts["field"]) == (Reason.INVALID_ARGUMENT, "account.parent_account")


# Trades and entries


def test_a_trade_is_read_in_full():
    trade = trade_from_message(a_trade_message(book_id="basis", reference="T-1"), ALPHA, what="trades[0]")
    assert (trade.account, trade.book_id, trade.instrument_id, trade.settlement) == (ALPHA, "basis", "BTC", "USD")
    assert (trade.quantity, trade.price, trade.executed_at, trade.reference) == (D("-0.5"), D(50_000), NOON, "T-1")


def test_a_trade_without_book_and_settlement_says_nothing_of_them():
    trade = trade_from_message(a_trade_message(settlement=""), ALPHA, what="trades[0]")
    assert (trade.book_id, trade.settlement, trade.reference) == ("main", None, "")


def test_a_batch_keeps_the_place_of_a_trade_that_cannot_be_built():
    batch = [a_trade_message(), a_trade_message(execute_time=Timestamp(nanos=1)), a_trade_message(quantity="0")]
    first, second, third = trades_or_errors(batch, ALPHA, Validator())
    assert first == trade_from_message(batch[0], ALPHA, what="")
    assert (second.reason, second.facts["field"]) == (Reason.INVALID_TIMESTAMP, "trades[1].execute_time")
    assert third.reason is Reason.INVALID_QUANTITY


def test_a_preview_ends_at_the_first_trade_that_cannot_be_built():
    batch = [a_trade_message(), a_trade_message(quantity="0"), a_trade_message(execute_time=Timestamp(nanos=1))]
    assert refused_for(lambda: trades_from_messages(batch, ALPHA)).reason is Reason.INVALID_QUANTITY


def test_an_outcome_is_a_sequence_or_a_refusal():
    assert outcome_to_message(Booked(7)) == books_pb.TradeOutcome(sequence=7)
    refusal = outcome_to_message(Refused("UNKNOWN_INSTRUMENT", "no BTX", {"instrument": "BTX"})).refusal
    assert (refusal.reason, refusal.message, dict(refusal.metadata)) == ("UNKNOWN_INSTRUMENT", "no BTX", {"instrument": "BTX"})


def test_positions_come_by_book_and_instrument_without_closed_ones():
    def position(book: str, instrument: str, quantity: str, cost: str = "0") -> Position:
        return Position(BookId(book), InstrumentId(instrument), D(quantity), D(cost))

    held = [position("b", "BTC", "1"), position("a", "USD", "-1E+3"), position("a", "ETH", "0"), position("a", "PERP", "0", "5.00")]
    assert [(one.book_id, one.instrument_id, one.quantity, one.cost) for one in positions_to_messages(held)] == [
        ("a", "PERP", "0", "5"),
        ("a", "USD", "-1000", "0"),
        ("b", "BTC", "1", "0"),
    ]


def test_an_entry_is_written_in_full():
    legs = tuple(Posting(name, BookId("main"), InstrumentId("USD"), D(quantity)) for name, quantity in [("core", 5), ("custodian", -5)])
    message = entry_to_message(Entry(3, NewEntry(ALPHA, EntryKind.DEPOSIT, NOON, "wire 9", legs), b"\x00", b"\xab\xcd"))
    assert (message.sequence, message.kind, message.reference, message.chain_hash) == (3, books_pb.ENTRY_KIND_DEPOSIT, "wire 9", "abcd")
    assert message.effective_time == NOON_MESSAGE
    assert [(leg.ledger_account, leg.book_id, leg.instrument_id, leg.quantity, leg.cost) for leg in message.postings] == [
        ("core", "main", "USD", "5", "0"),
        ("custodian", "main", "USD", "-5", "0"),
    ]


def test_every_kind_of_entry_has_its_value():
    values = {entry_to_message(Entry(1, NewEntry(ALPHA, kind, NOON, "", ()), b"", b"")).kind for kind in EntryKind}
    assert values == set(books_pb.EntryKind.values()) - {books_pb.ENTRY_KIND_UNSPECIFIED}


# Collateral


def test_a_deposit_is_read_in_full():
    request = collateral_pb.DepositRequest(
        account=str(ALPHA), book_id="treasury", instrument_id="USD", quantity="12.50", receive_time=NOON_MESSAGE, reference="W"
    )
    deposit = deposit_from_request(request)
    assert (deposit.account, deposit.book_id, deposit.instrument_id) == (ALPHA, "treasury", "USD")
    assert (deposit.quantity, deposit.received_at, deposit.reference) == (D("12.5"), NOON, "W")


def test_a_policy_is_read_in_full():
    request = collateral_pb.SetPolicyRequest(account=str(ALPHA), instrument_id="BTC", policy=collateral_pb.COLLATERAL_POLICY_PLEDGED)
    policy = policy_from_request(request)
    assert (policy.account, policy.instrument_id, policy.policy) == (ALPHA, "BTC", CollateralPolicy.PLEDGED)


def a_line(instrument: str, policy: CollateralPolicy | None, haircut: str) -> CollateralLine:
    return CollateralLine(InstrumentId(instrument), policy, D(2), D("100.10"), D(haircut), D("0.5"), D("90.1"), D("60.06"), D("40.04"))


def test_holdings_come_by_name_and_a_liability_has_no_policy():
    holdings = holdings_to_messages([a_line("USD", None, "0"), a_line("BTC", CollateralPolicy.PLEDGED, "9.5")])
    assert [(one.instrument_id, one.policy) for one in holdings] == [
        ("BTC", collateral_pb.COLLATERAL_POLICY_PLEDGED),
        ("USD", collateral_pb.COLLATERAL_POLICY_UNSPECIFIED),
    ]
    first = holdings[0]
    assert (first.quantity, first.market_value, first.haircut, first.over_limit, first.value_in_equity) == (
        "2",
        "100.1",
        "9.5",
        "0.5",
        "90.1",
    )


# Market


def test_a_snapshot_comes_back_as_it_went():
    message = market_pb.MarketSnapshot(
        as_of_time=NOON_MESSAGE, levels={"spot:BTC": "50000.5", "zero:USD:2Y": "-0.001"}, marks={"BTC-PERP": "50010"}
    )
    assert snapshot_to_message(snapshot_from_message(message)) == message


def a_block(days: list[int], **columns: list[str]) -> market_pb.ImportHistoryRequest:
    return market_pb.ImportHistoryRequest(
        dates=[Date(year=2026, month=3, day=day) for day in days],
        columns=[market_pb.FactorColumn(factor_id=name.replace("_", ":"), levels=levels) for name, levels in columns.items()],
    )


def test_a_block_of_history_is_read_with_its_gaps():
    history = history_from_block(a_block([1, 2, 3], spot_BTC=["1", "", "3.5"], fx_EUR=["", "", "1.1"]))
    assert history.dates == (date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3))
    assert history.levels == {FactorId("spot", "BTC"): (D(1), None, D("3.5")), FactorId("fx", "EUR"): (None, None, D("1.1"))}


def test_a_factor_comes_once_in_a_block():
    block = a_block([1], spot_BTC=["1"])
    block.columns.append(market_pb.FactorColumn(factor_id="spot:BTC", levels=["2"]))
    refused = refused_for(lambda: history_from_block(block))
    assert (refused.reason, refused.facts) == (Reason.INVALID_HISTORY, {"factor": "spot:BTC"})


@pytest.mark.parametrize(
    "block",
    [a_block([2, 1], spot_BTC=["1", "2"]), a_block([1, 2], spot_BTC=["1"]), a_block([1], spot_BTC=["-1"])],
    ids=["dates descend", "a level is missing", "a price below zero"],
)
def test_a_block_that_makes_no_sense_is_refused(block):
    assert refused_for(lambda: history_from_block(block)).reason is Reason.INVALID_HISTORY


# Margin


def a_result(utilization: Decimal | None = A_THIRD) -> MarginResult:
    stamp = MarginStamp(ALPHA, 12, SnapshotId("ab" * 16), NOON, RiskParameterSetId("standard-1"), "aa", "bb", "1")
    lines = (a_line("USD", CollateralPolicy.RISKED, "1.25"), a_line("BTC", CollateralPolicy.PLEDGED, "9.5"))
    groups = [("ETH", "10"), ("BTC", "300.00"), ("EURUSD", "10")]
    return MarginResult(
        stamp=stamp,
        equity=EquityBridge(D(1000), D(-50), D("-20.5"), D("929.5"), lines),
        requirement=RequirementBridge(
            gross=D(900),
            netting_inside_groups=D(300),
            netting_inside_classes=D(200),
            netting_across_classes=D(100),
            market_requirement=D(300),
            charges=(Charge("liquidity", D("9.83")),),
            maintenance_margin=D("309.83"),
            initial_margin=D("388.79"),
            initial_only=(Charge("depeg", D("1.50")),),
        ),
        utilization=utilization,
        band=Band.AT_RISK,
        groups=tuple(GroupRequirement(OffsetGroupId(name), "CRYPTO", D(amount)) for name, amount in groups),
        contributions=tuple(Contribution(InstrumentId(name), D(amount)) for name, amount in [("A", 5), ("B", -400), ("C", 704)]),
        worst_scenarios=(WorstScenario("2020-03-12", is_stress=False, weight=D("0.000600000000000000031"), pnl=D("-310.40")),),
    )


def test_a_margin_result_is_written_in_full():
    margin = margin_to_message(a_result())
    assert margin.stamp == margin_pb.MarginStamp(
        account=str(ALPHA),
        as_of_seq=12,
        snapshot_id="ab" * 16,
        as_of_time=NOON_MESSAGE,
        parameter_set_id="standard-1",
        parameters_hash="aa",
        scenario_set_hash="bb",
        engine_version="1",
        methodology=accounts_pb.METHODOLOGY_EXPECTED_SHORTFALL,
    )
    assert margin.equity == margin_pb.EquityBridge(
        collateral="1000", liabilities="-50", contract_value="-20.5", equity="929.5", haircuts="10.75"
    )
    assert margin.requirement == margin_pb.RequirementBridge(
        gross="900",
        netting_inside_groups="300",
        netting_inside_classes="200",
        netting_across_classes="100",
        market_requirement="300",
        charges=[margin_pb.Charge(name="liquidity", amount="9.83")],
        maintenance_margin="309.83",
        initial_margin="388.79",
        netting_benefit="600",
        netting_benefit_fraction="0.666666666667",
        initial_only=[margin_pb.Charge(name="depeg", amount="1.5")],
    )
    assert (margin.utilization, margin.band) == ("0.333333333333", margin_pb.BAND_AT_RISK)
    assert (margin.excess_to_initial, margin.excess_to_maintenance) == ("540.71", "619.67")


def test_a_gap_loss_is_written_only_where_there_is_one():
    assert not margin_to_message(a_result()).HasField("gap_loss")
    isolated = replace(a_result(), gap=GapLoss(D("0"), D("1.50"), D("20"), "March"))
    assert margin_to_message(isolated).gap_loss == margin_pb.GapLoss(realized="0", expected="1.5", worst="20", worst_scenario="March")


def test_a_comparison_has_a_margin_or_a_reason_for_each_methodology():
    refusal = methodology_unavailable(Methodology.RATIO, "house-1", "methodologies")
    margins = (MethodologyMargin(Methodology.SPAN_GRID, a_result()), MethodologyMargin(Methodology.RATIO, refusal))
    message = comparison_to_message(MethodologyComparison(Methodology.SPAN_GRID, margins))
    assert message.selected == accounts_pb.METHODOLOGY_SPAN_GRID
    assert [(one.methodology, one.HasField("margin"), one.unavailable) for one in message.margins] == [
        (accounts_pb.METHODOLOGY_SPAN_GRID, True, ""),
        (accounts_pb.METHODOLOGY_RATIO, False, refusal.message),
    ]
    assert message.margins[0].margin == margin_to_message(a_result())


def test_what_an_earlier_release_did_not_say_is_not_compared():
    result = replace(a_result(), gap=GapLoss(D("0"), D("1"), D("2"), "March"))
    recorded = margin_to_message(result)
    recorded.ClearField("gap_loss")
    recorded.stamp.ClearField("methodology")
    assert reproduction_to_message(Reproduction(result, None), recorded).reproduced
    recorded.stamp.methodology = accounts_pb.METHODOLOGY_EXPECTED_SHORTFALL
    answer = reproduction_to_message(Reproduction(result, None), recorded)
    assert (answer.reproduced, answer.difference.field) == (False, "gap_loss")


def test_utilization_without_equity_is_infinite():
    assert margin_to_message(a_result(utilization=None)).utilization == "inf"


def test_an_explanation_begins_with_what_is_largest():
    explained = explanation_to_message(a_result())
    assert [(one.instrument_id, one.amount) for one in explained.contributions] == [("C", "704"), ("B", "-400"), ("A", "5")]
    assert [(one.group_id, one.requirement) for one in explained.groups] == [("BTC", "300"), ("ETH", "10"), ("EURUSD", "10")]
    assert [one.instrument_id for one in explained.holdings] == ["BTC", "USD"]
    (worst,) = explained.worst_scenarios
    assert (worst.name, worst.stress, worst.weight, worst.pnl) == ("2020-03-12", False, "0.0006", "-310.4")
    assert explained.margin == margin_to_message(a_result())


def test_every_band_has_its_value():
    values = {margin_to_message(_in_band(band)).band for band in Band}
    assert values == set(margin_pb.Band.values()) - {margin_pb.BAND_UNSPECIFIED}


def test_the_message_of_an_account_as_it_stands_is_made_once_for_each_result():
    standing, first, second = StandingMargins(most_accounts=2), a_result(), a_result(utilization=None)
    message = standing.message_of(first)
    assert standing.message_of(first) is message
    assert message == margin_to_message(first)
    assert standing.message_of(second) == margin_to_message(second) != message, "the account is the same, and what it was told is not"
    others = [replace(first, stamp=replace(first.stamp, account=AccountRef(ClientId("beta"), AccountId(f"a{n}")))) for n in range(2)]
    for other in others:
        assert standing.message_of(other).stamp.account == str(other.stamp.account)
    assert standing.message_of(second) is not standing.message_of(first), "the account asked about longest ago was forgotten"


def test_messages_made_of_one_stamp_do_not_share_it():
    one, other = margin_to_message(a_result()), margin_to_message(a_result())
    one.stamp.as_of_seq = 99
    assert other.stamp.as_of_seq == margin_to_message(a_result()).stamp.as_of_seq != 99


def _in_band(band: Band) -> MarginResult:
    result = a_result()
    return MarginResult(result.stamp, result.equity, result.requirement, result.utilization, band, result.groups, result.contributions, ())


def test_a_stored_snapshot_says_what_it_remembers_of_stablecoins():
    since = NOON - timedelta(hours=1)
    snapshot = MarketSnapshot(
        NOON, {FactorId.parse("spot:USDC"): D(1)}, {}, pegs={InstrumentId("USDC"): Peg(D("0.97"), since), InstrumentId("USDT"): Peg(D(1))}
    )
    found = found_snapshot_to_message(snapshot)
    assert found.snapshot_id == snapshot.snapshot_id
    assert (found.pegs["USDC"].slow_price, moment_from_message(found.pegs["USDC"].below_since_time, what="since")) == ("0.97", since)
    assert not found.pegs["USDC"].HasField("back_since_time")
    assert not found.pegs["USDT"].HasField("below_since_time")


def test_a_holding_says_how_its_peg_stands_only_when_it_is_off():
    since = NOON - timedelta(hours=1)
    peg = HeldPeg(D(1), D("0.93"), since, NOON, is_lost=True)
    off, well = holdings_to_messages([replace(a_line("RLUSD", CollateralPolicy.RISKED, "0"), peg=peg), a_line("USD", None, "0")])
    assert (off.peg.price, off.peg.counted_price, off.peg.lost) == ("1", "0.93", True)
    moments = [moment_from_message(moment, what="peg") for moment in (off.peg.below_since_time, off.peg.back_since_time)]
    assert moments == [since, NOON]
    assert not well.HasField("peg")
