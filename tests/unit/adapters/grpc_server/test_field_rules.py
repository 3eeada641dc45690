"""Broken field rules in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from protovalidate import Validator

from crossmargin.adapters.grpc_server.field_rules import PATTERN_WORDS, BrokenRule, broken_rule, rules_broken_by
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import collateral_service_pb2 as collateral_pb
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb

PROTOS = Path(__file__).resolve().parents[4] / "protos" / "crossmargin" / "api" / "v1"
VALIDATOR = Validator()
TRADE = {"instrument_id": "BTC", "quantity": "1", "price": "1", "execute_time": Timestamp(seconds=1)}


def broken(message) -> dict[str, BrokenRule]:
    return {rule.path: rule for rule in map(broken_rule, VALIDATOR.collect_violations(message))}


def a_preview(*trades: books_pb.Trade) -> margin_pb.PreviewTradesRequest:
    return margin_pb.PreviewTradesRequest(account="clients/a/accounts/b", trades=trades)


def a_batch(*trades: books_pb.Trade) -> books_pb.RecordTradesRequest:
    return books_pb.RecordTradesRequest(request_id="1", account="clients/a/accounts/b", trades=trades)


def test_every_pattern_of_the_protos_is_put_into_words_and_no_other():
    found = {
        pattern.replace("\\\\", "\\")
        for path in PROTOS.glob("*.proto")
        for pattern in re.findall(r'pattern(?: =|:) "(.*?)"', path.read_text())
    }
    assert len(found) > 10
    assert found == set(PATTERN_WORDS)


@pytest.mark.parametrize(
    ("value", "shown"), [("NaN", "'NaN'"), ("1e5", "'1e5'"), ("", "''"), ("1" * 80, "'" + "1" * 59 + "…'"), ("\u0661", "'\u0661'")]
)
def test_a_field_of_an_item_is_named_with_what_it_was_and_what_was_expected(value, shown):
    rules = broken(a_preview(books_pb.Trade(**TRADE), books_pb.Trade(**(TRADE | {"quantity": value}))))
    assert list(rules) == ["trades[1].quantity"]
    expected = "a plain ASCII decimal with at most 20 digits before and 18 after the point, such as -1250.75"
    assert rules["trades[1].quantity"].sentence == f"trades[1].quantity was {shown}; expected {expected}"


def test_the_trades_of_a_batch_of_facts_are_left_to_themselves():
    """One bad trade must not cost the others their booking."""
    assert broken(a_batch(books_pb.Trade(**TRADE), books_pb.Trade(**(TRADE | {"quantity": "x", "execute_time": None})))) == {}


def test_a_part_of_a_request_says_where_it_is_and_all_that_is_wrong_with_it():
    assert rules_broken_by(books_pb.Trade(**TRADE), VALIDATOR, what="trades[4]") is None
    error = rules_broken_by(books_pb.Trade(**(TRADE | {"quantity": "x", "price": "y"})), VALIDATOR, what="trades[4]")
    assert [rule.path for rule in error.rules] == ["trades[4].quantity", "trades[4].price"]
    assert error.message.startswith("trades[4].quantity was 'x'; expected a plain ASCII decimal")
    assert error.message.endswith("; and 1 more")
    assert (error.reason.code, error.facts["field"], error.facts["value"]) == ("INVALID_ARGUMENT", "trades[4].quantity", "'x'")


def test_a_missing_message_is_missing():
    without = {name: value for name, value in TRADE.items() if name != "execute_time"}
    rule = broken(a_preview(books_pb.Trade(**without)))["trades[0].execute_time"]
    assert rule.sentence == "trades[0].execute_time is missing; expected a value"


@pytest.mark.parametrize(
    ("count", "sentence"), [(0, "trades was 0 items; expected at least 1"), (257, "trades was 257 items; expected at most 256")]
)
def test_a_batch_of_the_wrong_size_says_its_size(count, sentence):
    assert broken(a_batch(*[books_pb.Trade(**TRADE)] * count))["trades"].sentence == sentence


def test_map_entries_are_named_by_their_key():
    snapshot = market_pb.MarketSnapshot(as_of_time=Timestamp(seconds=1), levels={"spot:BTC": "x", "spots": "1"})
    rules = broken(market_pb.PublishSnapshotRequest(snapshot=snapshot))
    assert set(rules) == {"snapshot.levels[spot:BTC]", "key of snapshot.levels[spots]"}
    assert rules["key of snapshot.levels[spots]"].sentence.endswith(
        "was 'spots'; expected a risk factor such as spot:BTC, fx:EUR, zero:USD:2Y, vol:BTC:1M, basis:BTC:3M, spread:IG-A:5Y "
        "or price:WTI:1M"
    )


def test_an_instrument_without_terms_wants_one_of_them():
    request = reference_pb.CreateInstrumentRequest(request_id="1", instrument=reference_pb.Instrument(instrument_id="BTC"))
    assert broken(request)["instrument.terms"].sentence == "instrument.terms is missing; expected exactly one of its fields"


@pytest.mark.parametrize("policy", [0, 9])
def test_an_enum_wants_one_of_its_values(policy):
    request = collateral_pb.SetPolicyRequest(request_id="1", account="clients/a/accounts/b", instrument_id="BTC", policy=policy)
    assert broken(request)["policy"].sentence == f"policy was {policy}; expected one of the values of its enum other than UNSPECIFIED"


def test_a_number_of_a_list_says_the_list():
    bond = reference_pb.FixedRateBondTerms(coupons_per_year=3)
    request = reference_pb.CreateInstrumentRequest(instrument=reference_pb.Instrument(fixed_rate_bond=bond))
    rule = broken(request)["instrument.fixed_rate_bond.coupons_per_year"]
    assert rule.sentence.endswith("coupons_per_year was 3; expected one of 1, 2, 4, 12")


def test_any_other_rule_speaks_for_itself():
    request = books_pb.ListEntriesRequest(account="clients/a/accounts/b", page_size=-1, page_token="x" * 501)
    rules = broken(request)
    assert rules["page_size"].sentence == "page_size was -1; expected greater than or equal to 0"
    assert rules["page_token"].sentence == f"page_token was '{'x' * 59}…'; expected at most 500 characters"
