"""Stablecoins off their pegs, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp

from crossmargin.api.v1 import collateral_service_pb2
from crossmargin.api.v1 import market_service_pb2 as pb
from crossmargin_client import decimal_of, moment_of


def peg_lines(found: pb.GetSnapshotResponse) -> Iterator[str]:
    """Yield a sentence for each stablecoin of a snapshot that is depegged, or whose slow price is not its price."""
    for coin in sorted(found.pegs):
        peg, level = found.pegs[coin], found.snapshot.marks.get(coin) or found.snapshot.levels.get(f"spot:{coin}", "")
        is_slow = bool(level) and decimal_of(peg.slow_price) != decimal_of(level)
        if is_slow or peg.HasField("below_since_time"):
            yield f"{coin}: price {_short(level) or 'unknown'}, slow price {_short(peg.slow_price)}{_clock(peg)}"


def held_peg_lines(holdings: Iterable[collateral_service_pb2.CollateralHolding]) -> Iterator[str]:
    """Yield a sentence for each stablecoin of an account that is off its peg or counts at less than its price."""
    for holding in holdings:
        if holding.HasField("peg"):
            peg = holding.peg
            lost = "; no collateral at all" if peg.lost else ""
            yield f"{holding.instrument_id}: price {_short(peg.price)}, holdings count at {_short(peg.counted_price)}{_clock(peg)}{lost}"


def _clock(peg: pb.Peg | collateral_service_pb2.HeldPeg) -> str:
    if not peg.HasField("below_since_time"):
        return ""
    back = f", back at its line since {_moment(peg.back_since_time)}" if peg.HasField("back_since_time") else ""
    return f", depegged since {_moment(peg.below_since_time)}{back}"


def _short(text: str) -> str:
    return f"{decimal_of(text):.8g}" if text else ""


def _moment(wire: Timestamp) -> str:
    return moment_of(wire).strftime("%Y-%m-%d %H:%M:%S UTC")
