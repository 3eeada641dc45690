"""Every failure has a reason of its own, and says in facts what it says in prose."""

from __future__ import annotations

import pickle
from collections import Counter

from crossmargin.domain.errors import DomainError, ErrorKind, Reason


def test_every_reason_has_a_code_of_its_own_that_is_its_name():
    assert [reason.code for reason in Reason] == list(Reason.__members__)
    assert max(Counter(reason.code for reason in Reason).values()) == 1


def test_every_kind_of_error_has_a_reason_and_every_reason_a_kind():
    assert {reason.kind for reason in Reason} == set(ErrorKind)


def test_invalid_reasons_and_only_they_are_named_invalid_and_unknown_ones_unknown():
    assert {reason for reason in Reason if reason.kind is ErrorKind.INVALID} == {r for r in Reason if r.code.startswith("INVALID_")}
    assert {reason for reason in Reason if reason.kind is ErrorKind.NOT_FOUND} == {r for r in Reason if r.code.startswith("UNKNOWN_")}


def test_facts_are_text_whatever_they_were():
    error = DomainError(Reason.INVALID_QUANTITY, "quantity was 0", places=8, value=None)
    assert error.facts == {"places": "8", "value": "None"}
    assert str(error) == error.message == "quantity was 0"


def test_an_error_is_the_same_in_another_process():
    error = DomainError(Reason.MISSING_RISK_FACTOR, "no spot:EUR", factor="spot:EUR")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), again.reason, again.message, again.facts, again.args) == (
        DomainError,
        error.reason,
        error.message,
        error.facts,
        error.args,
    )


def test_an_error_shows_its_reason():
    assert repr(DomainError(Reason.HALTED, "the house is halted")) == "DomainError(HALTED: the house is halted)"
