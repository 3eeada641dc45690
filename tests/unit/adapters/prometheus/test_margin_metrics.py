"""What Prometheus reads of a house run is what the run found, the worst clients first."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from crossmargin.adapters.prometheus.account_families import ACCOUNT_GAUGES, BRIDGE_PARTS
from crossmargin.adapters.prometheus.house_families import ASSET_LIMIT
from crossmargin.adapters.prometheus.margin_metrics import MarginMetrics
from crossmargin.adapters.prometheus.peg_families import PEG_GAUGES
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.collateral import CollateralPolicy
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import Band, Charge, DataQuality, DoubtedInput, GapLoss, RequirementBridge
from crossmargin.domain.market_quality import Quality, Verdict
from crossmargin.domain.peg import PegStanding
from tests.unit.adapters.prometheus.results import AS_OF, a_result, an_account

CORE = {"client": "alpha", "account": "core"}


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return MarginMetrics(registry)


def publish(metrics, *results, failed=None, pegs=None):
    bands = {result.stamp.account: BandState(result.band, is_immediate=result.utilization is None) for result in results}
    by_account = {result.stamp.account: result for result in results}
    metrics.publish_house(by_account, bands=bands, failed=failed or {}, pegs=pegs or {}, duration_s=1.5)


def series(registry, family):
    """All samples of a family by client, account and reason, as far as it has them."""
    return {
        tuple(sample.labels[name] for name in ("client", "account", "reason") if name in sample.labels): sample.value
        for found in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in found.samples
        if sample.name == family
    }


@pytest.mark.parametrize(
    ("family", "value"),
    [
        ("crossmargin_utilization_ratio", 0.65),
        ("crossmargin_equity_usd", 1000.5),
        ("crossmargin_initial_margin_usd", 812.5),
        ("crossmargin_maintenance_margin_usd", 650.0),
        ("crossmargin_excess_usd", 188.0),
        ("crossmargin_collateral_haircut_usd", 25.5),
        ("crossmargin_netting_benefit_ratio", 0.1875),
        ("crossmargin_band", 1.0),
    ],
)
def test_each_account_has_its_figures_under_its_client_and_account(registry, metrics, family, value):
    result = a_result(
        utilization="0.65",
        band=Band.WATCH,
        equity="1000.50",
        gross="800",
        market_requirement="650",
        initial_margin="812.5",
        haircuts=("20", "5.5"),
    )
    publish(metrics, result)
    assert registry.get_sample_value(family, CORE) == value
    assert set(series(registry, family)) == {("alpha", "core")}


def test_every_account_gauge_is_published_and_says_what_it_is(registry, metrics):
    publish(metrics, a_result())
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    for gauge in ACCOUNT_GAUGES:
        assert families[gauge.name].type == "gauge"
        assert families[gauge.name].documentation.endswith(".")


@pytest.mark.parametrize(("band", "number"), [(band, float(number)) for number, band in enumerate(Band)])
def test_worse_bands_have_greater_numbers(registry, metrics, band, number):
    publish(metrics, a_result(band=band))
    assert registry.get_sample_value("crossmargin_band", CORE) == number


def test_utilization_is_infinite_when_equity_is_gone(registry, metrics):
    publish(metrics, a_result(utilization=None))
    assert registry.get_sample_value("crossmargin_utilization_ratio", CORE) == math.inf
    assert registry.get_sample_value("crossmargin_client_utilization_ratio", {"client": "alpha"}) == math.inf
    assert b'crossmargin_utilization_ratio{account="core",client="alpha"} +Inf' in generate_latest(registry)


def test_an_account_without_risk_has_no_netting_benefit(registry, metrics):
    publish(metrics, a_result(gross="0", market_requirement="0"))
    assert registry.get_sample_value("crossmargin_netting_benefit_ratio", CORE) == 0.0


def test_a_client_is_as_utilized_as_its_worst_account(registry, metrics):
    publish(metrics, a_result(an_account("alpha", "core"), utilization="0.3"), a_result(an_account("alpha", "other"), utilization="0.7"))
    assert series(registry, "crossmargin_client_utilization_ratio") == {("alpha",): 0.7}


def test_the_cap_on_labels_keeps_the_worst_clients_and_counts_the_dropped(registry):
    metrics = MarginMetrics(registry, client_limit=2)
    publish(
        metrics,
        a_result(an_account("calm"), utilization="0.1"),
        a_result(an_account("gone"), utilization=None),
        a_result(an_account("mixed", "good"), utilization="0.05"),
        a_result(an_account("mixed", "bad"), utilization="0.9"),
        a_result(an_account("quiet"), utilization="0"),
    )
    assert set(series(registry, "crossmargin_equity_usd")) == {("gone", "core"), ("mixed", "good"), ("mixed", "bad")}
    assert set(series(registry, "crossmargin_client_utilization_ratio")) == {("gone",), ("mixed",)}
    assert registry.get_sample_value("crossmargin_clients_dropped") == 2.0
    assert registry.get_sample_value("crossmargin_accounts_margined") == 5.0


def test_of_equally_utilized_clients_the_cap_keeps_the_same_ones_every_time(registry):
    metrics = MarginMetrics(registry, client_limit=1)
    for order in (("a", "b"), ("b", "a")):
        publish(metrics, *(a_result(an_account(client)) for client in order))
        assert set(series(registry, "crossmargin_client_utilization_ratio")) == {("a",)}


def test_failed_accounts_are_counted_by_reason(registry, metrics):
    failed = {an_account(name): reason for name, reason in [("a", "MISSING_RISK_FACTOR"), ("b", "INVALID_PRICE"), ("c", "INVALID_PRICE")]}
    publish(metrics, a_result(), failed=failed)
    assert series(registry, "crossmargin_accounts_failed") == {("INVALID_PRICE",): 2.0, ("MISSING_RISK_FACTOR",): 1.0}
    publish(metrics, a_result())
    assert series(registry, "crossmargin_accounts_failed") == {}


def test_a_run_says_when_it_ended_how_long_it_took_and_how_old_its_market_is(registry, metrics):
    started = time.time()
    publish(metrics, a_result(as_of=AS_OF - timedelta(hours=1)), a_result(an_account("beta"), as_of=AS_OF))
    assert registry.get_sample_value("crossmargin_house_run_duration_seconds") == 1.5
    assert registry.get_sample_value("crossmargin_snapshot_timestamp_seconds") == AS_OF.timestamp()
    assert started <= registry.get_sample_value("crossmargin_house_run_timestamp_seconds") <= time.time()


def test_a_new_run_replaces_the_last_one(registry, metrics):
    publish(metrics, a_result(an_account("alpha")), a_result(an_account("beta")))
    publish(metrics, a_result(an_account("beta"), equity="7"))
    assert series(registry, "crossmargin_equity_usd") == {("beta", "core"): 7.0}


def test_every_stablecoin_shows_its_slow_price_for_how_long_it_is_off_its_peg_and_whether_that_is_lost(registry, metrics):
    well, slipped = InstrumentId("USDC"), InstrumentId("RLUSD")
    pegs = {
        well: PegStanding(Decimal("0.998"), timedelta(0), is_lost=False),
        slipped: PegStanding(Decimal("0.93"), timedelta(minutes=90), is_lost=True),
    }
    publish(metrics, a_result(), pegs=pegs)
    seen = [[registry.get_sample_value(gauge.name, {"instrument": coin}) for coin in (well, slipped)] for gauge in PEG_GAUGES]
    assert seen == [[0.998, 0.93], [0, 5400], [0, 1]]
    metrics.withdraw_house()
    assert registry.get_sample_value("crossmargin_stablecoin_peg_lost", {"instrument": slipped}) is None


def test_a_process_that_leads_again_has_not_run_the_house_yet(registry, metrics):
    publish(metrics, a_result())
    metrics.withdraw_house()
    metrics.lead_house()
    assert registry.get_sample_value("crossmargin_house_run_timestamp_seconds") == 0


def test_a_process_that_no_longer_leads_publishes_no_accounts(registry, metrics):
    metrics.lead_house()
    publish(metrics, a_result())
    assert registry.get_sample_value("crossmargin_monitor_leader") == 1.0
    metrics.withdraw_house()
    assert registry.get_sample_value("crossmargin_monitor_leader") == 0.0
    for family in (*(gauge.name for gauge in ACCOUNT_GAUGES), "crossmargin_client_utilization_ratio", "crossmargin_accounts_margined"):
        assert series(registry, family) == {}
    publish(metrics, a_result())
    assert registry.get_sample_value("crossmargin_equity_usd", CORE) == 1000.0


def test_before_the_first_run_there_are_no_accounts_and_no_leader(registry, metrics):
    assert registry.get_sample_value("crossmargin_monitor_leader") == 0.0
    assert series(registry, "crossmargin_utilization_ratio") == {}


def test_a_process_leads_before_it_has_found_anything(registry, metrics):
    metrics.lead_house()
    assert registry.get_sample_value("crossmargin_monitor_leader") == 1.0
    assert series(registry, "crossmargin_utilization_ratio") == {}


def test_a_run_that_could_not_begin_is_counted_and_leaves_the_last_results(registry, metrics):
    publish(metrics, a_result())
    metrics.house_failed("NO_MARKET_SNAPSHOT")
    metrics.house_failed("NO_MARKET_SNAPSHOT")
    metrics.house_failed("STORAGE_UNAVAILABLE")
    assert series(registry, "crossmargin_house_run_failures_total") == {("NO_MARKET_SNAPSHOT",): 2.0, ("STORAGE_UNAVAILABLE",): 1.0}
    assert registry.get_sample_value("crossmargin_equity_usd", CORE) == 1000.0


def test_doubted_market_data_shows_as_a_range_and_as_a_count_of_accounts(registry, metrics):
    suspect = DoubtedInput("spot:BTC", Quality(Verdict.SUSPECT, AS_OF, Decimal(1), Decimal(2)))
    stale = DoubtedInput("spot:ETH", Quality(Verdict.STALE, AS_OF, Decimal(1), Decimal(2)))
    open_ended = DataQuality(
        (suspect, stale), Decimal("0.4"), None, None, None, Band.HEALTHY, Band.LIQUIDATION, may_liquidate=False, is_provisional=True
    )
    doubted = replace(a_result(utilization="0.5"), quality=open_ended)
    publish(metrics, doubted, a_result(an_account("beta"), utilization="0.3"))
    assert series(registry, "crossmargin_utilization_low_ratio") == {("alpha", "core"): 0.4, ("beta", "core"): 0.3}
    assert series(registry, "crossmargin_utilization_high_ratio") == {("alpha", "core"): math.inf, ("beta", "core"): 0.3}
    assert series(registry, "crossmargin_band_provisional") == {("alpha", "core"): 1.0, ("beta", "core"): 0.0}
    counts = {
        verdict: registry.get_sample_value("crossmargin_accounts_doubted", {"verdict": verdict})
        for verdict in ("suspect", "stale", "missing")
    }
    assert counts == {"suspect": 0, "stale": 1, "missing": 0}


def test_an_isolated_account_shows_what_the_broker_bears(registry, metrics):
    gap = GapLoss(realized=Decimal("120.5"), expected=Decimal("130.25"), worst=Decimal(900), worst_scenario="March")
    publish(metrics, replace(a_result(), gap=gap), a_result(an_account("beta")))
    assert registry.get_sample_value("crossmargin_gap_loss_usd", CORE) == 120.5
    assert registry.get_sample_value("crossmargin_expected_gap_loss_usd", CORE) == 130.25
    assert set(series(registry, "crossmargin_gap_loss_usd")) == {("alpha", "core")}, "a cross account has no gap to speak of"


def test_the_parts_of_the_bridge_lead_from_gross_to_the_maintenance_margin(registry, metrics):
    bridge = RequirementBridge(
        gross=Decimal(1000),
        netting_inside_groups=Decimal(300),
        netting_inside_classes=Decimal(150),
        netting_across_classes=Decimal(50),
        market_requirement=Decimal(500),
        charges=(Charge("liquidity", Decimal(20)), Charge("basis", Decimal("5.5"))),
        maintenance_margin=Decimal("525.5"),
        initial_margin=Decimal(700),
    )
    publish(metrics, replace(a_result(), requirement=bridge))
    parts = {part: registry.get_sample_value("crossmargin_requirement_part_usd", {**CORE, "part": part}) for part in BRIDGE_PARTS}
    netting = parts["netting_inside_groups"] + parts["netting_inside_classes"] + parts["netting_across_classes"]
    assert (parts["gross"], netting, parts["charges"]) == (1000, 500, 25.5)
    assert parts["gross"] - netting + parts["charges"] == registry.get_sample_value("crossmargin_maintenance_margin_usd", CORE)


def collateral(registry):
    """Every asset's parts, in the order published."""
    found = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        if family.name == "crossmargin_house_collateral_usd":
            for sample in family.samples:
                found.setdefault(sample.labels["asset"], {})[sample.labels["part"]] = sample.value
    return found


