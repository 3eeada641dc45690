"""What the gate costs beside a preview: CPU time of both in one run, interleaved, medians of several rounds.

CPU time, because whoever waits for the machine waits for both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from crossmargin.adapters.grpc_server import certificates
from crossmargin.adapters.grpc_server.access_gate import AccessGate
from crossmargin.adapters.grpc_server.access_policy import read_policy, shipped_policy
from crossmargin.adapters.grpc_server.server import PROTECTED_SERVICES
from crossmargin.adapters.runtime.clock import SystemClock
from crossmargin.api.v1 import margin_service_pb2 as margin_pb
from crossmargin.api.v1.margin_service_pb2_grpc import MarginServiceStub
from tests.access.authority import OMS, Files
from tests.access.secure_rig import access_of, bearer, channel_of, secure_server
from tests.integration.grpc_rig import ALPHA, a_deposit, a_trade, create_books, memory_use_cases, publish_market, served

PATH = "/crossmargin.api.v1.MarginService/PreviewTrades"
ROUNDS, CALLS = 9, 200
GOAL = 0.10
FIGURES = ("preview, plain", "preview, secure", "gate, token seen", "gate, token new", "gate, both new")


class ShownContext:
    """What the gate reads of a call."""

    def __init__(self, pem: bytes, metadata) -> None:
        self._auth = {"x509_pem_cert": [pem], "transport_security_type": [b"ssl"]}
        self._metadata = metadata

    def auth_context(self):
        return self._auth

    def invocation_metadata(self):
        return self._metadata


async def measure() -> bool:
    """Print the table, and return whether the goal is reached."""
    with tempfile.TemporaryDirectory() as name:
        files = Files(Path(name))
        oms = files.authority.client(OMS)
        request = margin_pb.PreviewTradesRequest(account=ALPHA, trades=[a_trade()])
        metadata = bearer(files.issuer.token(oms))
        async with memory_use_cases() as use_cases, served(use_cases) as plain:
            await create_books(plain)
            await publish_market(plain)
            await plain.collateral.Deposit(a_deposit())
            async with secure_server(use_cases, files, []) as address, channel_of(address, files, oms) as channel:
                secure = MarginServiceStub(channel)
                gate = _gate(files)
                context = ShownContext(oms.pem, metadata)
                figures: dict[str, list[float]] = {name: [] for name in FIGURES}
                for _ in range(ROUNDS):
                    figures["preview, plain"].append(await _median_call(lambda: plain.margin.PreviewTrades(request, timeout=10)))
                    figures["preview, secure"].append(
                        await _median_call(lambda: secure.PreviewTrades(request, timeout=10, metadata=metadata))
                    )
                    figures["gate, token seen"].append(_median(lambda: _pass(gate, context, request)))
                    figures["gate, token new"].append(_median(lambda: _pass_anew(gate, context, request)))
                    figures["gate, both new"].append(_median(lambda: _pass_anew(gate, context, request, certificate_too=True)))
    medians = {what: statistics.median(values) for what, values in figures.items()}
    for what, seconds in medians.items():
        print(f"{what:<18} {seconds * 1e6:8.1f} us of CPU")
    share = medians["gate, token seen"] / medians["preview, plain"]
    new, both = (medians[name] / medians["preview, plain"] for name in ("gate, token new", "gate, both new"))
    print(f"token and policy: {share:.1%} of a preview (goal: below {GOAL:.0%})")
    print(f"once for each token: {new:.1%}; once for each token with a certificate that is new as well: {both:.1%}")
    print(f"secure against plain, TLS included: {medians['preview, secure'] / medians['preview, plain']:.2f}")
    return share < GOAL


def _gate(files: Files) -> AccessGate:
    access = access_of(files, [])
    return AccessGate(read_policy(shipped_policy(), PROTECTED_SERVICES), access.identify, access.record, SystemClock())


def _pass(gate: AccessGate, context, request) -> None:
    gate.check_clients(PATH, gate.admit(PATH, context), request)


def _pass_anew(gate: AccessGate, context, request, *, certificate_too: bool = False) -> None:
    gate.identify.tokens._verified.clear()
    if certificate_too:
        certificates.read_certificate.cache_clear()
    _pass(gate, context, request)


async def _median_call(call) -> float:
    times = []
    for _ in range(CALLS):
        began = time.process_time()
        await call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def _median(work: Callable[[], None]) -> float:
    times = []
    for _ in range(CALLS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)
