"""Logs say what is known to be harmless: no field that nobody has listed, no words of an exception, no values of a library."""

from __future__ import annotations

import ast
import io
import json
import logging
from pathlib import Path

import pytest
import structlog

from crossmargin.adapters.runtime.logs import FIELDS, LONGEST_TEXT, configure_logs

SERVICE = Path(__file__).resolve().parents[4] / "service" / "crossmargin"
SECRET = "hunter2-canary"  # noqa: S105 - what is looked for


@pytest.fixture
def lines(monkeypatch):
    """Where logs go, and what is in them, line by line. What was configured before is put back."""
    written, before, root = io.StringIO(), structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr("sys.stderr", written)
    configure_logs()
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level


def raised(error):
    try:
        secret_local = SECRET  # noqa: F841 - what a traceback with locals would show
        raise error
    except type(error) as caught:
        return caught


def library(name):
    """A library's logger that is heard by the service's handler alone: the test runner's refuses words that do not fit their values."""
    logger = logging.Logger(name)  # noqa: LOG001 - one that nobody else hears
    logger.handlers = [handler for handler in logging.getLogger().handlers if type(handler).__module__ == configure_logs.__module__]
    return logger


def test_a_field_that_is_not_listed_is_left_out_and_named(lines):
    structlog.get_logger().warning("careless", method="GetMargin", request={"password": SECRET}, url=f"postgresql://u:{SECRET}@db")
    (line,) = lines()
    assert SECRET not in json.dumps(line)
    assert (line["event"], line["method"], line["left_out"]) == ("careless", "GetMargin", ["request", "url"])


def test_an_exception_is_its_kind_and_its_lines_of_code(lines):
    error = raised(ValueError(f"connection to {SECRET} failed"))
    structlog.get_logger().error("failed", exc_info=error)
    logging.getLogger("library").error("it failed", exc_info=error)
    for line in (found := lines()):
        assert SECRET not in json.dumps(line)
        assert line["error"] == "ValueError"
        assert "in raised" in line["stack"]
    assert len(found) == 2


@pytest.mark.parametrize(
    ("words", "values", "said"),
    [
        ("error connecting in %r: %s", ("pool-1", ValueError(SECRET)), "error connecting in <str>: <ValueError>"),
        ("Executing %s took %.3f seconds", (SECRET, 1.5), "Executing <str> took 1.500 seconds"),
        ("%(tries)d tries for %(who)s, %(rest)a", ({"tries": 3, "who": SECRET, "rest": [SECRET]},), "3 tries for <str>, <list>"),
        ("100%% of %s", (SECRET.encode(),), "100% of <bytes>"),
        ("padded %-12s!", (SECRET,), "padded <str>       !"),
        ("expired after %d s", (SECRET,), "a message of a library"),
        ("one value for %s and %s", (1,), "a message of a library"),
        (f"made up of {SECRET}", (), "a message of a library"),
        (ValueError(SECRET), (1,), "a message of a library"),
    ],
)
def test_libraries_say_their_words_and_numbers_and_only_the_kind_of_any_other_value(lines, words, values, said):
    library("psycopg.pool").warning(words, *values)
    (line,) = lines()
    assert (line["event"], line["library"]) == (said, "psycopg.pool")
    assert SECRET not in json.dumps(line)


def test_a_number_with_words_of_its_own_is_not_asked_for_them(lines):
    class Talkative(int):
        def __str__(self):
            return SECRET

    library("numbers").warning("%s of %d", Talkative(3), 4)
    assert [line["event"] for line in lines()] == [f"<{Talkative.__qualname__}> of 4"]


def test_a_line_stays_one_line_whatever_it_quotes(lines):
    text = "x\x1b[31m\r{}\x00" + "y" * 5000
    structlog.get_logger().warning("w", why=text, details=[text], findings={text: 1}, cause=object())
    (line,) = lines()
    assert line["why"].startswith("x?[31m?{}?yyy")
    assert len(line["why"]) == len(line["details"][0]) == LONGEST_TEXT
    assert line["cause"] == "object"


def test_every_field_that_the_service_logs_is_listed_and_no_other():
    said = set()
    for path in SERVICE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and is_log(node.func):
                # What comes from a library has no names in the source: an exception or nothing.
                said |= {keyword.arg for keyword in node.keywords if keyword.arg}
    assert said - FIELDS == set()
    assert FIELDS - said - {"event", "level", "timestamp", "trace_id", "span_id", "error", "stack"} == set()


def is_log(function):
    match function:
        case ast.Attribute(value=ast.Name(id="log" | "_log"), attr="info" | "warning" | "error"):
            return True
        case ast.Name(id="write" | "log"):
            return True
    return False
