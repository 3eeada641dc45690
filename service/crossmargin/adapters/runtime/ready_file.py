"""Tells whoever started the process where it listens, once it does."""

from __future__ import annotations

import json
import os
from pathlib import Path


def write_ready_file(path: Path, *, grpc_address: str, admin_address: str) -> None:
    """Write the addresses and the process id as JSON. The file appears whole: it is renamed into place."""
    unfinished = path.with_name(path.name + ".unfinished")
    unfinished.write_text(json.dumps({"grpc_address": grpc_address, "admin_address": admin_address, "pid": os.getpid()}))
    unfinished.replace(path)
