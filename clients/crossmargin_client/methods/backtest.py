"""Tests of the requirement on the past."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from crossmargin.api.v1 import risk_service_pb2
from crossmargin_client.call_kinds import Many, run
from crossmargin_client.declaration import yields
from crossmargin_client.values import Exact, optional_date, optional_text


class BacktestMethods:
    """Tests of the requirement on the past."""

    @yields
    def run_backtest(
        self,
        *,
        account: str = "",
        books: Iterable[str] = (),
        first_day: date | None = None,
        last_day: date | None = None,
        every: int = 1,
        confidence: Exact | None = None,
        parameter_set_id: str = "",
    ) -> Many[risk_service_pb2.RunBacktestResponse]:
        """Yield the plan of a backtest, its progress, and at the end one message for each book: an account, or benchmark books.

        Stop reading to stop the test. One that breaks is not continued.
        """
        request = risk_service_pb2.RunBacktestRequest(
            account=account,
            books=books,
            first_day=optional_date(first_day, field="first_day"),
            last_day=optional_date(last_day, field="last_day"),
            every=every,
            confidence=optional_text(confidence, field="confidence"),
            parameter_set_id=parameter_set_id,
        )
        return run(lambda to: to.risk.RunBacktest, request)
