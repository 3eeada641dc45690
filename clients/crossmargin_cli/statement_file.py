"""A statement of a custodian or a venue in a CSV file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from crossmargin.api.v1 import reconciliation_service_pb2
from crossmargin_cli.connection import full_account_name
from crossmargin_cli.csv_file import Cells, Layout, decimal_cell, moment_cell, open_csv
from crossmargin_cli.failures import CommandError
from crossmargin_client import statement_line

LAYOUT: Final = Layout(
    "lines of a statement",
    ("as_of", "account", "instrument", "quantity", "value", "external_reference"),
    ("as_of", "account", "instrument", "quantity"),
)
LARGEST: Final = 5000


@dataclass(frozen=True, slots=True)
class StatementFile:
    """The lines of a file, all of one moment. `digest` names its content."""

    digest: str
    as_of: datetime
    lines: tuple[reconciliation_service_pb2.StatementLine, ...]


def read_statement_file(path: Path) -> StatementFile:
    """Return the statement in a CSV file.

    Raises:
        CommandError: When the file or its header cannot be read, or there are no lines, or too many.
        BadRowsError: Naming every row that cannot be read, or does not go with the rows before it, by its line.
    """
    file, rows = open_csv(path, LAYOUT), _Rows()
    lines = file.read(rows.line)
    if len(lines) > LARGEST:
        raise CommandError(f"{path} has {len(lines)} lines; expected at most {LARGEST}", next_step="split it by accounts")
    return StatementFile(file.digest, next(iter(rows.moments)), lines)


@dataclass(slots=True)
class _Rows:
    """Reads row by row, and knows in which line it saw each moment and each holding first."""

    moments: dict[datetime, int] = field(default_factory=dict)
    holdings: dict[tuple[str, str], int] = field(default_factory=dict)

    def line(self, number: int, cells: Cells) -> reconciliation_service_pb2.StatementLine:
        moment = moment_cell(cells, "as_of")
        line = statement_line(
            full_account_name(cells["account"]),
            cells["instrument"],
            decimal_cell(cells, "quantity"),
            value=decimal_cell(cells, "value") if cells.get("value") else None,
            external_reference=cells.get("external_reference", ""),
        )
        first_moment, first_line = next(iter(self.moments.items()), (moment, number))
        if moment != first_moment:
            raise ValueError(f"as_of was {moment.isoformat()}, in line {first_line} {first_moment.isoformat()}; expected one moment")
        self.moments.setdefault(moment, number)
        earlier = self.holdings.setdefault((line.account, line.instrument_id), number)
        if earlier != number:
            raise ValueError(f"{line.instrument_id} of {line.account} is in line {earlier} already; expected one line for each holding")
        return line
