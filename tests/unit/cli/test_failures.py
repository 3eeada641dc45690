"""A command that fails says what was wrong, why, and what to do, and no more."""

from __future__ import annotations

import grpc
import pytest

from crossmargin_cli.connection import connect, full_account_name
from crossmargin_cli.failures import CommandError, MisuseError, failure_lines
from crossmargin_client import FieldViolation, InvalidRequest, NotFound, Unavailable


def test_a_refusal_has_its_reason_its_facts_and_a_next_step():
    error = NotFound("no such account", reason="UNKNOWN_ACCOUNT", code=grpc.StatusCode.NOT_FOUND, metadata={"account": "a/b"})
    assert failure_lines(error) == [
        "error: no such account",
        "reason: UNKNOWN_ACCOUNT (account=a/b)",
        "next: list what there is with: crossmargin accounts list",
    ]


def test_an_invalid_request_lists_its_fields():
    violations = (FieldViolation("trades[0].price", "must be a decimal"),)
    error = InvalidRequest("invalid", reason="INVALID_ARGUMENT", code=grpc.StatusCode.INVALID_ARGUMENT, field_violations=violations)
    assert "field: trades[0].price: must be a decimal" in failure_lines(error)


def test_a_service_without_its_database_says_so_itself():
    with pytest.raises(Unavailable) as caught, connect("127.0.0.1:1"):
        raise Unavailable("the database did not answer", reason="STORAGE_UNAVAILABLE", code=grpc.StatusCode.UNAVAILABLE)
    assert failure_lines(caught.value) == ["error: the database did not answer", "reason: STORAGE_UNAVAILABLE"]


def test_nobody_there_is_told_with_the_place_and_how_to_start():
    with pytest.raises(CommandError, match=r"nothing answers at 127\.0\.0\.1:1 \(") as caught, connect("127.0.0.1:1") as client:
        client.get_margin("clients/alpha/accounts/core")
    assert "crossmargin serve --embedded --insecure" in caught.value.next_step


def test_an_error_of_the_command_itself_has_no_reason_line():
    assert failure_lines(CommandError("bad", next_step="do")) == ["error: bad", "next: do"]


def test_an_account_is_named_in_full_or_short():
    assert full_account_name("alpha/core") == full_account_name("clients/alpha/accounts/core") == "clients/alpha/accounts/core"


@pytest.mark.parametrize("text", ["", "alpha", "alpha/", "/core", "a/b/c", "clients/a/books/b"])
def test_another_name_is_no_account(text):
    with pytest.raises(MisuseError, match="expected CLIENT/ACCOUNT"):
        full_account_name(text)
