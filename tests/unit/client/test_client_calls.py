"""Both clients against a real server that fails on purpose: retries, deadlines, errors, pages, streams."""

from __future__ import annotations

import asyncio
import inspect
from datetime import UTC, date, datetime

import grpc
import pytest
from google.protobuf.wrappers_pb2 import Int32Value

from crossmargin.api.v1 import (
    account_service_pb2,
    book_service_pb2,
    collateral_service_pb2,
    margin_service_pb2,
    market_service_pb2,
    reference_service_pb2,
)
from crossmargin_client import (
    AlreadyExists,
    AsyncClient,
    Busy,
    Client,
    Conflict,
    CrossmarginError,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Unavailable,
    lifecycle,
    quote,
    retries,
)
from tests.unit.client.scripted_service import UNAVAILABLE, Failure, scripted_service

ACCOUNT = "clients/alpha/accounts/core"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SERVICES = (
    account_service_pb2,
    book_service_pb2,
    collateral_service_pb2,
    margin_service_pb2,
    market_service_pb2,
    reference_service_pb2,
)
DEPOSITED = collateral_service_pb2.DepositResponse(sequence=7)


class Both:
    """Makes the same call through the synchronous or the asyncio client, and returns what a caller of either gets."""

    def __init__(self, kind, target):
        self.kind, self.target = kind, target

    def call(self, name, *arguments, timeout_s=10.0, take=None, **options):
        return (self._sync if self.kind == "sync" else self._async)(name, arguments, options, timeout_s, take)

    def _sync(self, name, arguments, options, timeout_s, take):
        with Client(self.target, timeout_s=timeout_s) as client:
            answer = getattr(client, name)(*arguments, **options)
            if not inspect.isgenerator(answer):
                return answer
            return list(answer) if take is None else [next(answer) for _ in range(take)]

    def _async(self, name, arguments, options, timeout_s, take):
        async def run():
            async with AsyncClient(self.target, timeout_s=timeout_s) as client:
                answer = getattr(client, name)(*arguments, **options)
                if not inspect.isasyncgen(answer):
                    return await answer
                if take is None:
                    return [item async for item in answer]
                items = [await anext(answer) for _ in range(take)]
                await answer.aclose()
                return items

        return asyncio.run(run())


@pytest.fixture(params=["sync", "asyncio"])
def rig(request, monkeypatch):
    # How long the waits are is asked elsewhere.
    monkeypatch.setattr(retries, "_FIRST_DELAY_S", 0.005)
    with scripted_service() as (service, target):
        yield service, Both(request.param, target)


def deposit(both, **options):
    return both.call("deposit", ACCOUNT, "USD", 5, received_at=NOON, **options)


def margin(utilization):
    return margin_service_pb2.WatchMarginResponse(margin=margin_service_pb2.Margin(utilization=utilization))


def test_a_write_that_was_cut_off_is_made_again_under_the_same_name(rig):
    service, both = rig
    service.script(*map(Failure, (UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED)), DEPOSITED)
    assert deposit(both).sequence == 7
    assert len(service.seen) == 4
    assert len({request.request_id for request in service.seen}) == 1


def test_a_refused_request_is_not_made_again(rig):
    service, both = rig
    service.script(Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="REQUEST_ID_REUSED"))
    with pytest.raises(PreconditionFailed):
        deposit(both)
    assert len(service.seen) == 1


def test_retries_end_and_the_error_says_which_request_may_have_happened(rig):
    service, both = rig
    service.script(*[Failure(UNAVAILABLE)] * 9)
    with pytest.raises(Unavailable, match="retry with the same request id") as caught:
        deposit(both, request_id="mine")
    assert caught.value.request_id == "mine"
    assert "'mine'" in caught.value.message
    assert len(service.seen) == 6


def test_a_busy_service_does_not_say_that_nothing_happened_when_an_earlier_attempt_got_no_answer(rig):
    service, both = rig
    service.script(Failure(UNAVAILABLE), *[Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="SERVICE_BUSY")] * 8)
    with pytest.raises(Unavailable, match="retry with the same request id") as caught:
        deposit(both, request_id="mine")
    assert (caught.value.reason, caught.value.request_id) == ("SERVICE_BUSY", "mine")


def test_a_service_that_was_busy_all_along_did_nothing(rig):
    service, both = rig
    service.script(*[Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="SERVICE_BUSY")] * 9)
    with pytest.raises(Busy):
        deposit(both, request_id="mine")


def test_a_deadline_bounds_all_attempts_together(rig, monkeypatch):
    service, both = rig
    monkeypatch.setattr(retries, "_FIRST_DELAY_S", 0.1)
    service.script(*[Failure(UNAVAILABLE)] * 9)
    # A slow machine may use the time up before the first answer is there.
    with pytest.raises((Unavailable, DeadlineExceeded)):
        deposit(both, timeout_s=0.15)
    assert 1 <= len(service.seen) <= 3


