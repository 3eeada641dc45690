"""Liquidations: those that are open and for how long, what was traded of them, and what that cost against what was planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from threading import Lock
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from crossmargin.domain.liquidation_life import (
    OPEN_STATES,
    Fill,
    FillFlag,
    Liquidation,
    LiquidationState,
    LiquidationStep,
    LiquidationStepKind,
)
from crossmargin.usecases.ports.liquidation import OpenLiquidation

_AS_PLANNED: Final = "as planned"


class LiquidationMetrics(Collector):
    """See `LiquidationReports`. Clients with an open liquidation are few, so each has series of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lock = Lock()
        self._families: tuple[GaugeMetricFamily, ...] = ()
        self._steps = Counter(
            "crossmargin_liquidation_steps",
            "What happened to liquidations, as far as this process wrote it: approved, filled, done, abandoned, superseded, cured, expired "
            "and unreported.",
            ["kind"],
            registry=registry,
        )
        self._fills = Counter(
            "crossmargin_liquidation_fills",
            "Fills of liquidations that this process booked, by what is to be looked at about them; one with two flags counts twice.",
            ["flag"],
            registry=registry,
        )
        self._traded = Counter(
            "crossmargin_liquidation_traded_usd", "What was traded of liquidations, at the prices of the fills.", registry=registry
        )
        self._cost = Counter(
            "crossmargin_liquidation_cost_usd",
            "What liquidations cost: expected, by their plans for what was traded; worse and better, by how much prices were off that.",
            ["part"],
            registry=registry,
        )
        for kind in LiquidationStepKind:
            self._steps.labels(kind.value)
        for flag in (_AS_PLANNED, *(flag.value for flag in FillFlag)):
            self._fills.labels(flag)
        for part in ("expected", "worse", "better"):
            self._cost.labels(part)
        registry.register(self)

    def liquidations_seen(self, found: Sequence[OpenLiquidation]) -> None:
        """Publish the liquidations that are open in place of those that were."""
        families = tuple(_families(found))
        with self._lock:
            self._families = families

    def withdraw_liquidations(self) -> None:
        """Publish no liquidations."""
        with self._lock:
            self._families = ()

    def liquidation_stepped(self, step: LiquidationStep) -> None:
        """Count a step, and what was traded in it."""
        self._steps.labels(step.kind.value).inc()
        if step.fill is not None:
            self._count_fill(step.fill)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield what is open."""
        with self._lock:
            families = self._families
        yield from families

    def _count_fill(self, fill: Fill) -> None:
        for flag in [flag.value for flag in fill.flags] or [_AS_PLANNED]:
            self._fills.labels(flag).inc()
        self._traded.inc(float(fill.value))
        self._cost.labels("expected").inc(max(0.0, float(fill.expected_cost)))
        self._cost.labels("worse" if fill.cost > 0 else "better").inc(abs(float(fill.cost)))


def _families(found: Sequence[OpenLiquidation]) -> Iterator[GaugeMetricFamily]:
    every = [one.liquidation for one in found]
    yield _by_state(every)
    unreported = GaugeMetricFamily(
        "crossmargin_liquidations_unreported", "Open liquidations of which nothing has been reported for longer than the parameters allow."
    )
    unreported.add_metric([], sum(one.is_unreported for one in every))
    outdated = GaugeMetricFamily(
        "crossmargin_liquidations_outdated",
        "Open liquidations of which what is left would miss the target by now, goes further than it must or cannot be traded.",
    )
    outdated.add_metric([], sum(one.is_outdated for one in found))
    yield from (unreported, outdated)
    by_client: dict[str, list[Liquidation]] = defaultdict(list)
    for one in every:
        by_client[one.account.client_id].append(one)
    yield from _by_client(by_client)


def _by_state(every: Sequence[Liquidation]) -> GaugeMetricFamily:
    family = GaugeMetricFamily("crossmargin_liquidations_open", "Liquidations that are open, by their state.", labels=["state"])
    states = [one.state for one in every]
    for state in LiquidationState:
        if state in OPEN_STATES:
            family.add_metric([state.value], states.count(state))
    return family


def _by_client(by_client: dict[str, list[Liquidation]]) -> Iterator[GaugeMetricFamily]:
    said = (
        ("approved_timestamp_seconds", "When a client's oldest open liquidation was approved (Unix time)."),
        ("expiry_timestamp_seconds", "When the first of a client's open liquidations expires (Unix time)."),
        ("heard_timestamp_seconds", "When something was last reported of the open liquidation heard of least lately (Unix time)."),
        ("orders_left", "Orders of a client's open liquidations that are not done."),
        ("open_traded_usd", "What was traded of a client's open liquidations, at the prices of the fills."),
        ("open_cost_usd", "What a client's open liquidations have cost so far."),
        ("open_expected_cost_usd", "What all of a client's open liquidations were expected to cost."),
    )
    families = [GaugeMetricFamily(f"crossmargin_liquidation_{name}", words, labels=["client"]) for name, words in said]
    for client, own in sorted(by_client.items()):
        values = (
            _first(one.approved_at for one in own),
            _first(one.expires_at for one in own),
            _first(one.heard_at for one in own),
            float(sum(len(one.left) for one in own)),
            _sum(one.traded_value for one in own),
            _sum(one.cost for one in own),
            _sum(one.estimated_cost for one in own),
        )
        for family, value in zip(families, values, strict=True):
            family.add_metric([client], value)
    yield from families


def _first(moments: Iterable[datetime]) -> float:
    return min(moments).timestamp()


def _sum(amounts: Iterable[Decimal]) -> float:
    return float(sum(amounts, Decimal(0)))
