"""Writes the replayed crashes as a page that tells their story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.call_life import CallNotice, NoticeKind
from crossmargin.domain.identifiers import AccountRef
from crossmargin.domain.liquidation import LiquidationPlan
from crossmargin.domain.margin import MarginResult
from crossmargin.domain.risk_parameters import RiskParameters
from tests.validation.flash_crash import DEAR_IMPACT, OVER_LEVERED, Crash, Event, EventKind, Replay
from tests.validation.flash_crash_checks import BUCKET, broker_loss, brought, checks_of
from tests.validation.report import filled, table

_ACCOUNT_HEADER: Final = (
    "account",
    "U at first",
    "highest U",
    "calls",
    "plans",
    "equity at first",
    "at the end",
    "at the end, nobody acts",
)
_EVENT_HEADER: Final = ("UTC", "BTC", "account", "from", "to", "U", "equity", "call or plan")
_END_HEADER: Final = ("house", "cost of trading", "core keeps", "bucket keeps", "broker's loss at the end", "bucket's largest gap loss")
_CHECK_HEADER: Final = ("check", "holds", "found")


def holds(crashes: Sequence[Crash]) -> bool:
    """Return whether every check of every crash holds."""
    return all(check.holds for crash in crashes for check in checks_of(crash))


def render_flash_crash(crashes: Sequence[Crash], parameters: RiskParameters, *, picture: str) -> str:
    """Return the page, Markdown."""
    chapters = "\n\n".join(_chapter(crash) for crash in crashes)
    return filled(f"""# Two flash crashes, tick by tick

This page and its picture are written by `python -m tests.validation flash-crash --history DIR --write`. It was run under
`{parameters.set_id}`
(content hash `{parameters.content_hash[:16]}`). The bars are of the history of [validation](validation.md) and not part of the
project; the house is the one of `crossmargin demo`.

{_verdict(crashes)}

## How it is replayed

- **Ticks.** Every four-hour bar gives three ticks, a third of it apart: its open and its two extremes. When BTC fell in the bar all coins
  visit their high before their low, otherwise the low first: one order for all, so that pairs are not torn apart. Both coins' extremes
  are taken to fall together, which nobody knows.
- **Market.** Coins move from the demo's prices by the multiples of the real ones; perpetuals and the dated future move with them. There are
  no bars of {_proxied(parameters)}. What else a crash moves stands still: volatilities, carries, exchange and
  zero rates, stablecoins. That flatters the options book and the cash and carry; their margin has such moves in its scenarios, their
  equity here has not.
- **Margin.** Each tick is a snapshot, revalued by what the service uses, under scenarios of the demo's simulated history as it is at the
  start. Then the totals of the house, the margin of every account, its band with the monitor's memory.
- **Calls.** A cross account that comes into margin call is called as the monitor would, for what brings it back to the line, by the terms
  that hold where nothing was agreed: whole thousands, due on the next day at 16:00, and a day later after that hour. Nobody
  pays. An isolated account is never called.
- **Plans.** An account in liquidation is planned for, and the plan is executed at once and in full at its expected prices, half
  the spread and the
  square root of the amount away from the mark. The service asks for two persons and a newer snapshot; they are taken to be quick. Below
  a utilization of {parameters.monitor.immediate_liquidation} a liquidation may wait for its call; here none does.

{chapters}

## The picture

Triangles are plans and dots are new calls, at the utilization that asked for them; the lines are what was left after a plan. Utilization is
cut off at 1.6.

![prices, utilization and equity]({picture})

## What this does not show

- A tick is eighty minutes. The service would see the fall on its way and act earlier and at better prices; a real one also has gaps
  that no bar shows.
- The cost of a plan is that of an ordinary day's volume. A row of each table has {DEAR_IMPACT} times that impact; a market without any
  bid has no row.
- The parameters know both crashes: they are among the stress events, so the margin had room for them. The [backtest](backtest.md) leaves
  out what had not happened yet.
- A plan at {DEAR_IMPACT} times the impact is another plan: it sells what is then cheapest to sell, and what it keeps may rebound more.
- Two crashes are two paths. What happens over all of them is the subject of the backtest; what accounts do to the market, and so
  to one another, is in the cascades of the [methodology](methodology.md).""")


def _verdict(crashes: Sequence[Crash]) -> str:
    failed = [f"{crash.episode.name}: {check.what}" for crash in crashes for check in checks_of(crash) if not check.holds]
    if failed:
        return f"**NOT every check holds: {'; '.join(failed)}.**"
    return (
        "**Every check holds. Bands, calls and plans come in their order; hedged accounts and the lightly used one are never called; the "
        "one with too much leverage is liquidated; its bucket costs its other account nothing.**"
    )


def _proxied(parameters: RiskParameters) -> str:
    names = ("SOL", "XRP", "AVAX")
    betas = [f"{name} {parameters.proxy_of_curve[f'spot:{name}'].beta}" for name in names]
    return f"{', '.join(names[:-1])} and {names[-1]}: they move with BTC by the betas of their proxies ({', '.join(betas)}), in logarithms"


def _chapter(crash: Crash) -> str:
    first, low = crash.ticks[0], min(move["BTC"] for move in crash.moves)
    return f"""## {crash.episode.name}

