"""A statement from a file to its breaks, over the wire: the command line in this process, the service on a port."""

from __future__ import annotations

import asyncio
import json

import pytest
from typer.testing import CliRunner

from crossmargin_cli.main import app
from crossmargin_client import AsyncClient, CrossmarginError, statement_line
from tests.integration.grpc_rig import ALPHA, EXECUTED, a_deposit, create_books, memory_use_cases, served

HEADER = "as_of,account,instrument,quantity,value,external_reference\n"
AS_OF = EXECUTED.isoformat()


@pytest.fixture
async def rig():
    async with memory_use_cases() as use_cases, served(use_cases) as rig:
        await create_books(rig)
        await rig.collateral.Deposit(a_deposit("1000"))
        yield rig


async def command(rig, *words):
    """Run a command beside the event loop that serves it."""
    return await asyncio.to_thread(CliRunner().invoke, app, [*words, "--target", rig.address])


async def test_a_statement_is_reconciled_listed_explained_and_closed(rig, tmp_path):
    file = tmp_path / "statement.csv"
    file.write_text(HEADER + f"{AS_OF},alpha/core,USD,990,990.00,ref-7\n{AS_OF},alpha/core,BTC,1,,\n")
    done = await command(rig, "reconcile", str(file), "--source", "bank-1", "--as", "alice", "--json")
    assert done.exit_code == 1, done.output
    answer = json.loads(done.stdout)
    assert answer["compared_count"] == 2
    breaks = [
        (each["instrument_id"], each["kind"], each["stated_quantity"], each["held_quantity"], each["difference"])
        for each in answer["breaks"]
    ]
    assert breaks == [
        ("BTC", "BREAK_KIND_MISSING_HERE", "1", "0", "-1"),
        ("USD", "BREAK_KIND_QUANTITY_DIFFERS", "990", "1000", "10"),
    ]
    assert (answer["breaks"][1]["external_reference"], answer["breaks"][1]["value"], answer["breaks"][1]["sequence"]) == (
        "ref-7",
        "990",
        "1",
    )
    table = (await command(rig, "reconcile", str(file), "--source", "bank-1", "--as", "alice")).stdout
    assert "missing here" in table
    assert "2 holdings compared, 2 breaks" in table
    noted = await command(rig, "breaks", "explain", answer["statement_id"], "alpha/core", "BTC", "--note", "in transit", "--as", "alice")
    assert noted.stdout == "BTC of alpha/core is explained: in transit (alice)\n"
    closed = await command(rig, "breaks", "close", answer["statement_id"], "alpha/core", "USD", "--note", "fee", "--as", "bob", "--json")
    assert json.loads(closed.stdout)["state"] == "BREAK_STATE_CLOSED"
    listed = json.loads((await command(rig, "breaks", "list", "--state", "explained", "--json")).stdout)["breaks"]
    assert [(each["instrument_id"], each["note"], each["noted_by"]) for each in listed] == [("BTC", "in transit", "alice")]
    assert "There are no breaks." in (await command(rig, "breaks", "list", "--account", "beta/core")).stdout


async def test_a_statement_that_agrees_ends_well(rig, tmp_path):
    file = tmp_path / "statement.csv"
    file.write_text(HEADER + f"{AS_OF},alpha/core,USD,1000,,\n")
    done = await command(rig, "reconcile", str(file), "--source", "bank-1")
    assert done.exit_code == 0, done.output
    assert "1 holding compared, 0 breaks" in done.stdout


async def test_the_asyncio_client_says_the_same(rig):
    async with AsyncClient(rig.address, principal="alice") as client:
        answer = await client.reconcile_statement("bank-1", EXECUTED, [statement_line(ALPHA, "USD", 1)], tolerance="0.5")
        (found,) = [each async for each in client.list_breaks(statement_id=answer.statement_id)]
        assert found == answer.breaks[0]
        assert (await client.explain_break(found.statement_id, ALPHA, "USD", "why")).note == "why"
        assert (await client.close_break(found.statement_id, ALPHA, "USD", "done")).noted_by == "alice"
        with pytest.raises(CrossmarginError) as refused:
            await client.close_break(found.statement_id, ALPHA, "USD", "again")
        assert refused.value.reason == "BREAK_CLOSED"
        with pytest.raises(CrossmarginError) as refused:
            await client.reconcile_statement("bank-1", EXECUTED, [statement_line(ALPHA, "USD", 1), statement_line(ALPHA, "USD", 2)])
        assert refused.value.reason == "INVALID_STATEMENT"
        assert "line 2 is the second about USD" in refused.value.message
