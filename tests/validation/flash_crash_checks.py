"""What must be true of a replayed crash: the right order at the right time, and nobody pays for another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from crossmargin.domain.call_life import OPEN_STATES, CallNotice, CallState, NoticeKind
from crossmargin.domain.call_need import may_be_called
from crossmargin.domain.identifiers import AccountId, AccountRef, ClientId
from crossmargin.domain.margin import Band
from crossmargin.domain.market_gate import at_least
from crossmargin.domain.risk_parameters import RiskParameters
from tests.validation.flash_crash import OVER_LEVERED, Crash, Event, EventKind, Replay

BUCKET: Final = AccountRef(ClientId("summit-directional"), AccountId("satellite"))
_PRESSED: Final = (EventKind.CALL, EventKind.PLAN)
HEDGED: Final = tuple(AccountRef(ClientId(client), AccountId("core")) for client in ("meridian-basis", "parallax-pairs", "lattice-vol"))
LOW_UTILIZATION: Final = AccountRef(ClientId("harbour-macro"), AccountId("core"))


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must be true, whether it is, and what was found."""

    what: str
    holds: bool
    found: str


def checks_of(crash: Crash) -> list[Check]:
    """Return every check of a replayed crash."""
    acted = crash.acted
    return [
        _bands_follow_utilization(acted),
        _calls_and_plans_follow_bands(acted),
        _calls_are_pressed(acted),
        _fallen_in_order(crash),
        _plans_reach_their_target(acted),
        *(_survives(crash, account, "is hedged") for account in HEDGED),
        _survives(crash, LOW_UTILIZATION, "has low utilization"),
        _bucket_ends_with_itself(crash),
        _core_does_not_feel_its_bucket(crash),
        _top_up_does_what_it_says(crash),
        _top_up_helps(crash),
        Check("no breaker trips", not acted.tripped, "; ".join(acted.tripped) or "none did"),
    ]


def brought(replay: Replay, account: AccountRef) -> Decimal:
    """Return what an isolated account was given: its money at the start."""
    line = next(line for line in replay.path[account][0].equity.lines if line.instrument_id == "USD")
    return line.quantity


def broker_loss(replay: Replay) -> Decimal:
    """Return what the accounts together owe beyond what they have at the end."""
    return sum((max(-path[-1].equity.equity, Decimal(0)) for path in replay.path.values()), Decimal(0))


def _bands_follow_utilization(replay: Replay) -> Check:
    wrong = [event for event in replay.events if event.kind is EventKind.BAND and not _is_by_the_lines(event, replay.parameters)]
    count = sum(event.kind is EventKind.BAND for event in replay.events)
    what = "every band is entered at its line, and left below its line by the hysteresis"
    return Check(what, not wrong, f"{count - len(wrong)} of {count} changes")


def _is_by_the_lines(event: Event, parameters: RiskParameters) -> bool:
    lines = parameters.bands
    begins = dict(zip(Band, (Decimal(0), lines.watch, lines.at_risk, lines.margin_call, lines.liquidation), strict=True))
    utilization = Decimal("Infinity") if event.utilization is None else event.utilization
    if at_least(event.after, event.before):
        return begins[event.after] <= utilization and all(utilization < begins[band] for band in Band if not at_least(event.after, band))
    end = parameters.monitor.liquidation_end
    return utilization <= end if event.before is Band.LIQUIDATION else utilization < begins[event.before] - parameters.monitor.hysteresis


def _calls_and_plans_follow_bands(replay: Replay) -> Check:
    """A call at each entry into margin call or worse of a cross account that has none open; a plan at each liquidation; nothing else."""
    entered, called, short, planned = (set[tuple[datetime, AccountRef]]() for _ in range(4))
    is_open: dict[AccountRef, bool] = {}
    for event in replay.events:
        place = (event.at, event.account)
        if event.notice is not None:
            is_open[event.account] = event.notice.state in OPEN_STATES
            if event.notice.kind is NoticeKind.ISSUED:
                called.add(place)
        elif event.plan is not None:
            planned.add(place)
        elif event.after is Band.LIQUIDATION:
            short.add(place)
        is_entry = event.kind is EventKind.BAND and _is_call(event.after) and not _is_call(event.before)
        if is_entry and may_be_called(replay.portfolios[event.account].mode) and not is_open.get(event.account, False):
            entered.add(place)
    what = "a call whenever a cross account comes into margin call, a plan whenever an account comes into liquidation, and none else"
    return Check(what, entered == called and short == planned, f"calls: {len(called)}, plans: {len(planned)}")


def _calls_are_pressed(replay: Replay) -> Check:
    """Whoever is liquidated has a call that is with the liquidation authority, or was issued at that very tick."""
    wrong = 0
    last: dict[AccountRef, CallNotice] = {}
    for event in replay.events:
        if event.notice is not None:
            last[event.account] = event.notice
        elif event.kind is EventKind.PLAN and may_be_called(replay.portfolios[event.account].mode):
            notice = last.get(event.account)
            is_new = notice is not None and notice.kind is NoticeKind.ISSUED and notice.at == event.at
            wrong += not (is_new or (notice is not None and notice.state is CallState.ESCALATED))
    escalated = sum(event.notice is not None and event.notice.kind is NoticeKind.ESCALATED for event in replay.events)
    return Check(
        "no cross account is liquidated but under a call, escalated if it is not of that very tick", not wrong, f"{escalated} escalated"
    )


