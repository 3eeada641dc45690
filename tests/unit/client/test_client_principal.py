"""Both clients act under the name they were given, and stream a shadow run to its end or its failure."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin_client import AsyncClient, Client, PreconditionFailed
from tests.unit.client.scripted_service import Failure, ScriptedService, scripted_service

ROWS = [
    pb.ShadowRiskParametersResponse(account_count_done=1, account_count=1, account=pb.ShadowedAccount(account="clients/a/accounts/b")),
    pb.ShadowRiskParametersResponse(summary=pb.ShadowSummary(shadow_set_id="house-2")),
]


@pytest.fixture
def names(monkeypatch):
    """The principals under which calls arrived."""
    seen = []
    look_up = ScriptedService.service

    def service(self, details):
        seen.append(dict(details.invocation_metadata).get("x-crossmargin-principal"))
        return look_up(self, details)

    monkeypatch.setattr(ScriptedService, "service", service)
    return seen


def test_a_name_travels_with_every_call_and_only_if_there_is_one(names):
    with scripted_service() as (service, target):
        service.script(*[pb.ApproveRiskParametersResponse(parameter_set=pb.ParameterSet(approved_by="bob"))] * 3)
        with Client(target, principal="bob") as client:
            assert client.approve_risk_parameters("house-2").approved_by == "bob"
        with Client(target) as client:
            client.approve_risk_parameters("house-2")

        async def approve():
            async with AsyncClient(target, principal="carol") as client:
                await client.approve_risk_parameters("house-2")

        asyncio.run(approve())
    assert names == ["bob", None, "carol"]


def test_a_shadow_run_is_streamed_and_its_failure_is_an_exception():
    broken = [ROWS[0], Failure(grpc.StatusCode.FAILED_PRECONDITION, reason="NO_MARKET_SNAPSHOT")]
    with scripted_service() as (service, target):
        service.script(ROWS, broken, ROWS, broken)
        with Client(target) as client:
            assert list(client.shadow_risk_parameters("house-2")) == ROWS
            with pytest.raises(PreconditionFailed) as caught:
                list(client.shadow_risk_parameters("house-2"))
            assert caught.value.reason == "NO_MARKET_SNAPSHOT"

        async def shadow():
            async with AsyncClient(target) as client:
                assert [row async for row in client.shadow_risk_parameters("house-2")] == ROWS
                with pytest.raises(PreconditionFailed):
                    _ = [row async for row in client.shadow_risk_parameters("house-2")]

        asyncio.run(shadow())


def test_sets_are_listed_to_the_last_page_and_margins_reproduced_by_both_clients():
    pages = [
        pb.ListRiskParametersResponse(parameter_sets=[pb.ParameterSet(parameter_set_id="a")], next_page_token="t"),  # noqa: S106
        pb.ListRiskParametersResponse(parameter_sets=[pb.ParameterSet(parameter_set_id="b")]),
    ]
    again = margin_service_pb2.ReproduceMarginResponse(reproduced=True)
    active = pb.ActivateRiskParametersResponse(parameter_set=pb.ParameterSet(ramp_days=5))
    proposed = pb.ProposeRiskParametersResponse(parameter_set=pb.ParameterSet(proposed_by="alice"))
    stamp = margin_service_pb2.MarginStamp(account="clients/a/accounts/b")
    with scripted_service() as (service, target):
        service.script(*[*pages, again, active, proposed] * 2)
        with Client(target) as client:
            assert [one.parameter_set_id for one in client.list_risk_parameters()] == ["a", "b"]
            assert client.reproduce_margin(stamp).reproduced
            assert client.activate_risk_parameters("b", ramp_days=5).ramp_days == 5
            assert client.propose_risk_parameters("{}").proposed_by == "alice"
        assert not service.seen[3].HasField("active_from_time")

        async def read():
            async with AsyncClient(target) as client:
                assert [one.parameter_set_id async for one in client.list_risk_parameters()] == ["a", "b"]
                assert (await client.reproduce_margin(stamp)).reproduced
                assert (await client.activate_risk_parameters("b", ramp_days=5)).ramp_days == 5
                assert (await client.propose_risk_parameters("{}")).proposed_by == "alice"

        asyncio.run(read())