def test_nobody_listening_is_unavailable():
    with pytest.raises(Unavailable) as caught:
        Both("sync", "127.0.0.1:1").call("get_margin", ACCOUNT)
    assert caught.value.reason == "UNAVAILABLE"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequest),
        (grpc.StatusCode.NOT_FOUND, NotFound),
        (grpc.StatusCode.ALREADY_EXISTS, AlreadyExists),
        (grpc.StatusCode.FAILED_PRECONDITION, PreconditionFailed),
        (grpc.StatusCode.ABORTED, Conflict),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Busy),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.CANCELLED, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.INTERNAL, InternalError),
        (grpc.StatusCode.UNIMPLEMENTED, CrossmarginError),
    ],
)
def test_each_status_is_an_exception_of_its_own_with_reason_and_facts(rig, code, kind):
    service, both = rig
    service.script(*[Failure(code, "what to do", reason="SOME_REASON", metadata={"incident": "5f0c"})] * 6)
    with pytest.raises(kind) as caught:
        both.call("get_margin", ACCOUNT)
    error = caught.value
    assert type(error) is kind
    assert (error.reason, error.message, error.metadata, error.code) == ("SOME_REASON", "what to do", {"incident": "5f0c"}, code)
    assert str(error) == "SOME_REASON: what to do"


def test_an_invalid_request_names_its_fields(rig):
    service, both = rig
    violations = (("trades[2].quantity", "must be a decimal"), ("account", "must be a name"))
    service.script(Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_ARGUMENT", violations=violations))
    with pytest.raises(InvalidRequest) as caught:
        both.call("record_trades", ACCOUNT, [])
    assert tuple((each.field, each.description) for each in caught.value.field_violations) == violations


def test_a_fault_of_the_service_has_an_incident(rig):
    service, both = rig
    service.script(Failure(grpc.StatusCode.INTERNAL, reason="INTERNAL", metadata={"incident": "5f0c"}))
    with pytest.raises(InternalError) as caught:
        both.call("get_margin", ACCOUNT)
    assert caught.value.incident == "5f0c"


def test_a_list_runs_over_every_page(rig):
    service, both = rig
    pages = [["a", "b"], ["c"], []]
    tokens = ["t1", "t2", ""]
    service.script(
        *(
            account_service_pb2.ListClientsResponse(
                clients=[account_service_pb2.Client(client_id=name) for name in page], next_page_token=token
            )
            for page, token in zip(pages, tokens, strict=True)
        )
    )
    assert [client.client_id for client in both.call("list_clients")] == ["a", "b", "c"]
    assert len(service.seen) == 3


def test_trades_come_back_with_their_outcomes(rig):
    service, both = rig
    outcomes = [book_service_pb2.TradeOutcome(sequence=4), book_service_pb2.TradeOutcome(refusal=book_service_pb2.TradeRefusal(reason="X"))]
    service.script(book_service_pb2.RecordTradesResponse(outcomes=outcomes, as_of_seq=4))
    answer = both.call("record_trades", ACCOUNT, [], request_id="k")
    assert [outcome.WhichOneof("result") for outcome in answer.outcomes] == ["sequence", "refusal"]


def test_an_import_that_was_cut_off_is_sent_again_whole(rig):
    service, both = rig
    service.script(Failure(UNAVAILABLE), market_service_pb2.ImportHistoryResponse(level_count=2, factor_count=1))
    answer = both.call("import_history", [date(2026, 1, 1), date(2026, 1, 2)], {"spot:BTC": [1, 2]})
    assert answer.level_count == 2
    assert service.seen[0] == service.seen[1] != []


def acknowledged(sequence):
    return market_service_pb2.PublishQuotesResponse(source="feed-a", acknowledged_sequence=sequence)


def test_quotes_that_were_not_acknowledged_are_sent_again_and_the_others_are_not(rig):
    service, both = rig
    quotes = [quote("spot:BTC", 60_000, sequence=number, observed_at=NOON) for number in range(1, 2002)]
    service.script([acknowledged(1000), Failure(UNAVAILABLE)], [acknowledged(2000), acknowledged(2001)])
    answers = both.call("publish_quotes", "feed-a", quotes)
    assert [answer.acknowledged_sequence for answer in answers] == [1000, 2000, 2001]
    assert [[len(message.quotes) for message in messages] for messages in service.seen] == [[1000, 1000, 1], [1000, 1]]
    assert service.seen[1][0].quotes[0].sequence == 1001


def test_quotes_that_are_not_taken_end_with_the_reason(rig):
    service, both = rig
    service.script([Failure(grpc.StatusCode.INVALID_ARGUMENT, reason="INVALID_ARGUMENT")])
    with pytest.raises(InvalidRequest):
        both.call("publish_quotes", "feed-a", [])


def test_a_watch_goes_on_after_a_break_and_starts_with_the_present_state(rig):
    service, both = rig
    service.script(
        [margin("0.1"), Failure(UNAVAILABLE)],
        [margin("0.2")],  # closed in good order, as by a replica that is replaced
        [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED)],
        [margin("0.3"), margin("0.4")],
    )
    seen = both.call("watch_margin", ACCOUNT, take=4)
    assert [each.utilization for each in seen] == ["0.1", "0.2", "0.3", "0.4"]
    assert len(service.seen) == 4


