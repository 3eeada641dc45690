"""Two persons, one step at a time, and one set in force at every moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import (
    BEGINNING,
    Activation,
    InForce,
    ParameterState,
    check_schedule,
    in_force,
    propose,
    put_in_force,
    retired_by,
)
from tests.builders import AS_OF, risk_parameters

DAY = timedelta(days=1)


def an_activation(set_id="b", *, begins=0.0, ramp_days=0):
    return Activation(RiskParameterSetId(set_id), AS_OF + begins * DAY, ramp_days)


FIRST = Activation(RiskParameterSetId("a"), BEGINNING, 0)


def proposed():
    return propose(risk_parameters(), "alice", AS_OF).governance


def approved():
    return proposed().approve("bob", AS_OF)


def refusal(action):
    with pytest.raises(DomainError) as refused:
        action()
    return refused.value


def test_a_set_goes_from_proposed_to_approved_to_active():
    active = approved().activate("carol", AS_OF + DAY, active_from=AS_OF + 2 * DAY, ramp_days=3)
    assert [proposed().state, approved().state, active.state] == [
        ParameterState.PROPOSED,
        ParameterState.APPROVED,
        ParameterState.ACTIVE,
    ]
    assert (active.proposed_by, active.approved_by, active.activated_by) == ("alice", "bob", "carol")
    assert active.activation == Activation(active.set_id, AS_OF + 2 * DAY, 3)
    assert proposed().activation is approved().activation is None


def test_who_proposed_cannot_approve():
    error = refusal(lambda: proposed().approve("alice", AS_OF))
    assert error.reason is Reason.FOUR_EYES_REQUIRED
    assert error.facts == {"parameter_set": "test-1", "proposed_by": "alice", "principal": "alice"}


@pytest.mark.parametrize(
    "step",
    [
        lambda: approved().approve("carol", AS_OF),
        lambda: proposed().activate("bob", AS_OF, active_from=AS_OF, ramp_days=0),
        lambda: put_in_force(risk_parameters(), "system", AS_OF).governance.approve("bob", AS_OF),
        lambda: approved().activate("bob", AS_OF, active_from=AS_OF, ramp_days=0).activate("bob", AS_OF, active_from=AS_OF, ramp_days=0),
    ],
    ids=["approved twice", "activated unapproved", "first set approved", "activated twice"],
)
def test_no_step_is_skipped_or_repeated(step):
    assert refusal(step).reason is Reason.WRONG_PARAMETER_STATE


@pytest.mark.parametrize(("days", "refused"), [(-1, True), (0, False), (365, False), (366, True)])
def test_a_ramp_lasts_a_year_at_most(days, refused):
    def activate():
        return approved().activate("bob", AS_OF, active_from=AS_OF, ramp_days=days)

    if refused:
        assert refusal(activate).reason is Reason.INVALID_ARGUMENT
    else:
        assert activate().ramp_days == days


def test_a_time_without_a_zone_means_nothing():
    naive = datetime(2026, 3, 2)  # noqa: DTZ001 - the mistake under test
    assert refusal(lambda: approved().activate("bob", AS_OF, active_from=naive, ramp_days=0)).reason is Reason.INVALID_TIMESTAMP


@pytest.mark.parametrize(
    ("after_days", "expected"),
    [
        (-1e-9, InForce(RiskParameterSetId("a"), None, Decimal(1))),
        (0, InForce(RiskParameterSetId("b"), RiskParameterSetId("a"), Decimal(0))),
        (1, InForce(RiskParameterSetId("b"), RiskParameterSetId("a"), Decimal("0.25"))),
        (4, InForce(RiskParameterSetId("b"), None, Decimal(1))),
        (9.999, InForce(RiskParameterSetId("b"), None, Decimal(1))),
        (10, InForce(RiskParameterSetId("c"), None, Decimal(1))),
    ],
)
def test_the_time_of_the_market_decides(after_days, expected):
    schedule = [FIRST, an_activation("b", ramp_days=4), an_activation("c", begins=10)]
    assert in_force(schedule, AS_OF + after_days * DAY) == expected


def test_before_the_first_set_none_is_in_force():
    assert in_force([], AS_OF) is None
    assert in_force([an_activation()], AS_OF - DAY) is None


def test_of_two_sets_from_one_time_the_one_activated_last_is_in_force():
    assert in_force([FIRST, an_activation("c"), an_activation("b")], AS_OF).set_id == "b"


def test_the_first_set_has_nothing_to_ramp_from():
    assert in_force([an_activation(ramp_days=10)], AS_OF + DAY) == InForce(RiskParameterSetId("b"), None, Decimal(1))


def test_a_fraction_has_twelve_places_so_that_a_stamp_can_hold_it():
    assert an_activation(ramp_days=3).fraction_at(AS_OF + DAY) == Decimal("0.333333333333")


def test_margin_that_was_computed_is_not_changed_afterwards():
    new = an_activation(begins=-1)
    assert refusal(lambda: check_schedule([FIRST], new, latest_market=AS_OF)).reason is Reason.ACTIVATION_IN_PAST
    check_schedule([FIRST], an_activation(), latest_market=AS_OF)
    check_schedule([FIRST], new, latest_market=None)


@pytest.mark.parametrize(
    ("other", "new", "refused"),
    [
        (an_activation("b", ramp_days=4), an_activation("c", begins=3, ramp_days=1), True),
        (an_activation("b", ramp_days=4), an_activation("c", begins=4, ramp_days=1), False),
        (an_activation("b", ramp_days=4), an_activation("c", begins=3), False),
        (an_activation("b", begins=3, ramp_days=1), an_activation("c", ramp_days=4), True),
        (an_activation("b", begins=4, ramp_days=1), an_activation("c", ramp_days=4), False),
    ],
    ids=["inside", "right after", "at once ends a ramp", "would run into one", "ends where one begins"],
)
def test_a_ramp_leads_from_one_set_in_full(other, new, refused):
    if refused:
        assert refusal(lambda: check_schedule([FIRST, other], new, latest_market=None)).reason is Reason.RAMP_UNDER_WAY
    else:
        check_schedule([FIRST, other], new, latest_market=None)


def test_an_activation_retires_what_begins_no_later():
    schedule = [FIRST, an_activation("b"), an_activation("c", begins=5)]
    assert retired_by(schedule, an_activation("d")) == ("a", "b")
