"""What the store of risk parameters promises: sets never change, their standing changes step by step, and nobody is overtaken."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from crossmargin.domain.errors import DomainError, Reason
from crossmargin.domain.identifiers import RiskParameterSetId
from crossmargin.domain.parameter_governance import (
    BEGINNING,
    Activation,
    GovernanceChange,
    ParameterState,
    propose,
    put_in_force,
    retired_by,
)
from crossmargin.usecases.ports.page import Page
from tests.builders import AS_OF, risk_parameters

A, B, C = (RiskParameterSetId(name) for name in "abc")
LATER = AS_OF + timedelta(days=1)


def a_proposal(set_id=A, **overrides):
    return propose(risk_parameters(set_id=set_id, **overrides), "alice", AS_OF)


async def approve(storage, set_id):
    before = await storage.parameters.get_governance(set_id)
    count = len(await storage.parameters.activations())
    await storage.create(GovernanceChange(before, before.approve("bob", LATER), (), count))


async def activation_of(storage, set_id, active_from, ramp_days=0):
    before = await storage.parameters.get_governance(set_id)
    activations = await storage.parameters.activations()
    after = before.activate("carol", LATER, active_from=active_from, ramp_days=ramp_days)
    return GovernanceChange(before, after, retired_by(activations, after.activation), len(activations))


async def activate(storage, set_id, active_from, ramp_days=0):
    await storage.create(a_proposal(set_id))
    await approve(storage, set_id)
    await storage.create(await activation_of(storage, set_id, active_from, ramp_days))


async def test_without_parameters_there_is_nothing_to_activate(storage):
    assert list(await storage.parameters.activations()) == []
    assert list(await storage.parameters.list_governance(Page(10))) == []
    for read in (storage.parameters.get_parameters, storage.parameters.get_governance):
        with pytest.raises(DomainError) as refused:
            await read(A)
        assert refused.value.reason is Reason.UNKNOWN_RISK_PARAMETERS


async def test_a_proposal_comes_back_and_is_not_in_force(storage):
    proposal = a_proposal(maximum_carry_days=5)
    await storage.create(proposal)
    assert (await storage.parameters.get_parameters(A)).content_hash == proposal.parameters.content_hash
    assert await storage.parameters.get_governance(A) == proposal.governance
    assert list(await storage.parameters.activations()) == []


async def test_the_first_set_is_in_force_from_the_beginning(storage):
    first = put_in_force(risk_parameters(set_id="a"), "crossmargin", AS_OF)
    await storage.create(first)
    assert await storage.parameters.get_governance(A) == first.governance
    assert list(await storage.parameters.activations()) == [Activation(A, BEGINNING, 0)]


async def test_a_set_sent_again_stays_where_it_is_and_a_changed_one_is_refused(storage):
    await activate(storage, A, AS_OF)
    standing = await storage.parameters.get_governance(A)
    await storage.create(a_proposal(A))
    assert await storage.parameters.get_governance(A) == standing
    with pytest.raises(DomainError) as refused:
        await storage.create(a_proposal(A, maximum_carry_days=9))
    assert refused.value.reason is Reason.ALREADY_EXISTS
    assert (await storage.parameters.get_parameters(A)).maximum_carry_days == 7


async def test_every_step_is_kept_with_who_took_it_and_when(storage):
    await activate(storage, A, LATER, ramp_days=10)
    found = await storage.parameters.get_governance(A)
    assert (found.state, found.proposed_by, found.proposed_at) == (ParameterState.ACTIVE, "alice", AS_OF)
    assert (found.approved_by, found.approved_at) == ("bob", LATER)
    assert (found.activated_by, found.activated_at, found.active_from, found.ramp_days) == ("carol", LATER, LATER, 10)


async def test_sets_are_listed_in_the_order_of_their_ids_page_by_page(storage):
    for set_id in (C, A, B):
        await storage.create(a_proposal(set_id))
    assert [one.set_id for one in await storage.parameters.list_governance(Page(10))] == [A, B, C]
    assert [one.set_id for one in await storage.parameters.list_governance(Page(1, "a"))] == [B]


async def test_activations_come_by_time_and_those_of_one_time_as_they_were_made(storage):
    for set_id, active_from in ((C, LATER), (B, AS_OF), (A, LATER)):
        await activate(storage, set_id, active_from)
    assert [one.set_id for one in await storage.parameters.activations()] == [B, C, A]


async def test_an_activation_retires_the_sets_before_it_and_no_later_one(storage):
    await activate(storage, A, AS_OF)
    await activate(storage, C, LATER)
    await activate(storage, B, AS_OF + timedelta(hours=1))
    states = {one.set_id: one.state for one in await storage.parameters.list_governance(Page(10))}
    assert states == {A: ParameterState.RETIRED, B: ParameterState.ACTIVE, C: ParameterState.ACTIVE}


async def test_a_step_from_where_the_set_is_no_more_is_refused_and_changes_nothing(storage):
    await storage.create(a_proposal(A))
    before = await storage.parameters.get_governance(A)
    await approve(storage, A)
    standing = await storage.parameters.get_governance(A)
    with pytest.raises(DomainError) as refused:
        await storage.create(GovernanceChange(before, before.approve("dave", LATER), (), 0))
    assert (refused.value.reason, refused.value.facts) == (Reason.PARAMETERS_CHANGED, {"parameter_set": "a"})
    assert await storage.parameters.get_governance(A) == standing


async def test_a_step_that_did_not_know_of_another_activation_is_refused(storage):
    for set_id in (A, B):
        await storage.create(a_proposal(set_id))
        await approve(storage, set_id)
    first, second = [await activation_of(storage, set_id, LATER, 10) for set_id in (A, B)]
    outcomes = await asyncio.gather(storage.create(first), storage.create(second), return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, DomainError)]
    assert [error.reason for error in refused] == [Reason.PARAMETERS_CHANGED]
    assert len(await storage.parameters.activations()) == 1


async def test_the_set_of_a_change_must_be_there(storage):
    nobody = replace(a_proposal(A).governance, set_id=B)
    with pytest.raises(DomainError) as refused:
        await storage.create(GovernanceChange(nobody, nobody.approve("bob", LATER), (), 0))
    assert refused.value.reason is Reason.PARAMETERS_CHANGED