def test_a_watch_ends_with_an_error_that_no_retry_can_help(rig):
    service, both = rig
    service.script([margin("0.1"), Failure(grpc.StatusCode.NOT_FOUND, reason="UNKNOWN_ACCOUNT")])
    with pytest.raises(NotFound):
        both.call("watch_margin", ACCOUNT, take=2)


def test_a_watch_runs_out_of_patience(rig):
    service, both = rig
    service.script(*[[Failure(UNAVAILABLE)]] * 99)
    with pytest.raises(Unavailable):
        both.call("watch_margin", ACCOUNT, take=1, patience_s=0.3)
    assert len(service.seen) >= 2


@pytest.mark.parametrize(("status", "serving"), [(1, True), (2, False)])
def test_health_is_what_the_service_says(rig, status, serving):
    service, both = rig
    service.script(Int32Value(value=status).SerializeToString())
    assert both.call("is_serving") is serving


def test_both_clients_have_the_same_surface():
    def surface(kind):
        return {
            name: list(inspect.signature(member).parameters.values())
            for name, member in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert surface(Client) == surface(AsyncClient)
    assert len(surface(Client)) >= 23


def test_every_call_of_the_api_can_be_made():
    """Each rpc is a method: a new one in the API is missed here, not by a user."""
    methods = {method.name for module in SERVICES for service in module.DESCRIPTOR.services_by_name.values() for method in service.methods}
    snake = {"".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_") for name in methods}
    assert snake - set(dir(Client)) == set()


def test_calls_are_spread_over_every_address_of_a_name():
    """Two servers behind one name: both are called."""
    with scripted_service() as (first, first_target), scripted_service() as (second, second_target):
        empty = margin_service_pb2.GetMarginResponse()
        first.script(*[empty] * 50)
        second.script(*[empty] * 50)
        with Client(f"ipv4:{first_target},{second_target}") as client:
            while not (first.seen and second.seen):
                client.get_margin(ACCOUNT)


def an_outcome(account):
    return book_service_pb2.ApplyLifecycleEventResponse(outcome=book_service_pb2.EventOutcome(account=account))


def test_an_event_that_was_cut_off_is_applied_again_under_the_same_name_and_each_account_is_told_once(rig):
    service, both = rig
    summary = book_service_pb2.ApplyLifecycleEventResponse(summary=book_service_pb2.EventSummary(booked=2))
    service.script([an_outcome("a"), Failure(UNAVAILABLE)], [an_outcome("a"), an_outcome("b"), summary])
    event = lifecycle.maturity("UST-2030", at=NOON)
    assert both.call("apply_lifecycle_event", event) == [an_outcome("a"), an_outcome("b"), summary]
    assert service.seen[0] == service.seen[1]
    assert service.seen[0].request_id


def test_an_event_that_keeps_breaking_at_one_account_runs_out_of_patience(rig):
    service, both = rig
    service.script(*[[an_outcome("a"), Failure(UNAVAILABLE)]] * 99)
    with pytest.raises(Unavailable):
        both.call("apply_lifecycle_event", lifecycle.maturity("UST-2030", at=NOON), patience_s=0.3)


def test_a_settlement_that_was_cut_off_is_run_again(rig):
    service, both = rig
    service.script(
        [book_service_pb2.SettleTradesResponse(account="a"), Failure(UNAVAILABLE)], [book_service_pb2.SettleTradesResponse(account="b")]
    )
    assert [each.account for each in both.call("settle_trades", date(2026, 3, 2))] == ["a", "b"]
    assert service.seen[0] == service.seen[1]


def an_update(seq):
    return book_service_pb2.WatchPositionsResponse(seq=seq)


def test_a_watch_of_positions_goes_on_after_the_last_message_and_tells_nothing_twice(rig):
    service, both = rig
    service.script(
        [an_update(4), an_update(5), Failure(UNAVAILABLE)],
        [Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, reason="SERVICE_BUSY")],
        [an_update(6)],  # closed in good order
        [an_update(7)],
    )
    assert [each.seq for each in both.call("watch_positions", ACCOUNT, take=4)] == [4, 5, 6, 7]
    asked = [request.after_seq if request.HasField("after_seq") else None for request in service.seen]
    assert asked == [None, 5, 5, 6]


def test_a_watch_of_positions_begins_after_a_sequence_even_the_first(rig):
    service, both = rig
    service.script([an_update(1)])
    both.call("watch_positions", ACCOUNT, after_seq=0, take=1)
    assert service.seen[0].HasField("after_seq")
