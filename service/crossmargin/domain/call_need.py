"""What a margin result says that a client has to deliver, and what of it has come."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from crossmargin.domain.account import AccountMode
from crossmargin.domain.band_memory import BandState
from crossmargin.domain.book import EntryKind
from crossmargin.domain.call_agreement import CallAgreement
from crossmargin.domain.call_life import CallStanding, CallTrigger
from crossmargin.domain.identifiers import BASE_CURRENCY, InstrumentId
from crossmargin.domain.margin import Band, MarginResult
from crossmargin.domain.margin_call import CallDirection, CallTerms, call_amount
from crossmargin.domain.market_gate import at_least
from crossmargin.domain.money import round_down_to_cent, round_up_to_cent
from crossmargin.domain.risk_parameters import BandLines

DELIVERIES: Final = frozenset({EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.TRANSFER})
"""Entries that bring collateral in or take it out; what a trade or an event moves delivers nothing."""
_NOTHING: Final = Decimal(0)


def may_be_called(mode: AccountMode) -> bool:
    """Return whether margin is ever called on an account: an isolated one is closed instead, and its client owes it nothing more."""
    return mode is AccountMode.CROSS


def needed_delivery(result: MarginResult, terms: CallTerms, lines: BandLines, trigger: CallTrigger) -> Decimal:
    """Return what has to be delivered, by the terms: to the margin call line, or by schedule to the initial margin; zero for nothing.

    Where the market is doubted it is what is missing at its most favourable end. Equity below zero is missing too.
    """
    required = required_equity(result, lines, trigger)
    equity = result.equity.equity
    below_zero = max(-equity, _NOTHING)
    required, posted = required + below_zero, equity + below_zero
    if result.quality is not None:
        # No more than is missing at the best end, whatever the levels say. Nobody can say what is missing there: nothing is called.
        best = result.quality.excess_to_initial_high
        required = min(required, posted + max(-best, _NOTHING) if best is not None else posted)
    asked = call_amount(required=required, posted=posted, terms=terms)
    return asked.amount if asked.direction is CallDirection.DELIVER else _NOTHING


def required_equity(result: MarginResult, lines: BandLines, trigger: CallTrigger) -> Decimal:
    """Return the equity that a call asks for, to the cent upwards."""
    if trigger is CallTrigger.SCHEDULE:
        return result.requirement.initial_margin
    return round_up_to_cent(result.requirement.maintenance_margin / lines.margin_call)


def delivered_value(moved: Mapping[InstrumentId, Decimal], result: MarginResult) -> Decimal | None:
    """Return what was moved in is worth as collateral now, less what was moved out; None when nothing was moved.

    A unit is worth what a unit of the holding counts for in equity: after haircuts and limits. Base currency is worth itself. What else the
    account does not hold any more counts nothing. To the cent downwards.
    """
    if not moved:
        return None
    unit_values = {line.instrument_id: line.value_in_equity / line.quantity for line in result.equity.lines if line.quantity}
    unit_values[BASE_CURRENCY] = Decimal(1)
    return round_down_to_cent(sum((quantity * unit_values.get(name, _NOTHING) for name, quantity in moved.items()), _NOTHING))


def call_standing(
    result: MarginResult, state: BandState, agreement: CallAgreement, lines: BandLines, *, trigger: CallTrigger, delivered: Decimal | None
) -> CallStanding:
    """Return what a call on the account is judged by."""
    needed = needed_delivery(result, agreement.terms, lines, trigger)
    is_short = result.excess_to_initial < 0
    return CallStanding(
        sequence=result.stamp.sequence,
        snapshot_id=result.stamp.snapshot_id,
        utilization=result.utilization,
        needed=needed,
        delivered=delivered,
        is_called_for=is_short if trigger is CallTrigger.SCHEDULE else at_least(state.band, Band.MARGIN_CALL),
        # The result says so now; what is only remembered is not pressed further.
        is_past_the_line=result.band is Band.LIQUIDATION,
        is_provisional=result.quality is not None and result.quality.is_provisional,
    )
