"""Stress: named moves, moves of one's own, and the move that breaks."""

from __future__ import annotations

from collections.abc import Iterable

from crossmargin.api.v1 import risk_service_pb2
from crossmargin_client.call_kinds import Many, One, ask, run, whole
from crossmargin_client.declaration import answers, yields


class StressMethods:
    """Stress: named moves, moves of one's own, and the move that breaks."""

    @answers
    def list_stress_scenarios(self) -> One[risk_service_pb2.ListStressScenariosResponse]:
        """Return the named scenarios of the risk parameters in force."""
        request = risk_service_pb2.ListStressScenariosRequest()
        return ask(lambda to: to.risk.ListStressScenarios, request, whole)

    @yields
    def run_stress(
        self,
        *,
        account: str = "",
        scenarios: Iterable[str] = (),
        ad_hoc: Iterable[risk_service_pb2.AdHocScenario] = (),
        correlation: bool = False,
        accounts_shown: int | None = None,
        positions_shown: int | None = None,
    ) -> Many[risk_service_pb2.RunStressResponse]:
        """Yield the plan of a stress, its progress, and the outcome of each scenario: of an account, or of every open one.

        With no scenario of any sort the whole library is run, and correlation stress. Stop reading to stop the run. One that breaks is
        not continued.
        """
        request = risk_service_pb2.RunStressRequest(
            account=account,
            scenarios=scenarios,
            ad_hoc=ad_hoc,
            correlation=correlation,
            accounts_shown=accounts_shown,
            positions_shown=positions_shown,
        )
        return run(lambda to: to.risk.RunStress, request)

    @yields
    def reverse_stress(
        self, line: risk_service_pb2.BreakLine.ValueType, *, account: str = ""
    ) -> Many[risk_service_pb2.ReverseStressResponse]:
        """Yield the plan, progress, and the most plausible move that breaks an account, or each open one. Stop reading to stop."""
        request = risk_service_pb2.ReverseStressRequest(account=account, line=line)
        return run(lambda to: to.risk.ReverseStress, request)
