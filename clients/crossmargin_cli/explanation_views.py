"""What a margin says beyond the number, as people read it: distances, diversification, and how sure the number is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.table import Table

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.render import add_number_column, counted, money, percent, plain_table
from crossmargin_client import decimal_of

_DIRECTIONS_SHOWN: Final = 3
_KIND_NAMES: Final = {
    "spot": "price",
    "fx": "exchange rate",
    "zero": "zero rates",
    "vol": "volatility",
    "basis": "carry",
    "spread": "credit spreads",
    "price": "price for delivery",
}


def distance_table(distances: Sequence[margin_service_pb2.LiquidationDistance]) -> Table:
    """Return the smallest move of each large factor that liquidates the account."""
    table = plain_table("Distance to liquidation, each factor alone")
    table.add_column("Factor", no_wrap=True)
    add_number_column(table, "Move")
    for distance in distances:
        found = move_text(distance.move) if distance.HasField("move") else "none"
        table.add_row(factor_text(distance.group_id, distance.factor_kind), found)
    return table


def worst_direction_sentence(direction: margin_service_pb2.WorstDirection) -> str:
    """Return how far the account's own worst direction is from liquidating it."""
    moves = ", ".join(f"{factor_text(move.group_id, move.factor_kind)} {move_text(move)}" for move in direction.moves)
    pnl = money(decimal_of(direction.pnl), signed=True)
    if not direction.multiple:
        return f"Own worst direction: ten times the average tail move does not liquidate. Once ({moves}): {pnl}."
    return f"Own worst direction: {decimal_of(direction.multiple):.2f} times the average tail move liquidates ({moves}): {pnl}."


def move_text(move: margin_service_pb2.MarketMove) -> str:
    """Return a move with its unit: a percentage, basis points, or dollars."""
    if move.simple_return:
        return percent(decimal_of(move.simple_return), signed=True)
    if move.price_difference:
        return f"{money(decimal_of(move.price_difference), signed=True)} USD"
    return f"{decimal_of(move.basis_points):+,.0f} bp"


def diversification_sentence(diversification: margin_service_pb2.Diversification) -> str:
    """Return how concentrated the book is."""
    if not diversification.largest_group_id:
        return "Nothing is at risk."
    return (
        f"Diversification between groups frees {percent(decimal_of(diversification.ratio))}; largest group "
        f"{diversification.largest_group_id} with {percent(decimal_of(diversification.largest_group_fraction))}; "
        f"{decimal_of(diversification.effective_bets):.1f} effective bets."
    )


def direction_lines(explained: margin_service_pb2.ExplainMarginResponse) -> Iterator[str]:
    """Yield how much of the book goes one way, the largest bets first."""
    for one in explained.directional_concentrations[:_DIRECTIONS_SHOWN]:
        way = "long" if one.is_long else "short"
        share, amount = percent(decimal_of(one.fraction)), money(decimal_of(one.amount))
        yield f"{factor_text(one.asset_class, one.factor_kind)}: {way}, {share} one way; {amount} on a typical move of all."


def advice_table(advice: Sequence[margin_service_pb2.IsolationAdvice]) -> Table:
    """Return the contracts that could as well be isolated, with why."""
    table = plain_table("Gains little from cross margin: could be isolated")
    table.add_column("Contract", no_wrap=True)
    for heading in ("Alone", "Adds here", "Benefit"):
        add_number_column(table, heading)
    for one in advice:
        alone, added = decimal_of(one.requirement_alone), decimal_of(one.requirement_added)
        table.add_row(one.instrument_id, money(alone), money(added), percent(decimal_of(one.benefit_fraction)))
    return table


def confidence_lines(explained: margin_service_pb2.ExplainMarginResponse) -> Iterator[str]:
    """Yield what the requirement rests on: its interval, its tail, and the scenario set."""
    interval, tail, scenarios = explained.requirement_interval, explained.tail, explained.scenarios
    yield (
        f"Market requirement: {percent(decimal_of(interval.confidence))} of {interval.replicate_count} histories drawn again in blocks of "
        f"{counted(interval.block_days, 'day')} give {money(decimal_of(interval.low))} to {money(decimal_of(interval.high))}."
    )
    yield (
        f"Tail: {counted(tail.scenario_count, 'scenario')}, as good as {decimal_of(tail.effective_scenarios):.1f} equal ones; stress has "
        f"{percent(decimal_of(tail.stress_weight_fraction))} of its weight and {percent(decimal_of(tail.stress_share_of_worst))} of the "
        "ten worst."
    )
    yield (
        f"The {counted(tail.oldest_days, 'oldest day')} of history, when they leave the window, take "
        f"{money(decimal_of(tail.oldest_contribution), signed=True)} of the market requirement with them."
    )
    days = sum(window.scenario_count for window in scenarios.windows)
    reached = sum(window.scenario_count > 0 for window in scenarios.windows)
    yield (
        f"Scenarios: {scenarios.ordinary_count} of history, {scenarios.independent_count} of them without overlap; "
        f"{scenarios.event_count} from named events; {counted(days, 'day')} of {reached} out of "
        f"{counted(len(scenarios.windows), 'crisis window')}, the rest not reached by the history."
    )
    for proxy in scenarios.proxies:
        own_part = decimal_of(proxy.idiosyncratic_fraction)
        yield (
            f"{proxy.factor_id} has no history of its own; instead: {proxy.beta} x {proxy.proxy_curve}"
            + (f", and a part of its own of {own_part} times its size." if own_part else ".")
        )
    for stand_in in scenarios.stand_ins:
        yield f"{stand_in.factor_id} has no history in {stand_in.window}; instead: {stand_in.moved_by}."


def factor_text(group_id: str, kind: str) -> str:
    """Return what moves, in words.

    >>> factor_text("BTC", "vol")
    'BTC volatility'
    """
    return f"{group_id} {_KIND_NAMES.get(kind, kind)}"
