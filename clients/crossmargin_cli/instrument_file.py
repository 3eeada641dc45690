"""Terms of instruments in a JSON file, in the names of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from google.protobuf.json_format import ParseDict, ParseError

from crossmargin.api.v1 import reference_service_pb2
from crossmargin_cli.failures import CommandError
from crossmargin_cli.render import counted

_EXPECTED: Final = 'expected {"instruments": [{"instrument_id": "USD", "quantity_places": 2, "cash": {"currency": "USD"}}, ...]}'


def read_instrument_file(path: Path) -> list[reference_service_pb2.Instrument]:
    """Return the instruments of a JSON file, in its order.

    Raises:
        CommandError: When the file cannot be read, or naming every instrument that cannot be, by its place and id.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CommandError(f"{path} is not JSON in UTF-8: {error}", next_step=_EXPECTED) from None
    listed = document.get("instruments") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not listed:
        raise CommandError(f"{path} has no list of instruments", next_step=_EXPECTED)
    instruments: list[reference_service_pb2.Instrument] = []
    faults: list[str] = []
    for place, item in enumerate(listed, start=1):
        try:
            instruments.append(_instrument(item))
        except ValueError as error:
            name = item.get("instrument_id", "") if isinstance(item, dict) else ""
            faults.append(f"instrument {place}{f' ({name})' if name else ''}: {error}")
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults)
        raise CommandError(
            f"{path}: {counted(len(faults), 'instrument')} cannot be read and nothing was sent\n{shown}",
            next_step="put them right and import again",
        )
    return instruments


def _instrument(item: object) -> reference_service_pb2.Instrument:
    if not isinstance(item, dict):
        raise ValueError(f"was {item!r:.60}; expected an object with an instrument_id and its terms")  # noqa: TRY004 - a fault of the file
    try:
        instrument = ParseDict(item, reference_service_pb2.Instrument())
    except ParseError as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not instrument.instrument_id:
        raise ValueError("has no instrument_id")
    if instrument.WhichOneof("terms") is None:
        raise ValueError("has no terms; expected one kind such as cash, perpetual or fixed_rate_bond")
    return instrument
