"""Margins as `margin show --json` printed them, read back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from crossmargin.api.v1 import margin_service_pb2
from crossmargin_cli.failures import MisuseError

STDIN = "-"


def read_margins(file: str) -> list[margin_service_pb2.Margin]:
    """Return the margins in a file, or on standard input for `-`: those of `show`, the one of `explain`, a margin, or a bare stamp.

    Raises:
        MisuseError: For anything else, and for a margin without a stamp.
    """
    try:
        text = sys.stdin.read() if file == STDIN else Path(file).read_text(encoding="utf-8")
        margins = [ParseDict(item, margin_service_pb2.Margin()) for item in _margins(json.loads(text))]
    except (OSError, ValueError, ParseError, TypeError) as error:
        raise MisuseError(f"{file} cannot be read as margins: {error}", next_step="give what `margin show --json` printed") from None
    if not margins or not all(margin.HasField("stamp") for margin in margins):
        raise MisuseError(f"{file} has no margin with a stamp", next_step="give what `margin show --json` printed")
    return margins


def _margins(document: object) -> list[Any]:
    match document:
        case {"margins": [*margins]}:
            return margins
        case {"margin": {} as margin}:
            return [margin]
        case {"stamp": {}}:
            return [document]
        case {"account": str(), "as_of_seq": _}:
            return [{"stamp": document}]
        case _:
            return []
