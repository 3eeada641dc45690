"""A made-up crash against the demo's house: what happens to whom, in which order, and that the checks see it when it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from crossmargin.adapters.runtime.standard_parameters import standard_parameters
from crossmargin.domain.call_life import NoticeKind
from crossmargin.domain.identifiers import InstrumentId
from crossmargin.domain.margin import Band
from crossmargin.domain.market import FactorId
from crossmargin_cli.demo_data.market import AS_OF, COINS, todays_levels, todays_marks
from tests.validation.crash_bars import PriceTick
from tests.validation.demo_house import demo_portfolios, moved_snapshot, moved_with_proxies
from tests.validation.flash_crash import Episode, EventKind, replay_ticks
from tests.validation.flash_crash_checks import BUCKET, OVER_LEVERED, broker_loss, brought, checks_of
from tests.validation.flash_crash_page import holds, render_flash_crash
from tests.validation.flash_crash_picture import draw_flash_crash

DAY = date(2020, 3, 12)
FALL = (1.0, 0.96, 0.92, 0.70, 0.55)
"""Of both coins: a call, a liquidation of the bucket, one of its core, and a low after which nothing of the bucket is left to lose."""


def at(place):
    return datetime(2020, 3, 12, tzinfo=UTC) + timedelta(minutes=80) * place


@pytest.fixture(scope="module")
def crash():
    ticks = [PriceTick(at(place), {"BTC": 8_000.0 * ratio, "ETH": 200.0 * ratio}) for place, ratio in enumerate(FALL)]
    return replay_ticks(Episode("made up", DAY, DAY), ticks, standard_parameters())


def story(crash, account):
    """What happened to an account: the band it came into, what became of its call, or that it was liquidated."""
    return [
        (event.at, event.after if event.kind is EventKind.BAND else event.notice.kind if event.notice else "plan")
        for event in told(crash, account)
    ]


def told(crash, account):
    return [event for event in crash.acted.events if event.account == account]


def with_events(crash, events):
    return replace(crash, acted=replace(crash.acted, events=list(events)))


def failed(crash):
    return [check.what.split()[0] + " " + check.what.split()[1] for check in checks_of(crash) if not check.holds]


def test_coins_without_bars_take_the_move_of_their_proxy_to_the_power_of_beta():
    moves = moved_with_proxies({"BTC": 0.5, "ETH": 0.4}, standard_parameters())
    assert set(moves) == set(COINS)
    assert (moves["BTC"], moves["ETH"], moves["AVAX"]) == (0.5, 0.4, 0.5**1.6)


def test_the_market_moves_coins_and_what_is_listed_on_them_and_nothing_else():
    still, moved = moved_snapshot(AS_OF, dict.fromkeys(COINS, 1.0)), moved_snapshot(AS_OF, {**dict.fromkeys(COINS, 1.0), "BTC": 0.5})
    assert {str(factor): level for factor, level in still.levels.items()} == todays_levels()
    assert {str(name): mark for name, mark in still.marks.items()} == todays_marks()
    assert {str(factor) for factor, level in moved.levels.items() if level != still.levels[factor]} == {"spot:BTC"}
    assert moved.levels[FactorId("spot", "BTC")] == Decimal(45_700)
    changed = {str(name) for name, mark in moved.marks.items() if mark != still.marks[name]}
    assert changed == {"BTC-USD-PERP", "BTC-26MAR27"}


def test_the_house_holds_what_the_demo_deposited_and_traded():
    house = demo_portfolios()
    held = {holding.instrument_id: (holding.quantity, holding.cost) for holding in house[BUCKET].holdings}
    assert held == {InstrumentId("USD"): (736_500, 0), InstrumentId("AVAX-USD-PERP"): (120_000, 120_000 * Decimal("14.9"))}
    core = {holding.instrument_id: holding.quantity for holding in house[OVER_LEVERED].holdings}
    assert core[InstrumentId("USD")] == 6_350_000 - 60 * 91_200
    assert core[InstrumentId("BTC")] == 60


def test_the_over_levered_account_is_at_risk_then_called_then_liquidated(crash):
    assert story(crash, OVER_LEVERED) == [
        (at(0), Band.AT_RISK),
        (at(1), Band.MARGIN_CALL),
        (at(1), NoticeKind.ISSUED),
        (at(2), NoticeKind.INCREASED),
        (at(3), Band.LIQUIDATION),
        (at(3), NoticeKind.ESCALATED),
        (at(3), "plan"),
        (at(4), Band.LIQUIDATION),
        (at(4), "plan"),
    ]


def test_the_bucket_is_liquidated_without_a_call_and_costs_its_client_no_more_than_was_in_it(crash):
    assert (at(2), "plan") in story(crash, BUCKET)
    assert not any(event.notice for event in told(crash, BUCKET))
    assert brought(crash.acted, BUCKET) == 736_500
    last = crash.idle.path[BUCKET][-1]
    assert last.equity.equity < 0
    assert last.gap is not None
    assert last.gap.realized == -last.equity.equity
    assert broker_loss(crash.idle) > broker_loss(crash.acted)


def test_every_check_holds_of_a_crash_that_goes_by_the_rules(crash):
    assert failed(crash) == []


def test_a_call_that_was_not_made_is_seen(crash):
    kept = [event for event in crash.acted.events if event.kind is not EventKind.CALL]
    assert failed(with_events(crash, kept)) == ["a call", "no cross", "the over-levered", "a client"]


def test_a_band_that_was_entered_before_its_line_is_seen(crash):
    early = [
        replace(event, utilization=Decimal("0.99")) if event.kind is EventKind.BAND and event.after is Band.LIQUIDATION else event
        for event in crash.acted.events
    ]
    assert failed(with_events(crash, early)) == ["every band"]


def test_a_plan_that_falls_short_is_seen(crash):
    short = [replace(event, utilization=Decimal("0.76")) if event.plan else event for event in crash.acted.events]
    assert failed(with_events(crash, short)) == ["every plan"]


def test_a_core_that_feels_its_bucket_is_seen(crash):
    path = dict(crash.acted.path)
    path[OVER_LEVERED] = [crash.idle.path[OVER_LEVERED][0], *path[OVER_LEVERED][:-1]]
    assert failed(replace(crash, acted=replace(crash.acted, path=path))) == ["every core"]


def test_the_client_is_told_at_the_seventy_percent_line_what_brings_him_off_the_watch(crash):
    advice = crash.topped.advice
    assert (advice.at, advice.account) == (at(0), OVER_LEVERED)
    assert Decimal("0.7") < advice.top_up.before.utilization < Decimal("0.8")
    assert advice.top_up.after.utilization <= Decimal("0.6")
    assert crash.topped.path[OVER_LEVERED][0].utilization == advice.top_up.after.utilization
    assert advice.delivered
    assert advice.cost == sum(line.cost for line in advice.top_up.lines) > 0
    first = {
        name: next(event.at for event in replay.events if event.account == OVER_LEVERED and event.notice)
        for name, replay in (("acted", crash.acted), ("topped", crash.topped))
    }
    assert first["topped"] > first["acted"]


def test_a_top_up_that_did_not_do_what_it_said_or_did_harm_is_seen(crash):
    path = dict(crash.topped.path) | {OVER_LEVERED: crash.acted.path[OVER_LEVERED]}
    assert failed(replace(crash, topped=replace(crash.topped, path=path))) == ["a top-up"]
    early = [replace(event, at=at(0)) if event.kind is EventKind.PLAN else event for event in crash.topped.events]
    assert failed(replace(crash, topped=replace(crash.topped, events=early))) == ["a client"]
    assert failed(replace(crash, topped=replace(crash.topped, advice=None))) == ["a top-up"]


def test_the_page_has_every_event_and_says_which_check_does_not_hold(crash, tmp_path):
    page = render_flash_crash([crash], standard_parameters(), picture="p.png")
    assert holds([crash])
    assert page.count("\n| 03-12 0") == len(crash.acted.events)
    assert "| summit-directional/core | at risk | margin call |" in page
    assert "**Every check holds." in page
    words = " ".join(page.split())
    assert "At 03-12 00:00 utilization is 0.73, past the 0.70 at which a desk asks." in words
    assert "Had he done it, the account would have been first called at" in words
    without_calls = with_events(crash, [event for event in crash.acted.events if event.kind is not EventKind.CALL])
    assert not holds([without_calls])
    assert "NOT every check holds: made up: a call" in " ".join(
        render_flash_crash([without_calls], standard_parameters(), picture="p").split()
    )
    draw_flash_crash([crash], tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
