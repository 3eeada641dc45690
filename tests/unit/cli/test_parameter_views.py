"""What is printed of risk parameters, and what is read back of margins."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from crossmargin.api.v1 import margin_service_pb2
from crossmargin.api.v1 import reference_service_pb2 as pb
from crossmargin_cli.failures import MisuseError
from crossmargin_cli.margin_file import read_margins
from crossmargin_cli.margin_views import reproduction_line, stamp_line
from crossmargin_cli.parameter_views import call_line_note, called_lines, set_table, shadow_table, standing_line
from crossmargin_cli.render import PIPE_WIDTH

STAMP = margin_service_pb2.MarginStamp(account="clients/alpha/accounts/core", as_of_seq=7, parameter_set_id="house-2")


def a_moment(*parts):
    wire = Timestamp()
    wire.FromDatetime(datetime(*parts, tzinfo=UTC))
    return wire


FIRST = pb.ParameterSet(
    parameter_set_id="standard-1", state=pb.PARAMETER_STATE_RETIRED, proposed_by="crossmargin", active_from_time=a_moment(1, 1, 1)
)
NEXT = pb.ParameterSet(
    parameter_set_id="house-2",
    state=pb.PARAMETER_STATE_ACTIVE,
    proposed_by="alice",
    approved_by="bob",
    active_from_time=a_moment(2026, 12, 1, 8),
    ramp_days=10,
    in_force=True,
)


def printed(renderable):
    stream = io.StringIO()
    Console(file=stream, width=PIPE_WIDTH).print(renderable)
    return stream.getvalue()


def a_margin(maintenance, band, utilization):
    return pb.ShadowMargin(maintenance_margin=maintenance, utilization=utilization, band=margin_service_pb2.Band.Value(f"BAND_{band}"))


@pytest.mark.parametrize(
    ("state", "in_force", "expected"),
    [
        (pb.PARAMETER_STATE_ACTIVE, True, "active, in force"),
        (pb.PARAMETER_STATE_ACTIVE, False, "active, not yet in force"),
        (pb.PARAMETER_STATE_RETIRED, True, "in force, to be replaced"),
        (pb.PARAMETER_STATE_RETIRED, False, "retired "),
        (pb.PARAMETER_STATE_APPROVED, False, "approved "),
    ],
)
def test_a_set_that_waits_for_its_time_is_told_from_the_one_before_it(state, in_force, expected):
    one = pb.ParameterSet(parameter_set_id="house-2", state=state, in_force=in_force, active_from_time=a_moment(2026, 12, 1, 8))
    assert f"house-2  {expected}" in printed(set_table([one]))


@pytest.mark.parametrize(
    ("multiple", "line", "expected"),
    [
        ("1.25", "0.80", ""),
        ("1.25", "0.8", ""),
        ("1.6", "0.8", "80.0%, and equity is the initial margin (1.6 x maintenance) at 62.5%: in between an account is short of its"),
        (
            "1.25",
            "0.7",
            "70.0%, and equity is the initial margin (1.25 x maintenance) at 80.0%: in between an account is called and is not",
        ),
    ],
)
def test_calls_that_do_not_begin_at_the_initial_margin_are_named(multiple, line, expected):
    note = call_line_note({"initial_margin_multiple": multiple, "bands": {"margin_call": line}})
    assert expected in note
    assert bool(note) == bool(expected)


def test_sets_are_listed_with_who_and_from_when():
    text = printed(set_table([NEXT, FIRST]))
    assert "active, in force" in text
    assert "2026-12-01 08:00 UTC" in text
    assert "the beginning" in text
    assert "10 days" in text
    assert standing_line(NEXT) == ("house-2 is active, proposed by alice, approved by bob, in force from 2026-12-01 08:00 UTC over 10 days")
    assert standing_line(pb.ParameterSet(parameter_set_id="x", state=pb.PARAMETER_STATE_PROPOSED, proposed_by="a")) == (
        "x is proposed, proposed by a"
    )


def test_a_shadow_run_shows_before_and_after_and_who_would_be_called():
    accounts = [
        pb.ShadowedAccount(
            account="clients/alpha/accounts/core",
            in_force=a_margin("1000000", "HEALTHY", "0.5"),
            shadow=a_margin("1250000", "MARGIN_CALL", "0.85"),
        ),
        pb.ShadowedAccount(account="clients/beta/accounts/core", in_force=a_margin("5", "WATCH", "0.6"), reason="UNMAPPED_RISK_FACTOR"),
    ]
    summary = pb.ShadowSummary(
        in_force_set_id="standard-1",
        shadow_set_id="house-2",
        called_accounts=["clients/alpha/accounts/core"],
        failed_accounts=["clients/beta/accounts/core"],
        maintenance_margin_before="1000000",
        maintenance_margin_after="1250000",
        initial_margin_before="1250000",
        initial_margin_after="2500000",
    )
    text = printed(shadow_table(accounts, summary))
    for part in ("alpha/core", "1,000,000", "1,250,000", "+25.0%", "85.0%", "healthy", "margin call", "UNMAPPED_RISK_FACTOR"):
        assert part in text
    assert max(map(len, text.splitlines())) <= PIPE_WIDTH
    assert list(called_lines(summary)) == [
        "1 account would be called: alpha/core",
        "0 accounts would be liquidated",
        "1 account cannot be margined under one of the sets: beta/core",
        "initial margin of all accounts: 1,250,000 before, 2,500,000 after (+1,250,000)",
    ]


def test_a_stamp_on_a_ramp_says_so():
    ramped = margin_service_pb2.MarginStamp()
    ramped.CopyFrom(STAMP)
    ramped.ramp.parameter_set_id, ramped.ramp.fraction = "standard-1", "0.25"
    assert stamp_line(STAMP).endswith("parameters house-2")
    assert stamp_line(ramped).endswith("parameters house-2 (from standard-1, 25.0% there)")


def test_a_reproduction_says_where_it_first_differs():
    same = margin_service_pb2.ReproduceMarginResponse(reproduced=True)
    assert reproduction_line(STAMP, same).endswith("reproduced, every figure the same")
    difference = margin_service_pb2.MarginDifference(field="equity.equity", recorded="1", recomputed="2")
    other = margin_service_pb2.ReproduceMarginResponse(difference=difference)
    assert reproduction_line(STAMP, other).endswith("NOT reproduced: equity.equity was 1, came out as 2")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda margin: {"margins": [margin]},
        lambda margin: {"margin": margin, "contributions": []},
        lambda margin: margin,
        lambda margin: margin["stamp"],
    ],
    ids=["show", "explain", "one margin", "a stamp"],
)
def test_margins_are_read_back_from_whatever_printed_them(tmp_path, wrap):
    file = tmp_path / "margin.json"
    file.write_text(json.dumps(wrap({"stamp": {"account": STAMP.account, "as_of_seq": "7", "parameter_set_id": "house-2"}})))
    assert [margin.stamp for margin in read_margins(str(file))] == [STAMP]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"margins": []}', '{"margins": [{}]}', '{"stamp": {"nothing": 1}}', '{"margins": [3]}'])
def test_anything_else_is_not_a_margin(tmp_path, text):
    file = tmp_path / "margin.json"
    file.write_text(text)
    with pytest.raises(MisuseError):
        read_margins(str(file))
    with pytest.raises(MisuseError):
        read_margins(str(tmp_path / "nothing.json"))
