"""Moves of the market as people write them: spot:BTC=-30%, zero:USD=+100bp, class:CRYPTO=-40%."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from crossmargin.api.v1 import risk_service_pb2 as pb
from crossmargin_cli.failures import MisuseError
from crossmargin_client import ad_hoc_scenario, stress_shock

_TENOR: Final = re.compile(r"[1-9][0-9]{0,2}[DWMY]")
_TENORLESS: Final = ("spot", "fx")
_UNITS: Final = {"%": Decimal("0.01"), "bp": Decimal("0.0001"), "": Decimal(1)}
_EXPECTED: Final = "WHAT=SIZE such as spot:BTC=-30%, zero:USD=+100bp, zero:USD:2Y=50bp, group:BTC=-25% or class:CRYPTO:vol=100%"


def scenario_from_words(name: str, words: Sequence[str], *, both_directions: bool) -> pb.AdHocScenario:
    """Return the scenario that some shocks make up; MisuseError for one that cannot be read."""
    return ad_hoc_scenario(name, [shock_from_words(each) for each in words], both_directions=both_directions)


def shock_from_words(words: str) -> pb.StressShock:
    """Return the shock that WHAT=SIZE spells; MisuseError otherwise.

    >>> shock_from_words("zero:USD=+100bp").curve, shock_from_words("zero:USD=+100bp").size
    ('zero:USD', '0.01')
    """
    what, equals, size_text = words.partition("=")
    size = _size(size_text)
    kind, _, rest = what.partition(":")
    if not equals or size is None or not rest:
        raise MisuseError(f"shock was {words!r}; expected {_EXPECTED}")
    if kind in {"group", "class"}:
        name, _, factor_kind = rest.partition(":")
        group, asset_class = (name, "") if kind == "group" else ("", name)
        return stress_shock(size, group=group, asset_class=asset_class, kind=factor_kind)
    if kind in _TENORLESS or _TENOR.fullmatch(rest.rpartition(":")[2]):
        return stress_shock(size, factor=what)
    return stress_shock(size, curve=what)


def _size(text: str) -> Decimal | None:
    unit = next((unit for unit in _UNITS if unit and text.endswith(unit)), "")
    try:
        size = Decimal(text.removesuffix(unit).strip()) * _UNITS[unit]
    except InvalidOperation:
        return None
    return size.normalize() if size.is_finite() else None