def with_lines(result, *lines):
    return replace(result, equity=replace(result.equity, lines=lines))


def a_line(asset, counted, haircut="0", over_limit="0", policy=CollateralPolicy.PLEDGED):
    amounts = [Decimal(each) for each in (counted, haircut, over_limit)]
    line = a_result().equity.lines[0]
    return replace(
        line,
        instrument_id=InstrumentId(asset),
        policy=policy,
        market_value=sum(amounts),
        value_in_equity=amounts[0],
        haircut=amounts[1],
        over_limit=amounts[2],
    )


def test_collateral_of_all_clients_is_added_up_by_asset_also_of_those_without_series(registry):
    metrics = MarginMetrics(registry, client_limit=1)
    publish(
        metrics,
        with_lines(a_result(utilization="0.9"), a_line("RLUSD", "90", "8", "2"), a_line("USD", "500")),
        with_lines(a_result(an_account("beta")), a_line("RLUSD", "10", "1"), a_line("EUR", "-70", policy=None)),
    )
    assert collateral(registry) == {
        "USD": {"counted": 500, "haircut": 0, "over_limit": 0},
        "RLUSD": {"counted": 100, "haircut": 9, "over_limit": 2},
    }, "a liability is no collateral"


def test_only_the_largest_assets_have_series_and_the_rest_is_added_up(registry, metrics):
    lines = [a_line(f"BOND-{number:02d}", str(number), "1") for number in range(ASSET_LIMIT + 2)]
    publish(metrics, with_lines(a_result(), *lines))
    found = collateral(registry)
    assert len(found) == ASSET_LIMIT + 1
    assert next(iter(found)) == f"BOND-{ASSET_LIMIT + 1:02d}"
    assert found["other"] == {"counted": 1.0, "haircut": 2.0, "over_limit": 0.0}


def test_what_is_published_is_not_changed_by_what_the_monitor_does_next(registry, metrics):
    """Series are made when somebody scrapes, which is after the run."""
    results = {an_account(): a_result()}
    failed = {}
    metrics.publish_house(results, bands={}, failed=failed, pegs={}, duration_s=1)
    results.clear()
    failed[an_account("beta")] = "INVALID_PRICE"
    assert registry.get_sample_value("crossmargin_equity_usd", CORE) == 1000.0
    assert series(registry, "crossmargin_accounts_failed") == {}


def test_a_run_is_only_handed_over_and_looked_at_by_who_scrapes(registry, metrics):
    """Publishing is done on the event loop that answers calls; making ten thousand samples there would hold them all up."""
    metrics.publish_house({an_account(): None}, failed={}, bands={}, pegs={}, duration_s=1.0)
    with pytest.raises(AttributeError):
        generate_latest(registry)
