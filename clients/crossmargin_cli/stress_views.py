"""Stresses as people read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.explanation_views import factor_text, move_text
from crossmargin_cli.render import add_number_column, band_text, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of

KIND_NAMES: Final = {
    pb.STRESS_KIND_EVENT: "event",
    pb.STRESS_KIND_CRISIS_DAY: "day of a crisis",
    pb.STRESS_KIND_AD_HOC: "ad hoc",
    pb.STRESS_KIND_NO_DIVERSIFICATION: "correlation",
    pb.STRESS_KIND_ALL_AGAINST: "correlation",
}
LINE_NAMES: Final = {pb.BREAK_LINE_LIQUIDATION: "liquidated", pb.BREAK_LINE_RUIN: "without equity"}
_MOVES_SHOWN: Final = 4
_NAME_WIDTH: Final = 42


def account_table(outcomes: Sequence[pb.StressOutcome]) -> Table:
    """Return one account in every scenario, the worst first."""
    table = plain_table("Before and after, by full revaluation")
    table.add_column("Scenario", overflow="fold", max_width=_NAME_WIDTH)
    for heading in ("P&L", "Equity", "MM", "U"):
        add_number_column(table, heading)
    table.add_column("Band", no_wrap=True)
    add_number_column(table, "Broker loss")
    for outcome, account in _worst_first(outcomes):
        after = account.after
        cells = (money(decimal_of(account.pnl), signed=True), money(decimal_of(after.equity)), money(decimal_of(after.maintenance_margin)))
        broker = money(decimal_of(account.broker_loss))
        table.add_row(outcome.scenario, *cells, percent(decimal_of(after.utilization)), band_text(after.band), broker)
    return table


def house_table(outcomes: Sequence[pb.StressOutcome]) -> Table:
    """Return the house in every scenario, the largest broker's loss first, and then the largest loss."""
    table = plain_table("The house, by full revaluation of every account")
    table.add_column("Scenario", overflow="fold", max_width=_NAME_WIDTH)
    for heading in ("P&L", "Equity after", "Called", "Liquidated", "Fallen", "Broker loss"):
        add_number_column(table, heading)
    for outcome in sorted(outcomes, key=lambda one: (-decimal_of(one.broker_loss), decimal_of(one.pnl))):
        after = outcome.bands_after
        table.add_row(
            outcome.scenario,
            money(decimal_of(outcome.pnl), signed=True),
            money(decimal_of(outcome.equity_after)),
            str(after.margin_call),
            str(after.liquidation),
            Text(str(outcome.fallen_count), style="bold red" if outcome.fallen_count else ""),
            money(decimal_of(outcome.broker_loss)),
        )
    return table


def worst_tables(outcome: pb.StressOutcome, *, with_accounts: bool) -> Iterator[Table]:
    """Yield who and what loses in one scenario: accounts, offset groups and positions."""
    if with_accounts:
        yield _accounts(outcome)
    yield _profits(f"{outcome.scenario}: offset groups", "Group", [(one.group_id, one.pnl) for one in outcome.groups])
    yield _profits(f"{outcome.scenario}: positions", "Position", [(one.instrument_id, one.pnl) for one in outcome.positions])


def library_table(scenarios: Sequence[pb.StressScenario]) -> Table:
    """Return the library, days of crises as their count."""
    table = plain_table("Stress scenarios")
    table.add_column("Scenario", overflow="fold", max_width=56)
    table.add_column("Kind", no_wrap=True)
    add_number_column(table, "Named moves")
    for scenario in scenarios:
        table.add_row(scenario.name, KIND_NAMES.get(scenario.kind, "unknown"), str(len(scenario.moves)) if scenario.moves else "history")
    return table


def reverse_table(results: Sequence[pb.ReverseStressResult]) -> Table:
    """Return what breaks each account, the most plausible first."""
    table = plain_table("What breaks each account: the most plausible move that was found")
    table.add_column("Account", no_wrap=True)
    for heading in ("Distance", "At most", "Loss"):
        add_number_column(table, heading)
    table.add_column("Moves", overflow="fold")
    for result in sorted(results, key=_distance):
        table.add_row(short_account(result.account), *_reverse_cells(result))
    return table


