"""Cascades of liquidations."""

from __future__ import annotations

from crossmargin.api.v1 import risk_service_pb2
from crossmargin_client.call_kinds import Many, run
from crossmargin_client.declaration import yields


class CascadeMethods:
    """Cascades of liquidations."""

    @yields
    def simulate_cascade(self, request: risk_service_pb2.SimulateCascadeRequest) -> Many[risk_service_pb2.SimulateCascadeResponse]:
        """Yield the plan of a cascade, round 0, which is the shock alone, every round, and what it came to. Stop reading to stop."""
        return run(lambda to: to.risk.SimulateCascade, request)
