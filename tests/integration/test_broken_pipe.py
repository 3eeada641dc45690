"""Whoever reads only the first lines of what a command prints, as `head` does, is shown no traceback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.adapters.runtime.terminal import exit_code_of
from tests.integration.command_line import COMMAND, environment

SERVICE = (sys.executable, "-m", "crossmargin")
AT_THE_END, AT_ONCE = "", "1"
TOOLS = sorted(path for path in Path(__file__).parents[1].glob("*/__main__.py"))


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        ((*COMMAND, "--help"), AT_THE_END),
        ((*COMMAND, "config", "show"), AT_THE_END),
        ((*COMMAND, "version"), AT_ONCE),
        ((*SERVICE, "config", "show", "--json"), AT_ONCE),
        ((sys.executable, "-m", "tests.faults", "list"), AT_THE_END),
        ((sys.executable, "-m", "tests.access", "--help"), AT_ONCE),
    ],
    ids=lambda given: " ".join(given[2:]) if isinstance(given, tuple) else "",
)
def test_a_reader_that_has_left_ends_a_command_quietly(command, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
            env={**environment(), "PYTHONUNBUFFERED": unbuffered},
        )
    finally:
        os.close(writing)
    assert done.stderr == ""
    assert done.returncode in {0, 1}


def test_a_command_whose_reader_stays_ends_as_it_says(capsys):
    assert exit_code_of(lambda: 7) == 7
    with pytest.raises(SystemExit):
        exit_code_of(lambda: sys.exit(2))


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.parent.name)
def test_every_tool_ends_so(path):
    assert re.search(r"^    (?:raise SystemExit|sys\.exit)\(exit_code_of\(", path.read_text(encoding="utf-8"), re.MULTILINE)
