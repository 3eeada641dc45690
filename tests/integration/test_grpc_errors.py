"""Requests that must fail: with the right status, in words that help, and without leaving anything behind."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from crossmargin.api.v1 import account_service_pb2 as accounts_pb
from crossmargin.api.v1 import book_service_pb2 as books_pb
from crossmargin.api.v1 import collateral_service_pb2 as collateral_pb
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1 import market_service_pb2 as market_pb
from crossmargin.api.v1 import reference_service_pb2 as reference_pb
from tests.integration.grpc_rig import (
    ALPHA,
    Rig,
    a_batch,
    a_deposit,
    a_trade,
    create_books,
    history_block,
    memory_use_cases,
    refusal_of,
    served,
    timestamp,
)
from tests.integration.grpc_rig import EXECUTED as NOON

KB = 1024
SNAPSHOT = {"as_of_time": timestamp(NOON), "levels": {"spot:BTC": "50000"}}


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    async with memory_use_cases() as use_cases, served(use_cases) as running:
        await create_books(running)
        yield running


async def nothing_was_booked(rig: Rig) -> bool:
    return await rig.entries() == [] and await rig.positions() == {}


# Trades


@pytest.mark.parametrize(
    ("trade", "code", "reason", "facts"),
    [
        pytest.param(a_trade("BTX"), "NOT_FOUND", "UNKNOWN_INSTRUMENT", {"instrument": "BTX"}, id="unknown instrument"),
        pytest.param(a_trade(settlement="EUX"), "NOT_FOUND", "UNKNOWN_INSTRUMENT", {"instrument": "EUX"}, id="unknown settlement"),
        pytest.param(a_trade(quantity="1" * 40), "INVALID_ARGUMENT", "INVALID_ARGUMENT", {"field": "trades[0].quantity"}, id="40 digits"),
        pytest.param(a_trade(quantity="NaN"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", {"value": "'NaN'"}, id="not a number"),
        pytest.param(a_trade(price="1e5"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", {"field": "trades[0].price"}, id="an exponent"),
        pytest.param(a_trade(quantity="0"), "INVALID_ARGUMENT", "INVALID_QUANTITY", {"instrument": "BTC"}, id="zero"),
        pytest.param(a_trade(quantity="0.123456789"), "INVALID_ARGUMENT", "INVALID_DECIMAL", {"places": "8"}, id="too fine a quantity"),
        pytest.param(
            a_trade("UST-2030", "100", "-98.5"),
            "INVALID_ARGUMENT",
            "INVALID_PRICE",
            {"instrument": "UST-2030", "value": "-98.5"},
            id="bond below 0",
        ),
        pytest.param(a_trade(execute_time=None), "INVALID_ARGUMENT", "INVALID_ARGUMENT", {"field": "trades[0].execute_time"}, id="no time"),
        pytest.param(
            a_trade(execute_time=Timestamp(nanos=1)),
            "INVALID_ARGUMENT",
            "INVALID_TIMESTAMP",
            {"field": "trades[0].execute_time"},
            id="a nanosecond",
        ),
        pytest.param(
            a_trade(execute_time=Timestamp(seconds=2**60)), "INVALID_ARGUMENT", "INVALID_TIMESTAMP", {}, id="a time beyond year 9999"
        ),
        pytest.param(a_trade(settlement=""), "INVALID_ARGUMENT", "INVALID_INSTRUMENT", {"instrument": "BTC"}, id="paid in nothing"),
        pytest.param(
            a_trade("BTC-USD-PERP", settlement="BTC"),
            "INVALID_ARGUMENT",
            "INVALID_INSTRUMENT",
            {"expected": "USD"},
            id="settled in another asset",
        ),
        pytest.param(a_trade(reference="é"), "INVALID_ARGUMENT", "INVALID_ARGUMENT", {"field": "trades[0].reference"}, id="reference"),
    ],
)
async def test_a_trade_that_cannot_be_is_refused_and_not_booked(rig, trade, code, reason, facts):
    refusal = await refusal_of(rig.books.RecordTrades(a_batch(trade)))
    assert (refusal.code, refusal.reason) == (code, reason)
    assert facts.items() <= refusal.facts.items()
    assert await nothing_was_booked(rig)


@pytest.mark.parametrize(
    "bad", [a_trade("BTX"), a_trade(execute_time=Timestamp(nanos=1)), a_trade(quantity="0")], ids=["unknown", "time", "zero"]
)
async def test_one_bad_trade_does_not_hold_up_the_others(rig, bad):
    answer = await rig.books.RecordTrades(a_batch(a_trade(), bad, a_trade()))
    assert [outcome.WhichOneof("result") for outcome in answer.outcomes] == ["sequence", "refusal", "sequence"]
    assert [outcome.sequence for outcome in answer.outcomes] == [1, 0, 2]
    assert answer.outcomes[1].refusal.reason in {"UNKNOWN_INSTRUMENT", "INVALID_TIMESTAMP", "INVALID_QUANTITY"}
    assert answer.outcomes[1].refusal.message
    assert (await rig.positions())["BTC"] == "3"


@pytest.mark.parametrize("count", [0, 257])
async def test_a_batch_of_the_wrong_size_is_refused_whole(rig, count):
    refusal = await refusal_of(rig.books.RecordTrades(a_batch(*[a_trade()] * count)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert refusal.facts["field"] == "trades"
    assert refusal.facts["value"] == f"{count} items"
    assert await nothing_was_booked(rig)


async def test_every_broken_field_is_listed(rig):
    request = a_batch(a_trade(price="z"), a_trade(quantity="x", price="y"))
    refusal = await refusal_of(rig.books.RecordTrades(request))
    assert set(refusal.fields) == {"trades[0].price", "trades[1].quantity", "trades[1].price"}
    assert refusal.fields["trades[1].quantity"].startswith("trades[1].quantity was 'x'; expected a plain ASCII decimal")
    assert refusal.message.endswith("; and 2 more")
    refusal = await refusal_of(rig.books.RecordTrades(a_batch(a_trade(), request_id="a b", account="core")))
    assert set(refusal.fields) == {"request_id", "account"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quantity": "1e5"}, "quantity"),
        ({"price": "NaN"}, "price"),
        ({"execute_time": None}, "execute_time"),
        ({"reference": "é"}, "reference"),
    ],
)
async def test_a_field_that_breaks_a_rule_costs_its_own_trade_alone(rig, change, field):
    answer = await rig.books.RecordTrades(a_batch(a_trade(), a_trade(**change), a_trade(quantity="2")))
    assert [outcome.sequence for outcome in answer.outcomes] == [1, 0, 2]
    refusal = answer.outcomes[1].refusal
    assert (refusal.reason, refusal.metadata["field"]) == ("INVALID_ARGUMENT", f"trades[1].{field}")
    assert refusal.message.startswith(f"trades[1].{field} ")
    assert (await rig.books.RecordTrades(a_batch(a_trade(), a_trade(**change), a_trade(quantity="2")))).replayed


async def test_a_batch_that_is_wrong_everywhere_is_refused_in_few_words(rig):
    """All of it would not fit into what a client accepts, and the client would not learn what was wrong."""
    refusal = await refusal_of(rig.books.RecordTrades(a_batch(*[a_trade(quantity="\U0001f4b8" * 90, price="\U000e0001" * 90)] * 256)))
    assert (refusal.code, refusal.facts["field"]) == ("INVALID_ARGUMENT", "trades[0].quantity")
    assert refusal.message.endswith("; and 511 more")


async def test_the_account_of_another_client_answers_like_an_unknown_one(rig):
    """alpha has a satellite; beta has none, and nothing tells beta that somebody else does."""
    await rig.accounts.CreateAccount(an_account("clients/alpha/accounts/satellite", 2, ALPHA))
    names = ("clients/beta/accounts/satellite", "clients/gamma/accounts/core")
    refusals = [await refusal_of(rig.books.RecordTrades(a_batch(a_trade(), account=name))) for name in names]
    assert [(one.code, one.reason, one.facts) for one in refusals] == [
        ("NOT_FOUND", "UNKNOWN_ACCOUNT", {"account": name}) for name in names
    ]
    assert refusals[0].message.replace(names[0], names[1]) == refusals[1].message
    assert await rig.entries("clients/alpha/accounts/satellite") == []


async def test_a_trade_of_one_client_is_not_seen_by_another(rig):
    await rig.books.RecordTrades(a_batch(a_trade()))
    assert await rig.positions("clients/beta/accounts/core") == {}
    assert await rig.entries("clients/beta/accounts/core") == []


async def test_a_request_id_is_good_for_one_request(rig):
    first = await rig.books.RecordTrades(a_batch(a_trade()))
    again = await rig.books.RecordTrades(a_batch(a_trade()))
    assert (first.replayed, again.replayed) == (False, True)
    assert again.outcomes == first.outcomes
    refusal = await refusal_of(rig.books.RecordTrades(a_batch(a_trade(quantity="2"))))
    assert (refusal.code, refusal.reason, refusal.facts["request_id"]) == ("FAILED_PRECONDITION", "REQUEST_ID_REUSED", "batch-1")
    assert rig.metrics.refusals["RecordTrades", "REQUEST_ID_REUSED"] == 1
    assert len(await rig.entries()) == 1


async def test_a_sequence_that_is_not_reached_is_a_conflict(rig):
    request = books_pb.ListPositionsRequest(account=ALPHA, min_seq=1)
    refusal = await refusal_of(rig.books.ListPositions(request))
    assert (refusal.code, refusal.reason) == ("ABORTED", "SEQUENCE_NOT_REACHED")
    assert (refusal.facts["sequence"], refusal.facts["min_seq"]) == ("0", "1")
    await rig.books.RecordTrades(a_batch(a_trade()))
    assert (await rig.books.ListPositions(request)).as_of_seq == 1


# Deposits, accounts, instruments


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (a_deposit("0"), "INVALID_QUANTITY"),
        (a_deposit("-5"), "INVALID_QUANTITY"),
        (a_deposit("1.005"), "INVALID_DECIMAL"),
        (a_deposit(instrument_id="BTC-USD-PERP"), "INVALID_INSTRUMENT"),
        (a_deposit(receive_time=Timestamp(nanos=-1)), "INVALID_TIMESTAMP"),
        (a_deposit(receive_time=None), "INVALID_ARGUMENT"),
        (a_deposit(account="core"), "INVALID_ARGUMENT"),
        (a_deposit(book_id="Main"), "INVALID_ARGUMENT"),
    ],
    ids=["zero", "negative", "half a cent", "a contract", "negative nanos", "no time", "no account name", "a capital"],
)
async def test_a_deposit_that_cannot_be_is_refused_and_not_booked(rig, request_, reason):
    refusal = await refusal_of(rig.collateral.Deposit(request_))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", reason)
    assert await nothing_was_booked(rig)


@pytest.mark.parametrize("policy", [0, 5])
async def test_a_policy_is_one_of_those_there_are(rig, policy):
    request = collateral_pb.SetPolicyRequest(request_id="p", account=ALPHA, instrument_id="BTC", policy=policy)
    refusal = await refusal_of(rig.collateral.SetPolicy(request))
    assert (refusal.code, refusal.facts["field"]) == ("INVALID_ARGUMENT", "policy")


def an_account(name: str, mode: int, parent: str = "") -> accounts_pb.CreateAccountRequest:
    account = accounts_pb.Account(name=name, display_name="A", mode=mode, parent_account=parent)
    return accounts_pb.CreateAccountRequest(request_id=f"create {name}".replace(" ", "-"), account=account)


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (an_account("clients/alpha/accounts/street", 1), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (an_account("clients/alpha/accounts/sat", 2), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (an_account("clients/alpha/accounts/sat", 2, "clients/beta/accounts/core"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (an_account("clients/alpha/accounts/sat", 2, "clients/alpha/accounts/none"), "NOT_FOUND", "UNKNOWN_ACCOUNT"),
        (an_account("clients/gamma/accounts/core", 1), "NOT_FOUND", "UNKNOWN_CLIENT"),
        (an_account("clients/alpha/accounts/core", 2, "clients/beta/accounts/core"), "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
    ids=["reserved", "isolated without parent", "parent of another", "unknown parent", "unknown client", "taken, and wrong"],
)
async def test_an_account_that_cannot_be_is_refused(rig, request_, code, reason):
    refusal = await refusal_of(rig.accounts.CreateAccount(request_))
    assert (refusal.code, refusal.reason) == (code, reason)


async def test_a_name_that_is_taken_by_something_else_is_refused(rig):
    request = accounts_pb.CreateClientRequest(request_id="x", client=accounts_pb.Client(client_id="alpha", display_name="Other"))
    refusal = await refusal_of(rig.accounts.CreateClient(request))
    assert (refusal.code, refusal.reason, refusal.facts["name"]) == ("ALREADY_EXISTS", "ALREADY_EXISTS", "alpha")
    assert (await rig.accounts.GetClient(accounts_pb.GetClientRequest(client_id="alpha"))).client.display_name == "Alpha"


def an_instrument(**fields) -> reference_pb.CreateInstrumentRequest:
    return reference_pb.CreateInstrumentRequest(request_id="i", instrument=reference_pb.Instrument(instrument_id="NEW", **fields))


@pytest.mark.parametrize(
    ("request_", "code", "reason", "field"),
    [
        (an_instrument(), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "instrument.terms"),
        (an_instrument(cash=reference_pb.CashTerms(currency="usd")), "INVALID_ARGUMENT", "INVALID_ARGUMENT", "instrument.cash.currency"),
        (
            an_instrument(bill=reference_pb.BillTerms(settlement="USD", maturity_date=Date(year=2027, month=2, day=29))),
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "instrument.bill.maturity_date",
        ),
        (
            an_instrument(bill=reference_pb.BillTerms(settlement="USD", maturity_date=Date(year=2027))),
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "instrument.bill.maturity_date",
        ),
        (
            an_instrument(bill=reference_pb.BillTerms(settlement="EUR", maturity_date=Date(year=2027, month=2, day=28))),
            "NOT_FOUND",
            "UNKNOWN_INSTRUMENT",
            "",
        ),
        (
            an_instrument(perpetual=reference_pb.PerpetualTerms(underlying="BTC", settlement="USD", multiplier="0", payoff=1)),
            "INVALID_ARGUMENT",
            "INVALID_INSTRUMENT",
            "",
        ),
        (
            an_instrument(crypto_asset=reference_pb.CryptoAssetTerms(), description="two\nlines"),
            "INVALID_ARGUMENT",
            "INVALID_ARGUMENT",
            "instrument.description",
        ),
    ],
    ids=["no terms", "small letters", "29 February", "a year", "unknown settlement", "multiplier 0", "two lines"],
)
async def test_an_instrument_that_cannot_be_is_refused_and_not_stored(rig, request_, code, reason, field):
    refusal = await refusal_of(rig.reference.CreateInstrument(request_))
    assert (refusal.code, refusal.reason, refusal.facts.get("field", "")) == (code, reason, field)
    missing = await refusal_of(rig.reference.GetInstrument(reference_pb.GetInstrumentRequest(instrument_id="NEW")))
    assert (missing.code, missing.reason, missing.facts) == ("NOT_FOUND", "UNKNOWN_INSTRUMENT", {"instrument": "NEW"})


# Market


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"levels": {"spot:BTC": "-1"}}, "INVALID_SNAPSHOT"),
        ({"levels": {"zero:USD:1Y": "11"}}, "INVALID_SNAPSHOT"),
        ({"levels": {"zero:USD": "0.04"}}, "INVALID_IDENTIFIER"),
        ({"levels": {"spot:BTC": "inf"}}, "INVALID_ARGUMENT"),
        ({"levels": {}}, "INVALID_ARGUMENT"),
        ({"as_of_time": None}, "INVALID_ARGUMENT"),
        ({"as_of_time": Timestamp(nanos=10)}, "INVALID_TIMESTAMP"),
    ],
    ids=["below 0", "1100%", "no tenor", "infinite", "nothing", "no time", "nanoseconds"],
)
async def test_a_snapshot_that_cannot_be_is_refused_and_not_stored(rig, changes, reason):
    request = market_pb.PublishSnapshotRequest(snapshot=market_pb.MarketSnapshot(**(SNAPSHOT | changes)))
    refusal = await refusal_of(rig.market.PublishSnapshot(request))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", reason)
    latest = await refusal_of(rig.market.GetSnapshot(market_pb.GetSnapshotRequest()))
    assert (latest.code, latest.reason) == ("FAILED_PRECONDITION", "NO_MARKET_SNAPSHOT")


async def test_margin_without_a_market_says_what_is_missing(rig):
    refusal = await refusal_of(rig.margin.GetMargin(margin_pb.GetMarginRequest(account=ALPHA)))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "NO_MARKET_SNAPSHOT")


async def test_unknown_names_are_not_found(rig):
    snapshot = await refusal_of(rig.market.GetSnapshot(market_pb.GetSnapshotRequest(snapshot_id="0" * 32)))
    parameters = await refusal_of(rig.reference.GetRiskParameters(reference_pb.GetRiskParametersRequest(parameter_set_id="other")))
    client = await refusal_of(rig.accounts.GetClient(accounts_pb.GetClientRequest(client_id="gamma")))
    assert [(one.code, one.reason) for one in (snapshot, parameters, client)] == [
        ("NOT_FOUND", "UNKNOWN_SNAPSHOT"),
        ("NOT_FOUND", "UNKNOWN_RISK_PARAMETERS"),
        ("NOT_FOUND", "UNKNOWN_CLIENT"),
    ]


# Sizes and forms


async def test_a_request_beyond_256_kb_is_refused_with_its_size(rig):
    request = margin_pb.PreviewTradesRequest(account=ALPHA, trades=[a_trade(reference="x" * 257 * KB)])
    refusal = await refusal_of(rig.margin.PreviewTrades(request))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert refusal.facts == {"value": str(request.ByteSize()), "expected": str(256 * KB)}


async def test_batches_and_market_data_may_be_larger(rig):
    """Their size is no longer what is wrong with them."""
    trades = await refusal_of(rig.books.RecordTrades(a_batch(a_trade(reference="x" * 300 * KB))))
    snapshot = market_pb.MarketSnapshot(**SNAPSHOT, marks={"x" * 300 * KB: "1"})
    market = await refusal_of(rig.market.PublishSnapshot(market_pb.PublishSnapshotRequest(snapshot=snapshot)))
    assert trades.facts["field"] == "trades[0].reference"
    assert market.facts["field"].startswith("key of snapshot.marks[xxx")


async def test_nothing_beyond_1_mb_is_received_at_all(rig):
    refusal = await refusal_of(rig.books.RecordTrades(a_batch(a_trade(reference="x" * 1025 * KB))))
    assert refusal.code == "RESOURCE_EXHAUSTED"
    assert await nothing_was_booked(rig)


@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05ab", b"\x0a\x02\xc3\x28"], ids=["no message", "cut off", "no UTF-8"])
async def test_bytes_that_are_no_message_are_refused_like_any_other_bad_request(rig, raw):
    call = rig.channel.unary_unary("/crossmargin.api.v1.BookService/RecordTrades")
    refusal = await refusal_of(call(raw))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "INVALID_ARGUMENT")
    assert "RecordTrades" in refusal.message


async def test_a_method_that_does_not_exist_is_unimplemented(rig):
    refusal = await refusal_of(rig.channel.unary_unary("/crossmargin.api.v1.BookService/Nothing")(b""))
    assert refusal.code == "UNIMPLEMENTED"


async def test_an_error_in_any_message_of_a_stream_ends_it_and_stores_nothing(rig):
    bad = history_block(2)
    bad.columns[0].levels[1] = "x"
    refusal = await refusal_of(rig.market.ImportHistory(iter([history_block(), bad])))
    assert (refusal.code, refusal.facts["field"]) == ("INVALID_ARGUMENT", "columns[0].levels[1]")
    assert (await rig.use_cases.market.load_history()).levels == {}


# Pages


async def test_pages_lead_through_a_list_and_end(rig):
    seen, token = [], ""
    for _ in range(4):
        page = await rig.reference.ListInstruments(reference_pb.ListInstrumentsRequest(page_size=1, page_token=token))
        seen += [instrument.instrument_id for instrument in page.instruments]
        token = page.next_page_token
    assert seen == ["BTC", "BTC-USD-PERP", "USD", "UST-2030"]
    assert token == ""


async def test_entries_are_paged_by_sequence(rig):
    await rig.books.RecordTrades(a_batch(*[a_trade()] * 5))
    seen, token = [], ""
    while True:
        page = await rig.books.ListEntries(books_pb.ListEntriesRequest(account=ALPHA, page_size=2, page_token=token))
        assert len(page.entries) <= 2
        seen += [entry.sequence for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert seen == [1, 2, 3, 4, 5]


async def test_a_token_is_good_for_its_own_list_only(rig):
    page = await rig.accounts.ListClients(accounts_pb.ListClientsRequest(page_size=1))
    token = page.next_page_token
    assert token
    assert [client.client_id for client in page.clients] == ["alpha"]
    of_all = (await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(page_size=1))).next_page_token
    no_sequence = base64.urlsafe_b64encode(json.dumps([f"entries of {ALPHA}", "1e3"]).encode()).decode()
    calls = [
        rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(client_id="alpha", page_token=of_all)),
        rig.books.ListEntries(books_pb.ListEntriesRequest(account=ALPHA, page_token=no_sequence)),
        rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(page_token=token)),
        rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(client_id="alpha", page_token=token)),
        rig.reference.ListInstruments(reference_pb.ListInstrumentsRequest(page_token=token)),
        rig.books.ListEntries(books_pb.ListEntriesRequest(account=ALPHA, page_token=token)),
        rig.accounts.ListClients(accounts_pb.ListClientsRequest(page_token=token[:-4])),
    ]
    refusals = [await refusal_of(call) for call in calls]
    assert {(one.code, one.reason) for one in refusals} == {("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")}
    second = await rig.accounts.ListClients(accounts_pb.ListClientsRequest(page_token=token))
    assert [client.client_id for client in second.clients] == ["beta"]


async def test_accounts_are_listed_by_client_or_all(rig):
    alone = await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest(client_id="beta"))
    every = await rig.accounts.ListAccounts(accounts_pb.ListAccountsRequest())
    assert [account.name for account in alone.accounts] == ["clients/beta/accounts/core"]
    assert [account.name for account in every.accounts] == ["clients/alpha/accounts/core", "clients/beta/accounts/core"]


async def test_a_negative_page_size_is_refused(rig):
    refusal = await refusal_of(rig.accounts.ListClients(accounts_pb.ListClientsRequest(page_size=-1)))
    assert (refusal.code, refusal.facts["field"]) == ("INVALID_ARGUMENT", "page_size")
