"""Open liquidations are published with their age and what they cost, and everything that happens to one is counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from crossmargin.adapters.prometheus.liquidation_metrics import LiquidationMetrics
from crossmargin.adapters.runtime.liquidation_log import LiquidationLog
from crossmargin.adapters.runtime.logs import FIELDS
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.liquidation_life import Fill, filled, unreported
from crossmargin.usecases.ports.liquidation import OpenLiquidation
from tests.contract.test_liquidation_contract import NOW, a_liquidation
from tests.unit.adapters.prometheus.results import an_account

D = Decimal
PERP = InstrumentId("PERP")


def test_open_liquidations_are_published_by_client_and_withdrawn_with_the_lead():
    registry = CollectorRegistry()
    metrics = LiquidationMetrics(registry)
    first = a_liquidation(account=an_account("alpha", "core")).liquidation
    fill = Fill(PERP, D("-2.5"), D(51_000), 8, D(3), D(127_500))
    done = filled(first, fill, fill.price, at=NOW + timedelta(minutes=1), by="olivia").liquidation
    other = a_liquidation(account=an_account("alpha", "second"), at=NOW + timedelta(hours=1)).liquidation
    silent = unreported(other, report_within=timedelta(0), at=NOW + timedelta(hours=1), by="crossmargin").liquidation
    metrics.liquidations_seen([OpenLiquidation(done, is_outdated=True), OpenLiquidation(silent, is_outdated=False)])

    def value(name, **labels):
        return registry.get_sample_value(f"crossmargin_{name}", labels)

    assert [value("liquidations_open", state=state) for state in ("approved", "executing", "done")] == [1, 1, None]
    assert (value("liquidations_unreported"), value("liquidations_outdated")) == (1, 1)
    assert value("liquidation_approved_timestamp_seconds", client="alpha") == NOW.timestamp()
    assert value("liquidation_expiry_timestamp_seconds", client="alpha") == (NOW + timedelta(hours=4)).timestamp()
    assert value("liquidation_heard_timestamp_seconds", client="alpha") == (NOW + timedelta(minutes=1)).timestamp()
    assert value("liquidation_orders_left", client="alpha") == 3, "one of the first, two of the second"
    assert value("liquidation_open_traded_usd", client="alpha") == 127_500
    assert value("liquidation_open_cost_usd", client="alpha") == float(done.cost) == 13.01
    assert value("liquidation_open_expected_cost_usd", client="alpha") == 2 * 10.01
    metrics.withdraw_liquidations()
    assert value("liquidations_unreported") is None


def test_steps_and_fills_are_counted_from_zero_on():
    registry = CollectorRegistry()
    reports = LiquidationLog(LiquidationMetrics(registry))

    def value(name, **labels):
        return registry.get_sample_value(f"crossmargin_liquidation_{name}_total", labels)

    assert (value("steps", kind="expired"), value("fills", flag="late"), value("cost_usd", part="better")) == (0, 0, 0)
    first = a_liquidation()
    reports.liquidation_stepped(first.step)
    half = filled(first.liquidation, Fill(PERP, D("-1.25"), D(53_000), 8, D(-20), D(66_250)), D(53_000), at=NOW, by="olivia")
    rest = filled(half.liquidation, Fill(PERP, D("-1.25"), D(50_000), 9, D(7), D(62_500)), D(50_000), at=NOW, by="olivia")
    for change in (half, rest):
        reports.liquidation_stepped(change.step)
    assert (value("steps", kind="approved"), value("steps", kind="filled")) == (1, 2)
    assert (value("fills", flag="as planned"), value("fills", flag="beyond limit")) == (1, 1)
    assert value("traded_usd") == 128_750
    assert [value("cost_usd", part=part) for part in ("expected", "worse", "better")] == [10.0, 7, 20]


def test_what_somebody_has_to_see_to_is_logged_as_a_warning():
    step = a_liquidation().step
    reports = LiquidationLog(LiquidationMetrics(CollectorRegistry()))
    silent = unreported(a_liquidation().liquidation, report_within=timedelta(0), at=NOW, by="crossmargin").step
    with capture_logs() as lines:
        reports.liquidation_stepped(step)
        reports.liquidation_stepped(replace(silent, text="nothing"))
        too_much = filled(a_liquidation().liquidation, Fill(PERP, D(-3), D(53_000), 8, D(0), opened=D(-1)), D(53_000), at=NOW, by="olivia")
        reports.liquidation_stepped(too_much.step)
    assert all(line.keys() - {"log_level"} <= FIELDS for line in lines), "the log says it"
    assert [(line["log_level"], line["step"], line["account"]) for line in lines] == [
        ("info", "approved", str(step.account)),
        ("warning", "unreported", str(step.account)),
        ("warning", "filled", str(step.account)),
    ]
