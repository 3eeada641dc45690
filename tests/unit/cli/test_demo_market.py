"""The demo's market goes on where a busy machine lets a tick go by, and ends with the service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from crossmargin.api.v1 import market_service_pb2
from crossmargin_cli import demo
from crossmargin_client import DeadlineExceeded, NotFound

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATE = DeadlineExceeded("too late", reason="DEADLINE_EXCEEDED", code=grpc.StatusCode.DEADLINE_EXCEEDED)
GONE = NotFound("gone", reason="UNKNOWN_SNAPSHOT", code=grpc.StatusCode.NOT_FOUND)


class Service:
    """Takes snapshots, and answers each call as it is told to; it is alive until it has been asked too often."""

    def __init__(self, answers, *, lives=10):
        self.answers, self.lives, self.published = list(answers), lives, []
        self.process = self

    def check_alive(self):
        self.lives -= 1
        if self.lives < 0:
            raise SystemExit(1)

    def publish_snapshot(self, as_of, levels, marks):
        answer = self.answers.pop(0) if self.answers else KeyboardInterrupt()
        if answer is not None:
            raise answer
        self.published.append(as_of)

    def get_snapshot(self):
        snapshot = market_service_pb2.MarketSnapshot(levels={"spot:BTC": "60000"})
        snapshot.as_of_time.FromDatetime(NOON)
        return market_service_pb2.GetSnapshotResponse(snapshot=snapshot)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(demo.time, "sleep", lambda _: None)


def test_a_tick_that_is_too_late_is_left_out_and_the_next_one_comes_at_its_time():
    service = Service([None, LATE, None])
    with pytest.raises(KeyboardInterrupt):
        demo._move_market(service, service)
    assert service.published == [NOON + timedelta(seconds=2), NOON + timedelta(seconds=6)]


def test_a_refusal_ends_it():
    service = Service([GONE])
    with pytest.raises(NotFound):
        demo._move_market(service, service)


def test_a_service_that_is_gone_ends_it():
    service = Service([LATE] * 5, lives=2)
    with pytest.raises(SystemExit):
        demo._move_market(service, service)