def plausibility_lines(result: pb.ReverseStressResult) -> Iterator[str]:
    """Yield how likely the move is, and how it was looked for."""
    if not result.HasField("plausibility"):
        searched = f"{decimal_of(result.searched_to):.0f} standard deviations"
        yield f"No move that was tried within {searched} leaves {short_account(result.account)} {_line(result)}."
        return
    likely = result.plausibility
    yield (
        f"{decimal_of(likely.distance):.2f} standard deviations along its own direction within one margin period. If moves were normal: "
        f"{_probability(likely.normal_probability)}, which is too low because tails are fatter. Whatever they are: at most "
        f"{_probability(likely.greatest_probability)}. Weight of the scenarios of the margin that cost as much: "
        f"{_probability(likely.scenario_weight)}."
    )
    yield (
        f"Searched along slopes from {counted(result.start_count, 'start')}, {result.evaluation_count:,} revaluations; "
        "a nearer move cannot be ruled out."
    )


def plan_line(plan: pb.StressPlan) -> str:
    """Return what the numbers depend on."""
    return (
        f"{counted(plan.account_count, 'account')} at snapshot {plan.snapshot_id[:12]} under {plan.parameter_set_id} "
        f"({plan.parameters_hash[:12]}), scenarios {plan.scenario_set_hash[:12]}, engine {plan.engine_version}."
    )


def failure_lines(outcome: pb.StressOutcome) -> Iterator[str]:
    """Yield which accounts are in no figure, and why."""
    for failure in outcome.failures:
        yield f"{short_account(failure.account)} is left out: {failure.message}"
    if outcome.failure_count > len(outcome.failures):
        yield f"and {outcome.failure_count - len(outcome.failures)} more"


def _worst_first(outcomes: Sequence[pb.StressOutcome]) -> list[tuple[pb.StressOutcome, pb.AccountStress]]:
    pairs = [(outcome, account) for outcome in outcomes for account in outcome.accounts]

    def left(pair: tuple[pb.StressOutcome, pb.AccountStress]) -> Decimal:
        after = pair[1].after
        return decimal_of(after.equity) - decimal_of(after.maintenance_margin)

    return sorted(pairs, key=left)


def _accounts(outcome: pb.StressOutcome) -> Table:
    table = plain_table(f"{outcome.scenario}: accounts")
    table.add_column("Account", no_wrap=True)
    for heading in ("P&L", "Equity", "MM", "U before", "U after"):
        add_number_column(table, heading)
    table.add_column("Band", no_wrap=True)
    for account in outcome.accounts:
        table.add_row(
            short_account(account.account),
            money(decimal_of(account.pnl), signed=True),
            money(decimal_of(account.after.equity)),
            money(decimal_of(account.after.maintenance_margin)),
            percent(decimal_of(account.before.utilization)),
            percent(decimal_of(account.after.utilization)),
            band_text(account.after.band),
        )
    return table


def _profits(title: str, heading: str, profits: Sequence[tuple[str, str]]) -> Table:
    table = plain_table(title)
    table.add_column(heading, no_wrap=True)
    add_number_column(table, "P&L", min_width=14)
    for name, pnl in profits:
        table.add_row(name, money(decimal_of(pnl), signed=True))
    return table


def _reverse_cells(result: pb.ReverseStressResult) -> list[str]:
    if result.HasField("failure"):
        return ["-", "-", "-", result.failure.message]
    if not result.HasField("plausibility"):
        return [f"> {decimal_of(result.searched_to):.0f}", "-", "-", "none found"]
    moves = [f"{factor_text(move.group_id, move.factor_kind)} {move_text(move)}" for move in result.moves[:_MOVES_SHOWN]]
    distance, most = decimal_of(result.plausibility.distance), result.plausibility.greatest_probability
    return [f"{distance:.2f}", _probability(most), money(decimal_of(result.outcome.pnl), signed=True), ", ".join(moves)]


def _distance(result: pb.ReverseStressResult) -> tuple[bool, Decimal, str]:
    known = result.HasField("plausibility")
    return not known, decimal_of(result.plausibility.distance) if known else Decimal(0), result.account


def _line(result: pb.ReverseStressResult) -> str:
    return LINE_NAMES.get(result.line, "broken")


def _probability(text: str) -> str:
    value = decimal_of(text)
    return percent(value) if value >= Decimal("0.001") or not value else f"{value:.2e}"
