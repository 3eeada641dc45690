"""Risk parameters as people read them: where each set stands, and what one would do to every account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin_cli.render import add_number_column, band_text, counted, money, percent, plain_table, short_account
from crossmargin_client import decimal_of, moment_of

_STATE_NAMES: Final = {
    pb.PARAMETER_STATE_PROPOSED: "proposed",
    pb.PARAMETER_STATE_APPROVED: "approved",
    pb.PARAMETER_STATE_ACTIVE: "active",
    pb.PARAMETER_STATE_RETIRED: "retired",
}
_FIRST_YEAR: Final = 1


def set_table(sets: Sequence[pb.ParameterSet]) -> Table:
    """Return a table with one line for each set; the one in force is marked."""
    table = plain_table()
    for heading in ("Set", "State", "Proposed by", "Approved by", "In force from", "Ramp"):
        table.add_column(heading, no_wrap=heading in {"Set", "State"}, overflow="fold")
    for one in sets:
        state = _standing(one)
        table.add_row(
            one.parameter_set_id,
            Text(state, style="green" if one.in_force else ""),
            one.proposed_by,
            one.approved_by or "-",
            _since(one),
            counted(one.ramp_days, "day") if one.ramp_days else "-",
        )
    return table


def _standing(one: pb.ParameterSet) -> str:
    """Return the state of a set, and whether it is in force: a set waits for its time, and until then the one before still is."""
    name = _STATE_NAMES.get(one.state, "unknown")
    if one.state == pb.PARAMETER_STATE_RETIRED:
        return "in force, to be replaced" if one.in_force else name
    if one.state == pb.PARAMETER_STATE_ACTIVE:
        return f"{name}, in force" if one.in_force else f"{name}, not yet in force"
    return name


def call_line_note(document: Mapping[str, Any]) -> str:
    """Return what a set says about margin calls that nobody may have meant; empty when calls begin where equity is the initial margin."""
    multiple, line = Decimal(str(document["initial_margin_multiple"])), Decimal(str(document["bands"]["margin_call"]))
    if multiple * line == 1:
        return ""
    meets = 1 / multiple
    where = "is short of its initial margin and is not called" if meets < line else "is called and is not short of its initial margin"
    return (
        f"note: calls begin at a utilization of {percent(line)}, and equity is the initial margin ({multiple} x maintenance) at "
        f"{percent(meets)}: in between an account {where}"
    )


def standing_line(one: pb.ParameterSet) -> str:
    """Return a sentence that says where a set stands."""
    parts = [f"{one.parameter_set_id} is {_STATE_NAMES.get(one.state, 'unknown')}", f"proposed by {one.proposed_by}"]
    if one.approved_by:
        parts.append(f"approved by {one.approved_by}")
    if one.HasField("active_from_time"):
        parts.append(f"in force from {_since(one)}" + (f" over {counted(one.ramp_days, 'day')}" if one.ramp_days else ""))
    return ", ".join(parts)


def shadow_table(accounts: Sequence[pb.ShadowedAccount], summary: pb.ShadowSummary) -> Table:
    """Return a table with one line for each account, before and after, and the sums of all."""
    table = plain_table(f"{summary.shadow_set_id} beside {summary.in_force_set_id}, which is in force")
    table.add_column("Account", overflow="fold")
    for heading in ("Maintenance", "after", "Change", "Utilization", "after"):
        add_number_column(table, heading)
    table.add_column("Band", no_wrap=True)
    table.add_column("after", no_wrap=True)
    for one in accounts:
        table.add_row(short_account(one.account), *_cells(one))
    before, after = decimal_of(summary.maintenance_margin_before), decimal_of(summary.maintenance_margin_after)
    table.add_section()
    table.add_row(Text("all", "bold"), money(before), money(after), _change(before, after), "", "", "", "")
    return table


def called_lines(summary: pb.ShadowSummary) -> Iterator[str]:
    """Yield who would be called and liquidated, who has no margin under one of the sets, and the change of all margins."""
    for verb, names in (
        ("would be called", summary.called_accounts),
        ("would be liquidated", summary.liquidated_accounts),
        ("cannot be margined under one of the sets", summary.failed_accounts),
    ):
        shown = ": " + ", ".join(map(short_account, names)) if names else ""
        yield f"{counted(len(names), 'account')} {verb}{shown}"
    before, after = decimal_of(summary.initial_margin_before), decimal_of(summary.initial_margin_after)
    yield f"initial margin of all accounts: {money(before)} before, {money(after)} after ({money(after - before, signed=True)})"


def _cells(one: pb.ShadowedAccount) -> list[str | Text]:
    if one.reason:
        return ["", "", Text(one.reason, "red"), "", "", _band(one.in_force, has=one.HasField("in_force")), ""]
    before, after = one.in_force, one.shadow
    maintenance = decimal_of(before.maintenance_margin), decimal_of(after.maintenance_margin)
    return [
        *map(money, maintenance),
        _change(*maintenance),
        percent(decimal_of(before.utilization)),
        percent(decimal_of(after.utilization)),
        band_text(before.band),
        band_text(after.band),
    ]


def _band(margin: pb.ShadowMargin, *, has: bool) -> Text:
    return band_text(margin.band) if has else band_text(margin_service_pb2.BAND_UNSPECIFIED)


def _change(before: Decimal, after: Decimal) -> str:
    return percent(after / before - 1, signed=True) if before else money(after, signed=True)


def _since(one: pb.ParameterSet) -> str:
    if not one.HasField("active_from_time"):
        return "-"
    return _time(one.active_from_time)


def _time(wire: Timestamp) -> str:
    moment = moment_of(wire)
    return "the beginning" if moment.year == _FIRST_YEAR else moment.strftime("%Y-%m-%d %H:%M UTC")
