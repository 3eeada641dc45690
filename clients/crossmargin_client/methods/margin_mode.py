"""Advice on what to margin together."""

from __future__ import annotations

from crossmargin.api.v1 import risk_service_pb2
from crossmargin_client.call_kinds import One, ask, whole
from crossmargin_client.declaration import answers


class MarginModeMethods:
    """Advice on what to margin together."""

    @answers
    def advise_margin_mode(self, account: str, *, min_seq: int = 0) -> One[risk_service_pb2.AdviseMarginModeResponse]:
        """Return for each position of a cross account whether to margin it with the rest or to wall it off, and why."""
        request = risk_service_pb2.AdviseMarginModeRequest(account=account, min_seq=min_seq)
        return ask(lambda to: to.risk.AdviseMarginMode, request, whole)