{crash.episode.first} to {crash.episode.last}, {len(crash.ticks)} ticks. BTC falls to {low:.3f} of where it stood, at
{_time(crash.low)}; ETH to
{min(move["ETH"] for move in crash.moves):.3f}, AVAX by its proxy to {min(move["AVAX"] for move in crash.moves):.3f}. BTC was
{first.prices["BTC"]:,.0f} USD at first, which stands for the demo's {crash.demo_price:,.0f}.

{table(_ACCOUNT_HEADER, _account_rows(crash))}

{_story(crash)}

### What happened

{table(_EVENT_HEADER, _event_rows(crash))}

### Had it been topped up in advance

{_top_up_story(crash)}

### Who is left with what

{table(_END_HEADER, _end_rows(crash))}

{_lesson(crash)}

### Checks

{table(_CHECK_HEADER, ((check.what, "yes" if check.holds else "**NO**", check.found) for check in checks_of(crash)))}"""


def _account_rows(crash: Crash) -> Iterable[tuple[str, ...]]:
    for account, path in crash.acted.path.items():
        own = [event for event in crash.acted.events if event.account == account]
        yield (
            _name(account),
            _ratio(path[0].utilization),
            _ratio(_worst(crash.acted, account)),
            str(sum(event.notice.kind is NoticeKind.ISSUED for event in own if event.notice is not None)),
            str(sum(event.plan is not None for event in own)),
            *(_money(result.equity.equity) for result in (path[0], path[-1], crash.idle.path[account][-1])),
        )


def _worst(replay: Replay, account: AccountRef) -> Decimal | None:
    """Return the highest utilization, before anything was done about it; None is infinite."""
    seen = [result.utilization for result in replay.path[account]]
    seen += [event.utilization for event in replay.events if event.account == account]
    return None if None in seen else max(each for each in seen if each is not None)


def _event_rows(crash: Crash) -> Iterable[tuple[str, ...]]:
    moves = {tick.at: move["BTC"] for tick, move in zip(crash.ticks, crash.moves, strict=True)}
    for event in crash.acted.events:
        start = "starts" if event.at == crash.ticks[0].at else event.before.value
        is_change = event.kind is not EventKind.CALL
        urgent = " at once" if event.is_immediate else ""
        yield (
            _time(event.at),
            f"{moves[event.at]:.3f}",
            _name(event.account),
            start if is_change else "",
            f"{event.after.value}{urgent}" if is_change else "",
            _ratio(event.utilization),
            _money(event.equity),
            _done(event),
        )


def _done(event: Event) -> str:
    if event.notice is not None:
        return _said(event.notice)
    return "" if event.plan is None else f"plan, cost {_money(event.amount)}: {_orders(event.plan)}"


def _said(notice: CallNotice) -> str:
    what = f"call {notice.call_number} of {_money(notice.amount)} {notice.kind.value}"
    if notice.kind is NoticeKind.ISSUED:
        return f"{what}, due {_time(notice.due_at)}"
    return f"{what}: {notice.reason}" if notice.reason else what


def _orders(plan: LiquidationPlan) -> str:
    totals: dict[str, tuple[Decimal, Decimal]] = {}
    for trade in plan.trades:
        quantity, _ = totals.get(trade.instrument_id, (Decimal(0), Decimal(0)))
        totals[trade.instrument_id] = (quantity + trade.quantity, trade.expected_price)
    return "; ".join(
        f"{'sell' if quantity < 0 else 'buy'} {_figure(abs(quantity))} {name} at {_figure(price)}"
        for name, (quantity, price) in totals.items()
    )


def _end_rows(crash: Crash) -> Iterable[tuple[str, ...]]:
    for name, replay in (("acts", crash.acted), (f"acts, {DEAR_IMPACT} times the impact", crash.dear), ("nobody acts", crash.idle)):
        gap = max((result.gap.realized for result in replay.path[BUCKET] if result.gap is not None), default=Decimal(0))
        yield (
            name,
            _money(sum((event.amount for event in replay.events if event.kind is EventKind.PLAN), Decimal(0))),
            *(_money(max(_end(replay, account).equity.equity, Decimal(0))) for account in (OVER_LEVERED, BUCKET)),
            _money(broker_loss(replay)),
            _money(gap),
        )


def _story(crash: Crash) -> str:
    events = [event for event in crash.acted.events if event.account == OVER_LEVERED]
    called = next((event.notice for event in events if event.notice is not None), None)
    planned = next((event for event in events if event.kind is EventKind.PLAN), None)
    if called is None or planned is None:
        return "The account with too much leverage was not called or not liquidated."
    entered = next(event for event in events if event.at == planned.at)
    hours = (planned.at - called.at).total_seconds() / 3600
    how = (
        f"Counted after haircuts its equity is {_money(entered.equity)} by then, below zero; sold at the market, its coins bring in what "
        f"the haircuts had held back, and {_money(planned.equity)} is left."
        if entered.equity < 0
        else f"Its utilization is {_ratio(entered.utilization)} by then."
    )
    first, last = (crash.acted.path[OVER_LEVERED][place].equity.equity for place in (0, -1))
    return (
        f"The account with too much leverage is first called for {_money(called.amount)} at {_time(called.at)}, due "
        f"{_time(called.due_at)}, and first liquidated {hours:.0f} hours after the call. {how} "
        f"In the end it has {_money(last)} of {_money(first)}: {last / first:.0%}."
    )


def _top_up_story(crash: Crash) -> str:
    """Tell what the client would have been told when a desk first asks, and how it would have gone on."""
    advice, path = crash.topped.advice, crash.topped.path[OVER_LEVERED]
    if advice is None:
        return "The account with too much leverage was never at risk, and nothing was suggested."
    bands, before = crash.topped.parameters.bands, advice.top_up.before
    mix = " and ".join(f"{_figure(quantity)} {name}" for name, quantity in advice.delivered.items())
    told = (
        f"At {_time(advice.at)} utilization is {_ratio(before.utilization)}, past the {bands.at_risk} at which a desk asks. "
        f"`crossmargin margin topup --utilization {bands.watch}` says which of the bills, stablecoins, dollars and coins that the client "
        f"has elsewhere are the cheapest to get there: {mix}, worth {_money(advice.value)} and costing him "
        f"{_money(advice.cost)} a month."
    )
    with_, without = (_first_pressed(replay) for replay in (crash.topped, crash.acted))
    end, plain = path[-1].equity.equity, _end(crash.acted, OVER_LEVERED).equity.equity
    gained = end - plain - advice.value
    worth = (
        f"so that the {_money(advice.value)} have saved {_money(gained)} beyond themselves"
        if gained > 0
        else f"so that {_money(-gained)} of the {_money(advice.value)} went down with the rest"
    )
    return (
        f"{told} Had he done it, the account would have been {with_}; without it, it was {without}. In the end it has {_money(end)} "
        f"instead of {_money(plain)}, {worth}. A top-up to {bands.watch} buys time and better prices; it is no smaller position."
    )


def _first_pressed(replay: Replay) -> str:
    own = [event for event in replay.events if event.account == OVER_LEVERED]
    called = next((event.at for event in own if event.kind is EventKind.CALL), None)
    planned = [event for event in own if event.kind is EventKind.PLAN]
    calls = "never called" if called is None else f"first called at {_time(called)}"
    times = "once, at" if len(planned) == 1 else f"{len(planned)} times, first at"
    plans = "never liquidated" if not planned else f"liquidated {times} {_time(planned[0].at)}"
    return f"{calls} and {plans}"


def _lesson(crash: Crash) -> str:
    given = brought(crash.acted, BUCKET)
    kept, idle = (_end(replay, BUCKET).equity.equity for replay in (crash.acted, crash.idle))
    saved = broker_loss(crash.idle) - broker_loss(crash.acted)
    cost = _end(crash.idle, OVER_LEVERED).equity.equity - _end(crash.acted, OVER_LEVERED).equity.equity
    waiting = (
        f"Waiting would have ended {_money(cost)} better for the account with too much leverage, by the rebound."
        if cost > 0
        else f"Waiting would have cost the broker {_money(saved)} in all."
    )
    bucket = (
        f"Left alone, it would have lost all of it, and the broker {_money(-idle)} more at the end."
        if idle < 0
        else f"Left alone, it would have kept {_money(idle)}."
    )
    share = (given - max(kept, Decimal(0))) / given
    return f"The bucket was given {_money(given)} and loses {share:.0%} of it. {bucket} Nothing of it touches the core account. {waiting}"


def _end(replay: Replay, account: AccountRef) -> MarginResult:
    return replay.path[account][-1]


def _name(account: AccountRef) -> str:
    return f"{account.client_id}/{account.account_id}"


def _time(at: datetime) -> str:
    return f"{at:%m-%d %H:%M}"


def _ratio(utilization: Decimal | None) -> str:
    return "infinite" if utilization is None else f"{utilization:.2f}"


def _figure(number: Decimal) -> str:
    """Return a quantity or a price with as many places as its size asks for."""
    return f"{number:,.0f}" if number >= 10_000 else f"{number:,.2f}" if number >= 10 else f"{number:.4f}"


def _money(amount: Decimal) -> str:
    return f"{amount:,.0f}"
