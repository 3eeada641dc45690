"""Pages and their tokens."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.adapters.grpc_server.paging import cut_page, page_request
from crossmargin.domain.errors import DomainError, Reason


def token_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(("asked", "size"), [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_a_page_has_a_default_and_a_largest_size(asked, size):
    assert page_request("clients", page_size=asked, page_token="").size == size


def test_the_first_page_begins_at_the_beginning():
    assert page_request("clients", page_size=0, page_token="").after is None


@settings(deadline=None)
@given(items=st.lists(st.integers(0, 10**6), unique=True, max_size=30).map(sorted), size=st.integers(1, 10))
def test_pages_together_are_the_list_and_the_last_has_no_token(items, size):
    seen: list[int] = []
    token = ""
    while True:
        asked = page_request("numbers", page_size=size, page_token=token)
        rest = [item for item in items if asked.after is None or item > int(asked.after)]
        found, token = cut_page(asked, rest[: asked.page.size], str)
        assert len(found) == size if token else len(found) <= size
        seen += found
        if not token:
            break
    assert seen == items


@pytest.mark.parametrize(
    "token",
    [
        "abc",
        "!!!!",
        "é",
        token_of(["accounts", "x"]),
        token_of(["clients"]),
        token_of(["clients", "x", "y"]),
        token_of(["clients", 5]),
        token_of({"clients": "x"}),
        token_of(["clients", "a\x00b"]),
        token_of(["clients", "é"]),
        token_of(7),
        base64.urlsafe_b64encode(b"[" * 300).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    ],
)
def test_a_token_that_was_not_issued_for_the_list_is_refused(token):
    with pytest.raises(DomainError) as refused:
        page_request("clients", page_size=0, page_token=token)
    assert refused.value.reason is Reason.INVALID_PAGE_TOKEN
    assert refused.value.facts["value"] == token[:60]


def test_a_token_of_the_longest_names_fits_its_field():
    longest = f"clients/{'c' * 63}/accounts/{'a' * 63}"
    asked = page_request(f"accounts of {'c' * 63}", page_size=1, page_token="")
    _, token = cut_page(asked, [1, 2], lambda _: longest)
    assert len(token) <= 500
    assert page_request(asked.list_name, page_size=1, page_token=token).after == longest
