"""Commands that the demo prints to be copied are commands."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
import typer
from rich.console import Console

from crossmargin_cli import demo
from crossmargin_cli.demo_service import RunningService
from crossmargin_cli.main import app
from crossmargin_cli.security import hoisted


def printed(certificates):
    """The commands that are printed, without the name of the program; `curl` and `buf` are others' programs."""
    stream = io.StringIO()
    demo._print_next_steps(Console(file=stream, width=400), RunningService("127.0.0.1:50051", "127.0.0.1:9464", None), certificates)
    lines = [shlex.split(line) for line in stream.getvalue().splitlines() if line.startswith("  ")]
    return [words[1:] for words in lines if Path(words[0]).name == "crossmargin"]


@pytest.mark.parametrize("certificates", [None, Path("certs")], ids=["insecure", "secure"])
def test_every_printed_command_is_one(certificates):
    commands = printed(certificates)
    assert len(commands) >= 3
    for words in commands:
        command, left = typer.main.get_command(app), hoisted(words)
        context = command.make_context("crossmargin", left)
        while hasattr(command, "commands"):
            name, command, left = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, left, parent=context)  # exits where a word or an option is unknown
