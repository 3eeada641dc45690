"""A margin computed once can be computed again to the last bit, whatever has happened since."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.memory.metrics import MemoryCallReports, MemoryLiquidationReports, MemoryQuoteMetrics, MemoryRequestReports
from crossmargin.adapters.runtime.compute_pool import ThreadComputePool
from crossmargin.adapters.runtime.standard_parameters import standard_parameters_document
from crossmargin.app import Ports, build_use_cases, store_shipped_parameters
from crossmargin.domain.account import Account, AccountMode, Client
from crossmargin.domain.book import Deposit
from crossmargin.domain.collateral import AccountCollateralPolicy, CollateralPolicy
from crossmargin.domain.errors import Reason
from crossmargin.domain.house import HouseView
from crossmargin.domain.identifiers import AccountId, AccountRef, BookId, InstrumentId, RiskParameterSetId, SnapshotId
from crossmargin.domain.instrument import CryptoAsset, Instrument, Stablecoin
from crossmargin.domain.liquidation import DepthLevel, OrderBook, PlanWish
from crossmargin.domain.market import FactorId, MarketSnapshot
from crossmargin.domain.methodology import AccountMethodology, Methodology
from crossmargin.engine.kernels.choice import Kernels
from crossmargin.engine.scenarios import build_scenario_set
from crossmargin.usecases.caller import Caller
from crossmargin.usecases.current_market import CurrentMarket
from crossmargin.usecases.reproduce_liquidation import PastPlan
from tests.unit.usecases.house import (
    BITCOIN,
    BTC,
    CORE,
    DOLLARS,
    ETHER,
    EUROS,
    NOON,
    PERPETUAL,
    SteppedClock,
    a_history,
    perpetual_trade,
    spot_trade,
)
from tests.unit.usecases.refusals import refused

DAY = timedelta(days=1)
RIPPLE = Instrument(InstrumentId("XRP"), CryptoAsset(), 6, "LARGE_ALT")
RIPPLE_DOLLAR = Instrument(InstrumentId("RLUSD"), Stablecoin("USD", "Ripple"), 6, "REGULATED_STABLECOIN")
SATELLITE = AccountRef(CORE.client_id, AccountId("satellite"))


class Desk:
    """The use cases over one storage, and the business that goes on after a margin was computed."""

    def __init__(self, storage, compute):
        self.ports = Ports(
            writer=storage.writer,
            books=storage.books,
            instruments=storage.instruments,
            market=storage.market,
            history=storage.history,
            calls=storage.calls,
            liquidations=storage.liquidations,
            parameters=storage.parameters,
            clock=SteppedClock(),
            compute=compute,
            quotes=storage.quotes,
            breakers=storage.breakers,
            reconciliation=storage.reconciliation,
            pending=storage.pending,
            quote_metrics=MemoryQuoteMetrics(),
            request_reports=MemoryRequestReports(),
            call_reports=MemoryCallReports(),
            liquidation_reports=MemoryLiquidationReports(),
            audit=storage.audit,
        )
        self.use_cases = self.replica()
        self._number = 0

    def replica(self):
        """The use cases of another process: nothing is remembered."""
        return build_use_cases(self.ports, self.market())

    def market(self):
        return CurrentMarket(self.ports.instruments, self.ports.market, self.ports.parameters, self.ports.compute)

    def caller(self, principal="desk"):
        self._number += 1
        return Caller(principal, f"request-{self._number}")

    async def open(self):
        await store_shipped_parameters(self.ports)
        for instrument in (DOLLARS, BITCOIN, PERPETUAL):
            await self.use_cases.create_instrument(instrument, caller=self.caller())
        await self.use_cases.create_client(Client(CORE.client_id, "Alpha"), caller=self.caller())
        await self.use_cases.create_account(Account(CORE, "Core", AccountMode.CROSS), caller=self.caller())
        satellite = Account(SATELLITE, "Satellite", AccountMode.ISOLATED, CORE.account_id)
        await self.use_cases.create_account(satellite, caller=self.caller())
        await self.use_cases.import_history(a_history("spot:BTC", "spot:ETH", "fx:EUR"))
        await self.publish()
        for account in (CORE, SATELLITE):
            await self.deposit("1000000.01", account=account)
            await self.trade("3.217", account=account)
        await self.use_cases.record_trades(CORE, [spot_trade("1.23456789")], caller=self.caller())
        await self.pledge(CollateralPolicy.PLEDGED)

    async def publish(self, bitcoin="60000", *, at=NOON, **others):
        levels = {"spot:BTC": bitcoin, "spot:ETH": "3000", "fx:EUR": "1.1"} | {f"spot:{name}": level for name, level in others.items()}
        snapshot = MarketSnapshot(at, {FactorId.parse(name): Decimal(level) for name, level in levels.items()}, {})
        await self.use_cases.publish_snapshot(snapshot, principal="feed")

    async def deposit(self, quantity, *, account=CORE, instrument_id=DOLLARS.instrument_id):
        deposit = Deposit(account, BookId("main"), instrument_id, Decimal(quantity), NOON)
        await self.use_cases.deposit_collateral(deposit, caller=self.caller())

    async def trade(self, quantity, *, account=CORE):
        await self.use_cases.record_trades(account, [perpetual_trade(quantity, account=account)], caller=self.caller())

    async def pledge(self, policy):
        await self.use_cases.set_collateral_policy(AccountCollateralPolicy(CORE, BTC, policy), caller=self.caller())

    async def adopt(self, set_id, *, active_from=None, ramp_days=0, **changes):
        name = RiskParameterSetId(set_id)
        document = json.loads(standard_parameters_document()) | {"set_id": set_id} | changes
        await self.use_cases.propose_parameters(json.dumps(document), caller=self.caller("alice"))
        await self.use_cases.approve_parameters(name, caller=self.caller("bob"))
        await self.use_cases.activate_parameters(name, active_from=active_from, ramp_days=ramp_days, caller=self.caller("bob"))

    async def go_on(self):
        """Change everything that a margin depends on."""
        await self.trade("-11")
        await self.deposit("5")
        await self.pledge(CollateralPolicy.RISKED)
        await self.use_cases.import_history(a_history("spot:BTC", "spot:ETH", seed=7))
        for instrument in (ETHER, EUROS):
            await self.use_cases.create_instrument(instrument, caller=self.caller())
        await self.deposit("10", instrument_id=ETHER.instrument_id)
        await self.adopt("house-9", active_from=NOON + 400 * DAY, tail_fraction="0.05", initial_margin_multiple="2")
        await self.publish("48000", at=NOON + 400 * DAY)
        changed = await self.use_cases.evaluate_margin(CORE)
        assert (changed.stamp.parameter_set_id, changed.stamp.sequence) == ("house-9", 8)


@pytest.fixture
async def desk(storage):
    compute = ThreadComputePool()
    desk = Desk(storage, compute)
    await desk.open()
    yield desk
    compute.close()


def assert_same_bits(again, result):
    for part in fields(result):
        assert getattr(again, part.name) == getattr(result, part.name), part.name
    # Equal decimals may still have been rounded differently on their way; what is printed of them may not differ either.
    assert [str(one.pnl) for one in again.worst_scenarios] == [str(one.pnl) for one in result.worst_scenarios]


@pytest.mark.parametrize("account", [CORE, SATELLITE], ids=["cross", "isolated"])
async def test_a_margin_is_reproduced_to_the_last_bit_after_everything_has_changed(desk, account):
    then = await desk.use_cases.evaluate_margin(account)
    await desk.go_on()
    assert await desk.use_cases.evaluate_margin(account) != then
    reproduction = await desk.replica().reproduce_margin(then.stamp)
    assert reproduction.difference is None
    assert_same_bits(reproduction.result, then)


async def test_a_margin_on_the_ramp_between_two_sets_is_reproduced(desk):
    await desk.adopt("house-2", active_from=NOON + DAY, ramp_days=3, tail_fraction="0.01", offset_within_class="0.5")
    await desk.publish("59000.5", at=NOON + 2 * DAY)
    then = await desk.use_cases.evaluate_margin(CORE)
    assert then.stamp.ramp.fraction == Decimal("0.333333333333")
    await desk.go_on()
    reproduction = await desk.replica().reproduce_margin(then.stamp)
    assert reproduction.difference is None
    assert_same_bits(reproduction.result, then)


async def test_every_charge_on_the_ramp_between_two_sets_is_reproduced(desk):
    """A slipped stablecoin and the coin of its issuer, a hedge by a perpetual: what charges, and what only new risk has to cover."""
    await desk.use_cases.import_history(a_history("spot:USDC", seed=2))
    for instrument in (RIPPLE, RIPPLE_DOLLAR):
        await desk.use_cases.create_instrument(instrument, caller=desk.caller())
        await desk.deposit("300000", instrument_id=instrument.instrument_id)
    await desk.pledge(CollateralPolicy.RISKED)
    await desk.trade("-5")
    charges = json.loads(standard_parameters_document())["charges"] | {
        "liquidity": {"spread_multiple": "4", "base_days": "0.3", "participation_fraction": "0.0001"}
    }
    await desk.adopt("house-2", active_from=NOON + DAY, ramp_days=3, charges=charges)
    await desk.publish("59000.5", at=NOON + 2 * DAY, XRP="2.1", RLUSD="0.98")
    then = await desk.use_cases.evaluate_margin(CORE)
    assert {"liquidity", "basis", "wrong-way"} <= {charge.name for charge in then.requirement.charges}
    assert [charge.name for charge in then.requirement.initial_only] == ["depeg"]
    await desk.use_cases.create_instrument(ETHER, caller=desk.caller())
    await desk.trade("1")
    await desk.publish(at=NOON + 40 * DAY, XRP="1", RLUSD="1")
    reproduction = await desk.replica().reproduce_margin(then.stamp)
    assert reproduction.difference is None
    assert_same_bits(reproduction.result, then)


async def test_a_slow_price_and_a_clock_of_the_past_are_reproduced_from_the_snapshot(desk):
    await desk.use_cases.import_history(a_history("spot:USDC", seed=2))
    await desk.use_cases.create_instrument(RIPPLE_DOLLAR, caller=desk.caller())
    await desk.deposit("300000", instrument_id=RIPPLE_DOLLAR.instrument_id)
    results = []
    for hours, price in ((1, "0.9"), (25, "0.985"), (49, "0.985"), (74, "0.985"), (75, "1"), (99, "1")):
        await desk.publish(at=NOON + timedelta(hours=hours), RLUSD=price)
        results.append(await desk.use_cases.evaluate_margin(CORE))
    lines = [line for then in results for line in then.equity.lines if line.instrument_id == RIPPLE_DOLLAR.instrument_id]
    told = [(str(line.peg.counted_price.normalize()), line.peg.is_lost) if line.peg else ("1", False) for line in lines]
    assert told == [("0.9", True), ("0.95", False), ("0.985", False), ("0.985", True), ("0.987083333333333333", True), ("1", False)]
    await desk.adopt("house-2", active_from=NOON + 100 * DAY, charges=json.loads(standard_parameters_document())["charges"])
    await desk.publish(at=NOON + 101 * DAY, RLUSD="0.6")
    replica = desk.replica()
    for then in results:
        assert_same_bits((await replica.reproduce_margin(then.stamp)).result, then)


async def test_every_version_of_a_changing_account_is_reproduced(desk):
    results = []
    for step in range(4):
        results.append(await desk.use_cases.evaluate_margin(CORE))
        await desk.trade(str(step + 1))
        await desk.pledge(list(CollateralPolicy)[step % 2])
        await desk.use_cases.import_history(a_history("spot:BTC", seed=step))
        await desk.publish(str(60_000 + step), at=NOON + (step + 1) * timedelta(minutes=1))
    replica = desk.replica()
    for then in results:
        assert_same_bits((await replica.reproduce_margin(then.stamp)).result, then)
    assert len({then.stamp.scenario_set_hash for then in results}) == 4


async def test_instruments_that_are_not_held_have_no_part_in_a_margin(desk):
    alone = await desk.use_cases.evaluate_margin(CORE)
    for instrument in (ETHER, EUROS):
        await desk.use_cases.create_instrument(instrument, caller=desk.caller())
    among_others = await desk.use_cases.evaluate_margin(CORE)
    assert among_others.stamp.scenario_set_hash != alone.stamp.scenario_set_hash
    assert replace(among_others, stamp=alone.stamp) == alone


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"engine_version": "0"}, Reason.ENGINE_VERSION_DIFFERS),
        ({"sequence": 99}, Reason.SEQUENCE_NOT_REACHED),
        ({"snapshot_id": SnapshotId("0" * 32)}, Reason.UNKNOWN_SNAPSHOT),
        ({"parameter_set_id": RiskParameterSetId("nobody-1")}, Reason.UNKNOWN_RISK_PARAMETERS),
        ({"scenario_set_hash": "0" * 64}, Reason.UNKNOWN_SCENARIO_SET),
        ({"account": AccountRef(CORE.client_id, AccountId("nobody"))}, Reason.UNKNOWN_ACCOUNT),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_stamp_that_names_what_is_not_there_is_refused(desk, change, reason):
    stamp = (await desk.use_cases.evaluate_margin(CORE)).stamp
    await refused(desk.use_cases.reproduce_margin(replace(stamp, **change)), reason)


async def test_a_margin_by_other_kernels_is_reproduced_by_them_whatever_the_service_computes_with(desk):
    market = replace(desk.market(), kernels=Kernels.NUMBA)
    compiled = await build_use_cases(desk.ports, market).evaluate_margin(CORE)
    plain = await desk.use_cases.evaluate_margin(CORE)
    assert compiled.stamp.engine_version == f"{plain.stamp.engine_version}+numba"
    for then in (compiled, plain):
        reproduction = await desk.replica().reproduce_margin(then.stamp)
        assert reproduction.difference is None
        assert_same_bits(reproduction.result, then)


async def test_a_margin_by_kernels_that_are_not_installed_is_refused_with_what_to_install(desk, monkeypatch):
    stamp = (await desk.use_cases.evaluate_margin(CORE)).stamp
    monkeypatch.setattr("crossmargin.engine.kernels.choice.find_spec", lambda _: None)
    error = await refused(
        desk.use_cases.reproduce_margin(replace(stamp, engine_version=f"{stamp.engine_version}+numba")), Reason.ENGINE_VERSION_DIFFERS
    )
    assert "pip install 'crossmargin[kernels]'" in error.message
    assert error.facts["expected"] == stamp.engine_version
    await desk.use_cases.reproduce_margin(stamp)


@pytest.mark.parametrize(
    ("change", "field"),
    [({"parameters_hash": "0" * 64}, "parameters_hash"), ({"as_of": NOON + DAY}, "as_of")],
)
async def test_a_stamp_that_came_out_otherwise_names_the_first_difference(desk, change, field):
    stamp = (await desk.use_cases.evaluate_margin(CORE)).stamp
    difference = (await desk.use_cases.reproduce_margin(replace(stamp, **change))).difference
    assert (difference.field, difference.recorded) == (field, str(change[field]))
    assert difference.recomputed == str(getattr(stamp, field))


async def test_the_history_of_a_margin_is_that_of_its_scenarios_even_if_nobody_remembers_them(desk):
    then = await desk.use_cases.evaluate_margin(CORE)
    recipe = await desk.ports.market.scenario_recipe(then.stamp.scenario_set_hash)
    assert recipe.parameter_set_id == then.stamp.parameter_set_id
    assert recipe.history_version == await desk.ports.market.history_version()
    assert InstrumentId("BTC") in {factor.name for factor in recipe.factors}


async def test_scenarios_built_again_say_the_same_of_crisis_windows(desk):
    await desk.use_cases.create_instrument(RIPPLE, caller=desk.caller())
    await desk.publish(at=NOON + DAY, XRP="2.1")
    then = (await desk.market()()).market.scenarios
    assert then.window_counts["October 2025"] > 0
    assert then.stand_ins[FactorId.parse("spot:XRP")].keys() == {"October 2025"}
    await desk.go_on()
    recipe = await desk.ports.market.scenario_recipe(then.content_hash)
    history = await desk.ports.market.load_history(version=recipe.history_version)
    again = build_scenario_set(history, recipe.factors, await desk.ports.parameters.get_parameters(recipe.parameter_set_id))
    assert again.content_hash == then.content_hash
    assert (again.window_counts, again.stand_ins) == (then.window_counts, then.stand_ins)


async def test_a_margin_by_another_methodology_is_reproduced_by_it_whatever_is_set_since(desk):
    for methodology in (Methodology.SPAN_GRID, Methodology.STANDARD_SCHEDULE, Methodology.RATIO):
        await desk.use_cases.set_methodology(AccountMethodology(CORE, methodology), caller=desk.caller())
        then = await desk.use_cases.evaluate_margin(CORE)
        assert then.stamp.methodology is methodology
        await desk.use_cases.set_methodology(AccountMethodology(CORE, Methodology.TIMS_GRID), caller=desk.caller())
        await desk.publish("48000", at=NOON + DAY * then.stamp.sequence)
        again = await desk.replica().reproduce_margin(then.stamp)
        assert (again.result, again.difference) == (then, None)
        recorded = replace(then.stamp, methodology=Methodology.EXPECTED_SHORTFALL)
        assert (await desk.replica().reproduce_margin(recorded)).difference.field == "methodology"


def past(plan, **changes):
    """What a plan was made of, as a client gives it back."""
    wish = PlanWish(plan.target_utilization, plan.impact_coefficient, plan.depth)
    made_of = PastPlan(
        account=plan.account,
        sequence=plan.sequence,
        snapshot_id=plan.snapshot_id,
        parameter_set_id=plan.parameter_set_id,
        scenario_set_hash=plan.scenario_set_hash,
        engine_version=plan.engine_version,
        house_view_id=plan.house_view_id,
        wish=wish,
        left_out=frozenset(plan.left_out),
    )
    return replace(made_of, **changes)


BOOK = OrderBook((DepthLevel(Decimal(59990), Decimal(2)), DepthLevel(Decimal(59900), Decimal(1))), ())


@pytest.mark.parametrize("account", [CORE, SATELLITE], ids=["cross", "isolated"])
@pytest.mark.parametrize("depth", [{}, {PERPETUAL.instrument_id: BOOK}], ids=["by volume", "by order book"])
async def test_a_plan_is_reproduced_to_the_last_bit_after_everything_has_changed(desk, account, depth):
    wish = PlanWish(Decimal("0.02"), Decimal("0.7"), depth)
    then = (await desk.use_cases.plan_liquidation(account, wish)).plan
    assert then.trades
    await desk.go_on()
    assert (await desk.use_cases.plan_liquidation(account, wish)).plan != then
    assert repr(await desk.replica().reproduce_liquidation(past(then))) == repr(then)


async def test_a_plan_under_the_totals_of_the_house_is_reproduced(desk):
    wish = PlanWish(Decimal("0.02"))
    bare = (await desk.use_cases.plan_liquidation(CORE, wish)).plan
    await desk.ports.market.record_house_view(HouseView({BTC: Decimal(5_000_000)}, {}, {}), epoch=0)
    then = (await desk.use_cases.plan_liquidation(CORE, wish)).plan
    assert then.house_view_id is not None
    assert bare.house_view_id is None
    await desk.go_on()
    assert repr(await desk.replica().reproduce_liquidation(past(then))) == repr(then)
    assert repr(await desk.replica().reproduce_liquidation(past(bare))) == repr(bare)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"engine_version": "0"}, Reason.ENGINE_VERSION_DIFFERS),
        ({"sequence": 99}, Reason.SEQUENCE_NOT_REACHED),
        ({"snapshot_id": SnapshotId("0" * 32)}, Reason.UNKNOWN_SNAPSHOT),
        ({"parameter_set_id": RiskParameterSetId("none")}, Reason.UNKNOWN_RISK_PARAMETERS),
        ({"scenario_set_hash": "0" * 64}, Reason.UNKNOWN_SCENARIO_SET),
    ],
    ids=["engine", "sequence", "snapshot", "parameters", "scenarios"],
)
async def test_a_plan_of_what_was_never_there_is_refused(desk, change, reason):
    plan = (await desk.use_cases.plan_liquidation(CORE, PlanWish(Decimal("0.02")))).plan
    await refused(desk.use_cases.reproduce_liquidation(past(plan, **change)), reason)


async def test_what_could_not_be_traded_then_is_not_traded_now(desk):
    plan = (await desk.use_cases.plan_liquidation(CORE, PlanWish(Decimal("0.02")))).plan
    assert PERPETUAL.instrument_id in {trade.instrument_id for trade in plan.trades}
    again = await desk.use_cases.reproduce_liquidation(past(plan, left_out=frozenset({PERPETUAL.instrument_id})))
    assert again.left_out == (PERPETUAL.instrument_id,)
    assert PERPETUAL.instrument_id not in {trade.instrument_id for trade in again.trades}
