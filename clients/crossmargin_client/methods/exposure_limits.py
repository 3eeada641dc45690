"""Limits of clients and accounts."""

from __future__ import annotations

from crossmargin.api.v1 import account_service_pb2
from crossmargin_client.call_kinds import One, ask, whole
from crossmargin_client.declaration import answers
from crossmargin_client.requests import new_request_id


class ExposureLimitMethods:
    """Limits of clients and accounts."""

    @answers
    def set_limits(
        self, limits: account_service_pb2.ExposureLimits, *, confirms: str = "", request_id: str | None = None
    ) -> One[account_service_pb2.SetLimitsResponse]:
        """Replace the limits of a client or account (see `exposure_limits`), once two persons have asked for it; as `resume`."""
        request = account_service_pb2.SetLimitsRequest(request_id=request_id or new_request_id(), limits=limits, confirms=confirms)
        return ask(lambda to: to.accounts.SetLimits, request, whole)

    @answers
    def get_limits(self, scope: str) -> One[account_service_pb2.ExposureLimits]:
        """Return the limits of clients/{client} or clients/{client}/accounts/{account}."""
        request = account_service_pb2.GetLimitsRequest(scope=scope)
        return ask(lambda to: to.accounts.GetLimits, request, lambda answer: answer.limits)