def _is_call(band: Band) -> bool:
    return at_least(band, Band.MARGIN_CALL)


def _fallen_in_order(crash: Crash) -> Check:
    """At risk, then called, then liquidated, no later than when the market is lowest."""
    events = [event for event in crash.acted.events if event.account == OVER_LEVERED]
    firsts = [
        next((event.at for event in events if event.kind is kind and at_least(event.after, band)), None)
        for kind, band in ((EventKind.BAND, Band.AT_RISK), (EventKind.CALL, Band.MARGIN_CALL), (EventKind.PLAN, Band.HEALTHY))
    ]
    known = [at for at in firsts if at is not None]
    what = "the over-levered client is at risk, then called, then liquidated, and that no later than at the low"
    holds = len(known) == len(firsts) and known[0] < known[1] < known[2] <= crash.low
    return Check(what, holds, ", ".join("never" if at is None else f"{at:%m-%d %H:%M}" for at in firsts) + f"; low {crash.low:%m-%d %H:%M}")


def _plans_reach_their_target(replay: Replay) -> Check:
    plans = [event for event in replay.events if event.plan is not None]
    target = replay.parameters.liquidation.target_utilization
    wrong = [event for event in plans if event.utilization is None or event.utilization > target]
    return Check(f"every plan brings utilization to {target} or below", not wrong, f"{len(plans) - len(wrong)} of {len(plans)}")


def _top_up_does_what_it_says(crash: Crash) -> Check:
    """The account right after the delivery, margined with the house as it then is, is where the suggestion said."""
    advice, watch = crash.topped.advice, crash.topped.parameters.bands.watch
    if advice is None:
        return Check("a top-up is suggested when the over-levered client is first at risk", holds=False, found="none was")
    place = next(place for place, tick in enumerate(crash.ticks) if tick.at == advice.at)
    result = crash.topped.path[advice.account][place]
    holds = advice.top_up.missing == 0 and result.utilization is not None and result.utilization <= watch
    return Check(f"a top-up that was suggested brings utilization to {watch} or below", holds, f"{result.utilization} after it")


def _top_up_helps(crash: Crash) -> Check:
    """Whoever tops up in advance is not called before, not liquidated before, and owes the broker no more."""
    account = crash.topped.tops_up
    firsts = [
        [next((event.at for event in replay.events if event.account == account and event.kind is kind), None) for kind in _PRESSED]
        for replay in (crash.acted, crash.topped)
    ]
    holds = all(after is None or (before is not None and before <= after) for before, after in zip(*firsts, strict=True))
    holds = holds and broker_loss(crash.topped) <= broker_loss(crash.acted)
    found = ", ".join("never" if at is None else f"{at:%m-%d %H:%M}" for at in firsts[1])
    return Check("a client who tops up in advance is called and liquidated no earlier, and costs the broker no more", holds, found)


def _survives(crash: Crash, account: AccountRef, why: str) -> Check:
    events = [event for replay in (crash.acted, crash.idle) for event in replay.events if event.account == account]
    worst = max(result.utilization or Decimal(0) for result in crash.acted.path[account])
    holds = all(event.kind is EventKind.BAND and not _is_call(event.after) for event in events)
    return Check(f"{account.client_id} {why} and survives: never called", holds, f"utilization at most {worst:.2f}")


def _bucket_ends_with_itself(crash: Crash) -> Check:
    """Its client loses what was in it at most; beyond that it is the broker's, and said so at every tick."""
    said = all(
        result.gap is not None and result.gap.realized == max(-result.equity.equity, Decimal(0))
        for replay in (crash.acted, crash.idle, crash.dear)
        for result in replay.path[BUCKET]
    )
    worst = max(-result.equity.equity for result in crash.idle.path[BUCKET])
    calls = [event for event in crash.acted.events if event.account == BUCKET and event.kind is EventKind.CALL]
    what = "the bucket is never called; what it loses beyond its collateral is the broker's gap loss, at every tick"
    return Check(what, said and not calls, f"gap loss at most {max(worst, Decimal(0)):,.0f} if nobody acts")


def _core_does_not_feel_its_bucket(crash: Crash) -> Check:
    """To the cent and at every tick; what is held at the end is the same as well."""
    pairs = [pair for account, path in crash.without_buckets.path.items() for pair in zip(crash.acted.path[account], path, strict=True)]
    same = sum(with_it.equity == alone.equity and with_it.requirement == alone.requirement for with_it, alone in pairs)
    held = all(
        crash.acted.portfolios[account].holdings == portfolio.holdings for account, portfolio in crash.without_buckets.portfolios.items()
    )
    what = "every core account has the same equity and requirement, to the cent, as without the bucket"
    return Check(what, same == len(pairs) and held, f"{same} of {len(pairs)} results")
