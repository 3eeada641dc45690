"""What waits for a second person: who may confirm it, with what, and until when."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from crossmargin.domain.book import Withdrawal
from crossmargin.domain.entry_details import EntryDetails, parse_details
from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.exposure_limits import ExposureLimits
from crossmargin.domain.halt import Halt
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, ClientId, InstrumentId, OffsetGroupId
from crossmargin.domain.pending_request import Asked, PendingEnd, PendingState, Persons, ask_first

ALPHA = ClientId("alpha")
ASKED = Asked("SetLimits", "set limits of clients/alpha: gross 5", ALPHA)
FIRST = ask_first(ASKED, by="alice", request_id="r1")
D = Decimal


def refusal(call):
    with pytest.raises(DomainError) as refused:
        call()
    return refused.value


def test_another_person_who_asks_for_the_same_confirms_it():
    done = FIRST.confirm(ASKED, by="bob")
    assert (done.persons, done.end) == (Persons("alice", "bob"), PendingEnd(FIRST.pending_id, PendingState.CONFIRMED, "bob"))


def test_the_same_person_never_does():
    refused = refusal(lambda: FIRST.confirm(ASKED, by="alice"))
    assert (refused.reason, refused.facts["asked_by"]) == (Reason.FOUR_EYES_REQUIRED, "alice")


@pytest.mark.parametrize("change", [{"verb": "Resume"}, {"words": "set limits of clients/alpha: gross 50"}, {"client_id": None}])
def test_anything_else_is_told_apart(change):
    refused = refusal(lambda: FIRST.confirm(replace(ASKED, **change), by="bob"))
    assert (refused.reason, refused.facts["expected"]) == (Reason.PENDING_REQUEST_DIFFERS, ASKED.words)


@pytest.mark.parametrize("state", [PendingState.CONFIRMED, PendingState.CANCELLED, PendingState.EXPIRED])
def test_what_has_ended_is_neither_confirmed_nor_cancelled(state):
    ended = replace(FIRST, state=state, ended_by="bob")
    for call in (lambda: ended.confirm(ASKED, by="carol"), lambda: ended.cancel(by="alice")):
        refused = refusal(call)
        assert (refused.reason, refused.facts["state"], refused.facts["ended_by"]) == (Reason.PENDING_REQUEST_ENDED, state.value, "bob")


@pytest.mark.parametrize("by", ["alice", "bob"])
def test_who_asked_takes_it_back_and_another_declines_it(by):
    assert FIRST.cancel(by=by) == PendingEnd(FIRST.pending_id, PendingState.CANCELLED, by)


def test_the_name_is_that_of_the_person_the_call_and_the_request_id_and_of_nothing_else():
    again = ask_first(replace(ASKED, words="something else"), by="alice", request_id="r1")
    assert again.pending_id == FIRST.pending_id
    others = [
        ask_first(ASKED, by="alice", request_id="r2"),
        ask_first(ASKED, by="bob", request_id="r1"),
        ask_first(replace(ASKED, verb="Resume"), by="alice", request_id="r1"),
        ask_first(replace(ASKED, verb="SetLimitsr"), by="alice", request_id="1"),
    ]
    assert len({FIRST.pending_id, *(one.pending_id for one in others)}) == 5


def test_words_tell_all_that_is_asked_for():
    core = AccountRef(ALPHA, AccountId("core"))
    full = ExposureLimits(ALPHA, core.account_id, D(5), D(4), D(3), {OffsetGroupId("ETH"): D(1), OffsetGroupId("BTC"): D("2.5")})
    assert full.words == "set limits of clients/alpha/accounts/core: gross 5, net 4, one order 3, group BTC 2.5, group ETH 1"
    assert ExposureLimits(ALPHA, None).words == "set limits of clients/alpha: none"
    assert Halt(None, is_halted=False, reason="it's over").words == '''resume house, because "it's over"'''
    withdrawal = Withdrawal(core, BookId("main"), InstrumentId("USD"), D("2500000.50"), "w 1")
    assert withdrawal.words == "withdraw 2500000.5 USD from clients/alpha/accounts/core, book main, reference 'w 1'"


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("account_id", None),
        ("gross", D(6)),
        ("net", None),
        ("order_notional", D(4)),
        ("groups", {OffsetGroupId("BTC"): D(1)}),
        ("client_id", ClientId("beta")),
    ],
)
def test_no_two_limits_are_said_in_the_same_words(field, other):
    limits = ExposureLimits(ALPHA, AccountId("core"), D(5), D(4), D(3), {OffsetGroupId("BTC"): D(2)})
    assert replace(limits, **{field: other}).words != limits.words


def test_an_entry_keeps_both_names():
    details = EntryDetails(persons=Persons("alice", "bob"))
    assert details.text() == '{"persons":["alice","bob"]}'
    assert parse_details(details.text()) == details
