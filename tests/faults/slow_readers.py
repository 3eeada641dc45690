"""Callers that open a stream of margins and do not read it: they are cut, memory stays, and everybody else is served."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import timedelta
from decimal import Decimal
from typing import Final
from urllib.request import urlopen

import grpc
import grpc.aio
from prometheus_client.parser import text_string_to_metric_families

from crossmargin.api.v1.margin_service_pb2 import WatchMarginRequest
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceStub
from crossmargin_cli.demo_data.loading import load_demo
from crossmargin_cli.demo_data.market import AS_OF, todays_levels, todays_marks
from crossmargin_client import AsyncClient, Client
from tests.faults.injectors import Injector
from tests.faults.replicas import Replica
from tests.faults.rig import Rig

STREAMS: Final = 12
ACCOUNT: Final = "clients/meridian-basis/accounts/core"
LARGEST_GROWTH_BYTES: Final = 150 * 1024 * 1024
_LIMIT_S: Final = 120.0
_EVERY_S: Final = 0.1
# A caller that takes little before it has to read, so that few messages fill its line.
_SMALL_WINDOW: Final = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 4096), ("grpc.use_local_subchannel_pool", 1))


def slow_readers(count: int = STREAMS) -> Injector:
    """Return an injector that opens streams of the first replica and never reads them, while the market moves."""

    async def inject(rig: Rig) -> None:
        replica = rig.replicas[0]
        await asyncio.to_thread(_load, replica.address)
        before = replica.resident_bytes()
        began = time.monotonic()
        async with contextlib.AsyncExitStack() as stack:
            streams = []
            for _ in range(count):
                channel = await stack.enter_async_context(grpc.aio.insecure_channel(replica.address, options=_SMALL_WINDOW))
                stream = MarginServiceStub(channel).WatchMargin(WatchMarginRequest(account=ACCOUNT, utilization_step="0.000000000001"))
                stack.callback(stream.cancel)
                await stream.initial_metadata()
                streams.append(stream)
            cut = await _move_until_cut(rig, replica, count)
        grown = replica.resident_bytes() - before
        if cut < count:
            rig.findings.append(f"{count - cut} of {count} streams that nobody reads were not cut within {_LIMIT_S:.0f} s")
        if grown > LARGEST_GROWTH_BYTES:
            rig.findings.append(f"{count} streams that nobody reads took {grown / 2**20:.0f} MiB")
        rig.remarks.append(
            f"{cut} streams that nobody reads were cut within {time.monotonic() - began:.0f} s, at {grown / 2**20:.0f} MiB more"
        )
        await rig.history.progress(50)

    return inject


async def _move_until_cut(rig: Rig, replica: Replica, count: int) -> int:
    """Publish one market after the other until the replica has cut every stream, and return how many it has cut."""
    levels, give_up, cut = dict(todays_levels()), time.monotonic() + _LIMIT_S, 0
    async with AsyncClient(replica.address) as client:
        for number in range(1, 10_000):
            moved = {**levels, "spot:BTC": Decimal(levels["spot:BTC"]) * (100 + number % 5) / 100}
            await client.publish_snapshot(AS_OF + timedelta(seconds=number), moved, todays_marks())
            cut = await asyncio.to_thread(_cut_streams, replica)
            if cut >= count or time.monotonic() > give_up:
                return cut
            await asyncio.sleep(_EVERY_S)
    return cut


def _load(address: str) -> None:
    with Client(address) as client:
        load_demo(client, report=lambda _: None)


def _cut_streams(replica: Replica) -> int:
    with urlopen(f"http://{replica.admin_address}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    wanted = {"grpc_method": "WatchMargin", "grpc_code": "RESOURCE_EXHAUSTED"}
    return int(
        sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "grpc_server_handled_total" and wanted.items() <= sample.labels.items()
        )
    )
